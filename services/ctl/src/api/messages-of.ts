import type { ClientReadableStream } from '@grpc/grpc-js';
import { type CallContext, failureOf } from './call-failure.ts';
import { cancelWith } from './cancel-with.ts';

export interface MessagesOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Whether the next message must also come in time; by default only the first one must. If it returns false once,
   * later messages need not come in time either.
   */
  readonly hurries?: () => boolean;
}

/**
 * The messages of a call, in order. The call ends when its reader stops.
 * @throws Failure; late: none came within the context's time-out
 */
export async function* messagesOf<T>(
  call: ClientReadableStream<T>,
  context: CallContext,
  { signal, hurries = () => false }: MessagesOptions = {},
): AsyncGenerator<T, void, undefined> {
  const letGo = cancelWith(call, signal);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    call.cancel();
  }, context.timeoutMs);
  try {
    for await (const message of call as AsyncIterable<T>) {
      if (hurries()) timer.refresh();
      else clearTimeout(timer);
      yield message;
      if (!hurries()) clearTimeout(timer);
    }
  } catch (error) {
    throw failureOf(error, { ...context, late });
  } finally {
    clearTimeout(timer);
    letGo();
    // grpc-js reports a cancelled call as an error of the stream; nobody listens any more.
    call.on('error', () => {});
    call.cancel();
  }
}
