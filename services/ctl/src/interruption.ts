/**
 * Runs something that the signal ends in order, at SIGINT or SIGTERM. A second SIGINT or SIGTERM ends the process at
 * once, as the first would without this function.
 */
export async function interruption(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const controller = new AbortController();
  const stop = (): void => {
    forget();
    controller.abort();
  };
  const forget = (): void => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    await run(controller.signal);
  } finally {
    forget();
  }
}
