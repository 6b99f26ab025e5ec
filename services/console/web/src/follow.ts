/** First and longest wait before another attempt, ms. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;

/**
 * Keeps following the server: `run` is repeated whenever it has ended or failed, after a growing pause, and only while
 * the page is visible, because a browser has six connections to a server and pages in the background would hold them
 * all. `run` calls `progress` whenever it has received something.
 * @returns a function that ends it
 */
export function follow(
  run: (signal: AbortSignal, progress: () => void) => Promise<void>,
  failed: (error: unknown) => void,
): () => void {
  const over = new AbortController();
  void (async () => {
    let failures = 0;
    while (!over.signal.aborted) {
      await visible(over.signal);
      const attempt = new AbortController();
      const stop = (): void => attempt.abort();
      const stopIfHidden = (): void => {
        if (document.hidden) attempt.abort();
      };
      over.signal.addEventListener('abort', stop);
      document.addEventListener('visibilitychange', stopIfHidden);
      try {
        await run(attempt.signal, () => {
          failures = 0;
        });
      } catch (error) {
        if (!attempt.signal.aborted) {
          failures++;
          failed(error);
        }
      } finally {
        attempt.abort();
        over.signal.removeEventListener('abort', stop);
        document.removeEventListener('visibilitychange', stopIfHidden);
      }
      await pause(Math.min(FIRST_RETRY_MS * 2 ** failures, LONGEST_RETRY_MS), over.signal);
    }
  })();
  return () => over.abort();
}

/**
 * Runs something now, and again `ms` after it has ended, while the page is visible. @returns a function that ends it
 */
export function repeat(ms: number, run: (signal: AbortSignal) => Promise<void>): () => void {
  return follow(
    async (signal) => {
      while (!signal.aborted) {
        await run(signal);
        await pause(ms, signal);
      }
    },
    () => {},
  );
}

function visible(signal: AbortSignal): Promise<void> {
  if (!document.hidden || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      signal.removeEventListener('abort', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look);
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    if (signal.aborted) done();
    else signal.addEventListener('abort', done);
  });
}
