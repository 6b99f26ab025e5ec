import type { Dialect } from '@spanmesh/dmsg/dialect';
import { type HostPort, parseHostPort } from '@spanmesh/runtime/address';
import { VERSION } from '@spanmesh/runtime/version';
import { enhancedPacket, interfaceDescription, nameResolution, sectionHeader } from './pcapng.ts';
import { TcpFrames } from './tcp-frames.ts';

/** Port of DMSG (protocol.md, introduction): the end that listens has it in the file, whatever it had, so that it is known for DMSG. */
const DMSG_PORT = 987;

/** The connection that a file is of. */
export interface CapturedConnection {
  /** Its id. */
  readonly id: string;
  readonly dialect: Dialect;
  /** `address:port`, numeric. */
  readonly local: string;
  readonly remote: string;
  /** The gateway has made it: its peer listens. */
  readonly dialled: boolean;
  readonly gatewayName: string;
  /** Name of the peer for people; empty: none is known. */
  readonly peerName: string;
}

/** A message of it. */
export interface FileMessage {
  readonly timeUs: number;
  /** By the gateway to the peer. */
  readonly sent: boolean;
  /** Its beginning, or all of it. */
  readonly data: Uint8Array;
  readonly length: number;
  /** Bytes of its direction between the message before and this one that are not there. */
  readonly missedBytes: number;
}

/** Writes a connection's messages as a pcapng file: TCP packets, one message each, made up around the bytes that passed. */
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
    // Two ends at one address cannot both give it their name.
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
  // Names there are of hosts: a label may hold anything.
  if (/^[\w.-]{1,63}$/.test(peer)) names.push([remote, peer]);
  return names;
}

/** An address in a form that is not known must not cost the capture. */
function hostPort(text: string): HostPort {
  try {
    return parseHostPort(text);
  } catch {
    return { host: '0.0.0.0', port: 0 };
  }
}
