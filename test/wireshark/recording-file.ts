import { CaptureFile } from '@spanmesh/ctl/capture/capture-file';
import { loadCapture } from '../peer/capture.ts';

/**
 * A recorded session as a pcapng file, in which each connection has an address of its own, and its messages in the
 * file's order.
 */
export function recordingFile(name: string) {
  const { dialect, entries } = loadCapture(name);
  const messages = entries.filter((entry) => entry.kind === 'message');
  const files = new Map<string, CaptureFile>();
  const parts: Buffer[] = [];
  messages.forEach(({ conn, fromClient, bytes }, i) => {
    let file = files.get(conn);
    if (file === undefined) {
      const host = `10.0.0.${files.size + 2}`;
      file = new CaptureFile({
        id: `${name}:${conn}`,
        dialect,
        local: '10.0.0.1:9987',
        remote: `${host}:${40_000 + files.size}`,
        dialled: false,
        gatewayName: 'daemon',
        peerName: `client-${conn}`,
      });
      // The file has one section with one interface for all connections.
      if (files.size === 0) parts.push(file.head);
      files.set(conn, file);
    }
    parts.push(
      file.packets({
        timeUs: 1_700_000_000_000_000 + i * 1000,
        sent: !fromClient,
        data: bytes,
        length: bytes.length,
        missedBytes: 0,
      }),
    );
  });
  return { dialect, messages, pcapng: Buffer.concat(parts) };
}
