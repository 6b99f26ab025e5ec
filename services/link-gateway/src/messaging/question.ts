import { type ServiceError, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { ApiError } from '@spanmesh/runtime/grpc/api-error';
import { ASK_AGAIN_MS } from './limits.ts';

/** Makes one call to topology, which can be cancelled. */
export type Ask<Answer> = (done: (error: ServiceError | null, answer: Answer | undefined) => void) => {
  cancel(): void;
};

/** A caller that waits for the answer. */
export interface Waiter<Answer> {
  /** @throws ApiError topology's error; CANCELLED when its signal is aborted; the error that it is given up with. */
  readonly answer: Promise<Answer>;
  /** Ends the wait with this error. */
  giveUp(error: ApiError): void;
}

interface Asker<Answer> {
  readonly principal: string;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: ApiError) => void;
}

/** Statuses with which topology refuses the question. After any other error it is asked again. */
const FINAL = new Set<status>([status.INVALID_ARGUMENT, status.RESOURCE_EXHAUSTED, status.UNIMPLEMENTED]);

/** One question to topology, on behalf of all callers that wait for its answer. Asked again while topology is away. */
export class Question<Answer> {
  readonly #ask: Ask<Answer>;
  readonly #clock: Clock;
  readonly #onOver: () => void;
  readonly #onLeft: () => void;
  readonly #askers = new Set<Asker<Answer>>();
  /** Number of callers by principal, the one that has waited longest first. */
  readonly #principals = new Map<string, number>();
  #call: { cancel(): void } | null = null;
  #timer: Timer | null = null;
  #over = false;

  /**
   * `onOver`: the question is answered, or no caller waits any more; `onLeft`: one caller has left, others still wait.
   */
  constructor(
    ask: Ask<Answer>,
    { clock, onOver, onLeft }: { readonly clock: Clock; readonly onOver: () => void; readonly onLeft: () => void },
  ) {
    this.#ask = ask;
    this.#clock = clock;
    this.#onOver = onOver;
    this.#onLeft = onLeft;
  }

  /** True if a caller of this principal waits. */
  isAskedBy(principal: string): boolean {
    return this.#principals.has(principal);
  }

  /** The principal that has waited longest; null: nobody waits. */
  get first(): string | null {
    const [first = null] = this.#principals.keys();
    return first;
  }

  /** Adds a caller that waits for the answer. `signal`: aborted when the caller does not wait any more. */
  ask(principal: string, signal: AbortSignal): Waiter<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const onAbort = (): void =>
      this.#leave(asker, new ApiError(status.CANCELLED, 'Nobody waits for the answer any more.'));
    const asker: Asker<Answer> = {
      principal,
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
    this.#principals.set(principal, (this.#principals.get(principal) ?? 0) + 1);
    signal.addEventListener('abort', onAbort);
    if (this.#call === null && this.#timer === null) this.#begin();
    return { answer: promise, giveUp: (error) => this.#leave(asker, error) };
  }

  /** Ends the wait of all callers of this principal. */
  giveUpAll(principal: string, error: ApiError): void {
    for (const asker of this.#askers) if (asker.principal === principal) this.#leave(asker, error);
  }

  /** Cancels the call under way, if any; the question is then asked again. */
  again(): void {
    this.#call?.cancel();
  }

  /** Gives the question up: all callers get this error. */
  fail(error: ApiError): void {
    const askers = [...this.#askers];
    this.#askers.clear();
    this.#principals.clear();
    this.#end();
    for (const asker of askers) asker.reject(error);
  }

  #leave(asker: Asker<Answer>, error: ApiError): void {
    if (!this.#askers.delete(asker)) return;
    const { principal } = asker;
    const left = (this.#principals.get(principal) ?? 0) - 1;
    if (left > 0) this.#principals.set(principal, left);
    else this.#principals.delete(principal);
    asker.reject(error);
    if (this.#askers.size === 0) this.#end();
    else this.#onLeft();
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
    this.#principals.clear();
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
