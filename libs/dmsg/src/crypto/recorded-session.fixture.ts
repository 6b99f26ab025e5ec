import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DialectRules } from '../dialect.ts';
import { CIRCUIT, LINKID } from '../dialect.ts';
import type { HandshakeKeys } from './handshake-block.ts';

// For tests: the encrypted sessions recorded from the reference daemons (test/data/captures/README.md).

const DIRECTORY = join(import.meta.dirname, '../../../../test/data/captures');

/** One side of a recorded connection: its keys and the bytes that it sent. */
export interface RecordedSide {
  readonly name: string;
  readonly rules: DialectRules;
  readonly tagged: boolean;
  /** The side's own keys; its peer has the other halves. */
  readonly keys: HandshakeKeys;
  readonly peerKeys: HandshakeKeys;
  readonly handshakePlain: Buffer;
  readonly handshakeWire: Buffer;
  /** Everything this side sent after its handshake. */
  readonly wire: Buffer;
  readonly messages: readonly Buffer[];
}

/** The JSON of a recorded session, as far as it is used here. */
interface Session {
  readonly keys: Readonly<Record<'daemonPrivate' | 'daemonPublic' | 'clientPrivate' | 'clientPublic', string>>;
  readonly handshakes: { readonly A: { readonly clientPlain: string; readonly daemonPlain: string } };
  readonly entries: readonly { conn?: string; from?: string; wire?: string; cmd?: string; hex?: string }[];
}

const FILES = [
  { file: 'v1-7-encrypted', rules: LINKID, tagged: true },
  { file: 'v2-7-encrypted-tagged', rules: CIRCUIT, tagged: true },
  { file: 'v2-7-encrypted-untagged', rules: CIRCUIT, tagged: false },
] as const;

/** Both sides of every encrypted session. */
export function recordedSides(): RecordedSide[] {
  return FILES.flatMap(({ file, rules, tagged }) => {
    const session = JSON.parse(readFileSync(join(DIRECTORY, `${file}.json`), 'utf8')) as Session;
    const client = keysOf(session.keys.clientPrivate, session.keys.daemonPublic);
    const daemon = keysOf(session.keys.daemonPrivate, session.keys.clientPublic);
    const side = (from: 'client' | 'daemon', keys: HandshakeKeys, peerKeys: HandshakeKeys): RecordedSide => {
      const entries = session.entries.filter((entry) => entry.conn === 'A' && entry.from === from);
      const hex = (wanted: (entry: (typeof entries)[number]) => boolean) =>
        entries.filter(wanted).map((entry) => Buffer.from(entry.hex!, 'hex'));
      return {
        name: `${file} from ${from}`,
        rules,
        tagged,
        keys,
        peerKeys,
        handshakePlain: Buffer.from(session.handshakes.A[`${from}Plain`], 'hex'),
        handshakeWire: Buffer.concat(hex((entry) => entry.wire?.startsWith('handshake') === true)),
        wire: Buffer.concat(hex((entry) => entry.wire === 'ciphertext')),
        messages: hex((entry) => entry.cmd !== undefined),
      };
    };
    return [side('client', client, daemon), side('daemon', daemon, client)];
  });
}

function keysOf(own: string, peer: string): HandshakeKeys {
  return { own: createPrivateKey(own), peer: createPublicKey(peer) };
}
