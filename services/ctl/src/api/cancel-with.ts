/** Cancels a call when the signal says so, at once if it has said so already: then it says it to nobody any more. @returns what lets go of the signal */
export function cancelWith(call: { cancel(): void }, signal: AbortSignal | undefined): () => void {
  const cancel = (): void => call.cancel();
  if (signal?.aborted === true) cancel();
  else signal?.addEventListener('abort', cancel);
  return () => signal?.removeEventListener('abort', cancel);
}
