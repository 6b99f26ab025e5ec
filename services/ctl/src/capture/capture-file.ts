import type { Dialect } from '@spanmesh/dmsg/dialect';
import { type HostPort, parseHostPort } from '@spanmesh/runtime/address';
import { VERSION } from '@spanmesh/runtime/version';
import { enhancedPacket, interfaceDescription, nameResolution, sectionHeader } from './pcapng.ts';
import { TcpFrames } from './tcp-frames.ts';

/**
 * Port of DMSG (protocol.md, introduction). The file gives it to the listening end, whatever its real port, so that
 * Wireshark recognises DMSG.
 */
const DMSG_PORT = 987;

/** The connection whose messages a file holds. */
export interface CapturedConnection {
  /** The connection's id. */
  readonly id: string;
  readonly dialect: Dialect;
  /** `address:port`, numeric. */
  readonly local: string;
  readonly remote: string;
  /** Whether the gateway has dialled the connection: then the peer is the listening end. */
  readonly dialled: boolean;
  readonly gatewayName: string;
  /** Name of the peer, for people; empty: unknown. */
  readonly peerName: string;
}

/** A message of the connection. */
export interface FileMessage {
  readonly timeUs: number;
  /** Sent by the gateway to the peer; otherwise received. */
  readonly sent: boolean;
  /** The message, or its beginning. */
  readonly data: Uint8Array;
  readonly length: number;
  /** Bytes in the same direction, between the message before and this one, that were not captured. */
  readonly missedBytes: number;
}

/**
 * Writes a connection's messages as a pcapng file: TCP packets, one message each, made up around the captured bytes.
 */
export class CaptureFile {
  /** The first bytes of the file. */
  readonly head: Buffer;
  readonly #frames: TcpFrames;
  readonly #dialect: Dialect;
  readonly #names: { readonly gateway: string; readonly peer: string };

  constructor({ id, dialect, local, remote, dialled, gatewayName, peerName }: CapturedConnection) {
    const [here, there] = [hostPort(local), hostPort(remote)];
    this.#dialect = dialect;
    this.#names = { gateway: gatewayName, peer: peerName === '' ? remote : peerName };
    this.#frames = new TcpFrames(
      { host: here.host, port: dialled ? here.port : DMSG_PORT },
      { host: there.host, port: dialled ? DMSG_PORT : there.port },
    );
    const { addresses } = this.#frames;
    const description = `${dialect}, ${local} to ${remote}, ${dialled ? 'dialled' : 'accepted'}`;
    // If both ends have one address, it can have only one name.
    const named = local.replace(/:\d+$/, '') !== remote.replace(/:\d+$/, '');
    this.head = Buffer.concat([
      sectionHeader({
        application: `spanmesh ${VERSION}`,
        comment: `DMSG connection ${id}, decrypted; headers of IP and TCP are made up`,
      }),
      interfaceDescription({ name: id, description }),
      ...(named ? [nameResolution(namesOf(addresses, { gateway: gatewayName, peer: peerName }))] : []),
    ]);
  }

  /** The packets of a message. The dissector takes the dialect from their comment (tools/wireshark/dmsg.lua). */
  packets({ timeUs, sent, data, length, missedBytes }: FileMessage): Buffer {
    const { gateway, peer } = this.#names;
    const way = sent ? `${gateway} → ${peer}` : `${peer} → ${gateway}`;
    const gap = missedBytes === 0 ? '' : `; ${missedBytes} bytes before it were not captured`;
    const comment = `DMSG ${this.#dialect}, ${way}${gap}`;
    const frames = this.#frames.frames(sent, data, { length, missed: missedBytes });
    return Buffer.concat(frames.map((frame) => enhancedPacket({ timeUs, ...frame, outbound: sent, comment })));
  }
}

function namesOf(
  { local, remote }: { readonly local: Uint8Array; readonly remote: Uint8Array },
  { gateway, peer }: { readonly gateway: string; readonly peer: string },
): [Uint8Array, string][] {
  const names: [Uint8Array, string][] = [[local, gateway]];
  // Only names that look like a host's: a label may hold anything.
  if (/^[\w.-]{1,63}$/.test(peer)) names.push([remote, peer]);
  return names;
}

/** Reads an address. One in an unknown form must not end the capture. */
function hostPort(text: string): HostPort {
  try {
    return parseHostPort(text);
  } catch {
    return { host: '0.0.0.0', port: 0 };
  }
}
