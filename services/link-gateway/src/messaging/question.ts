import { type ServiceError, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { ASK_AGAIN_MS } from './limits.ts';

/** A call that can be given up. */
export type Ask<Answer> = (done: (error: ServiceError | null, answer: Answer | undefined) => void) => {
  cancel(): void;
};

interface Asker<Answer> {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: ApiError) => void;
}

/** What is topology's way of saying no; everything else is asked again. */
const FINAL = new Set<status>([status.INVALID_ARGUMENT, status.RESOURCE_EXHAUSTED, status.UNIMPLEMENTED]);

/** One question to topology, on behalf of all who want to know; asked again while topology is away. */
export class Question<Answer> {
  readonly #ask: Ask<Answer>;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  readonly #askers = new Set<Asker<Answer>>();
  #call: { cancel(): void } | null = null;
  #timer: Timer | null = null;
  #over = false;

  /** `onOver`: it is answered, or nobody wants to know any more. */
  constructor(ask: Ask<Answer>, { clock, onOver }: { clock: Clock; onOver: () => void }) {
    this.#ask = ask;
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** @throws ApiError what topology says; CANCELLED when `signal` is aborted. */
  answer(signal: AbortSignal): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const onAbort = (): void => {
      this.#askers.delete(asker);
      reject(new ApiError(status.CANCELLED, 'Nobody waits for the answer any more.'));
      if (this.#askers.size === 0) this.#end();
    };
    const asker: Asker<Answer> = {
      resolve: (answer) => {
        signal.removeEventListener('abort', onAbort);
        resolve(answer);
      },
      reject: (error) => {
        signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    };
    this.#askers.add(asker);
    signal.addEventListener('abort', onAbort, { once: true });
    if (this.#call === null && this.#timer === null) this.#begin();
    return promise;
  }

  /** Asks anew what has been asked and not answered. */
  again(): void {
    this.#call?.cancel();
  }

  /** Gives it up. */
  fail(error: ApiError): void {
    const askers = [...this.#askers];
    this.#askers.clear();
    this.#end();
    for (const asker of askers) asker.reject(error);
  }

  #begin(): void {
    this.#timer = null;
    const call = this.#ask((error, answer) => {
      if (this.#over) return;
      this.#call = null;
      if (error === null && answer !== undefined) this.#answered(answer);
      else if (error !== null && FINAL.has(error.code)) this.fail(new ApiError(error.code, error.details));
      else this.#timer = this.#clock.after(ASK_AGAIN_MS, () => this.#begin());
    });
    this.#call = call;
  }

  #answered(answer: Answer): void {
    const askers = [...this.#askers];
    this.#askers.clear();
    this.#end();
    for (const asker of askers) asker.resolve(answer);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    this.#call?.cancel();
    this.#onOver();
  }
}
