/**
 * Cancels a call when the signal is aborted, or at once if it is aborted already, since such a signal sends no event.
 * @returns a function that stops listening to the signal
 */
export function cancelWith(call: { cancel(): void }, signal: AbortSignal | undefined): () => void {
  const cancel = (): void => call.cancel();
  if (signal?.aborted === true) cancel();
  else signal?.addEventListener('abort', cancel);
  return () => signal?.removeEventListener('abort', cancel);
}
