import { useState } from 'preact/hooks';
import { signIn } from './session.ts';

/** Asks for a token, which is kept by the server alone. */
export function SignIn() {
  const [trouble, setTrouble] = useState('');
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const token = String(new FormData(form).get('token') ?? '');
    form.reset();
    setBusy(true);
    setTrouble(await signIn(token));
    setBusy(false);
  };
  return (
    <main class="alone">
      <h1>spanmesh</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Token
          <input name="token" type="password" autocomplete="off" required aria-describedby="sign-in-hint" />
        </label>
        <button type="submit" disabled={isBusy}>
          Sign in
        </button>
        <p id="sign-in-hint" class="hint">
          As <code>spanmesh tokens new</code> prints it.
        </p>
        <p role="alert" class="bad">
          {trouble}
        </p>
      </form>
    </main>
  );
}
