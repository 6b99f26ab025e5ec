import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { words } from './api.ts';

interface DialogProps {
  readonly title: string;
  /** The label of the button that does it. */
  readonly action: string;
  readonly children: ComponentChildren;
  readonly act: (form: FormData) => Promise<void>;
  readonly close: () => void;
}

/** Asks for a confirmation, does the act, and shows how it ended. */
export function Dialog({ title, action, children, act, close }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [trouble, setTrouble] = useState('');
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setTrouble('');
    try {
      await act(new FormData(event.currentTarget as HTMLFormElement));
      close();
    } catch (error) {
      setTrouble(words(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-label={title} onClose={close}>
      <h2>{title}</h2>
      <form onSubmit={(event) => void submit(event)}>
        {children}
        <p role="alert" class="bad">
          {trouble}
        </p>
        <div class="buttons">
          <button type="button" class="quiet" onClick={close}>
            Cancel
          </button>
          <button type="submit" disabled={isBusy}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
