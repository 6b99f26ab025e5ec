/** The sending part of the server's side of a gRPC stream. */
export interface ResponseStream<T> {
  readonly cancelled: boolean;
  write(response: T): boolean;
  end(): void;
  once(event: 'drain' | 'cancelled', fn: () => void): unknown;
}

/** Sends all messages as fast as the peer reads them, in turns of the event loop; then ends the stream. */
export async function sendAll<T>(stream: ResponseStream<T>, messages: Iterable<T>): Promise<void> {
  for (const message of messages) {
    if (stream.cancelled) return;
    if (!stream.write(message)) {
      await new Promise<void>((resolve) => {
        stream.once('drain', resolve);
        stream.once('cancelled', resolve);
      });
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  stream.end();
}
