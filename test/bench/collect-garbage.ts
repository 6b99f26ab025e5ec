import type { ServiceProcess } from '../peer/installation.ts';

/** Environment for a process that `collectGarbage` will be called for. */
export const COLLECTABLE = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

/** Makes a process that was started with COLLECTABLE collect its garbage, so that its memory shows what it needs. */
export async function collectGarbage({ output }: ServiceProcess): Promise<void> {
  const address = /ws:\/\/\S+/.exec(output)?.[0];
  if (address === undefined) throw new Error('the process was not started so that it can be told');
  const socket = new WebSocket(address);
  try {
    await new Promise((resolve, reject) => {
      socket.onopen = () => socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
      socket.onmessage = resolve;
      socket.onerror = reject;
    });
  } finally {
    socket.close();
  }
}
