import type { ServiceProcess } from '../peer/installation.ts';

/** Setting of the environment with which a process can be told to collect its garbage. */
export const COLLECTABLE = { NODE_OPTIONS: '--inspect=127.0.0.1:0' };

/** Has a process that was started so collect its garbage: what it holds then is what it needs. */
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
