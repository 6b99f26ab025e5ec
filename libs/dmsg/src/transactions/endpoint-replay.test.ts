import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ABORT, BASE_MASK, CREATE, DELETE, REPLY, REVCIRC, REVTRANS } from '../command.ts';
import { type DialectRules, rulesOf } from '../dialect.ts';
import { ErrorCode } from '../error-code.ts';
import type { Frame } from '../wire/frame.ts';
import { FrameReader } from '../wire/framing.ts';
import { keepFrame } from '../wire/kept-frame.ts';
import { RecordingSide } from './recording-side.fixture.ts';
import type { LinkAddress, Transaction } from './transaction.ts';

const CAPTURES = new URL('../../../../test/data/captures/', import.meta.url);

type Who = 'client' | 'daemon';

interface Entry {
  conn?: string;
  from?: Who;
  event?: string;
  cmd?: string;
  hex?: string;
}

/**
 * Number of recorded messages, by capture, that a correct endpoint does not send: the reference ends a circuit before
 * the transactions stacked on it, or forgets those (protocol.md, "stacking"; the captures' README). Our endpoint has
 * sent their like already, or cannot.
 */
const UNSENDABLE: Record<string, number> = {
  'v2-6c-owner-drops.json': 5,
  'v2-6d-requester-drops.json': 2,
  'v2-6e-span-closed.json': 3,
  'v2-6f-relay-closed.json': 2,
};

/** Both ends of a recorded connection as endpoints that send what was recorded, with msgids of their own. */
class ReplayedConnection {
  unsendable = 0;
  readonly #sides: Record<Who, RecordingSide>;
  readonly #readers: Record<Who, FrameReader>;
  /** The transaction at either side, by recorded opener and msgid. */
  readonly #known = new Map<string, Record<Who, Transaction>>();

  constructor(rules: DialectRules) {
    this.#sides = { client: new RecordingSide({ rules }), daemon: new RecordingSide({ rules }) };
    this.#readers = { client: new FrameReader({ rules }), daemon: new FrameReader({ rules }) };
  }

  play(from: Who, bytes: Uint8Array): void {
    this.#readers[from].push(bytes, { onFrame: (frame) => this.#say(from, keepFrame(frame)) });
  }

  lost(): void {
    for (const { endpoint } of Object.values(this.#sides)) {
      endpoint.lost(ErrorCode.EOF);
      expect(endpoint.openCount).toBe(0);
    }
  }

  #say(from: Who, frame: Frame): void {
    const side = this.#sides[from];
    const peer = this.#sides[from === 'client' ? 'daemon' : 'client'];
    const sent = this.#repeat(from, side, frame);
    const said = side.saidFrames();
    if (!sent) this.unsendable++;
    else {
      const last = said.at(-1)!;
      expect(last.cmd.toString(16)).toBe(frame.cmd.toString(16));
      expect([last.error, last.auxBytes]).toEqual([frame.error, frame.auxBytes]);
      expect(last.buf.subarray(64)).toEqual(frame.buf.subarray(64));
      if (frame.auxPadded > 0) expect(last.auxCrc).toBe(frame.auxCrc);
    }
    for (const one of said) peer.endpoint.receive(one);
    const { opened } = peer;
    if (sent && (frame.cmd & (CREATE | REPLY)) >>> 0 === CREATE)
      this.#known.get(key(from, frame))![other(from)] = opened.at(-1)!;
  }

  /** Makes the endpoint send the recorded message; false if it does not. */
  #repeat(from: Who, { endpoint, handler, rules }: RecordingSide, frame: Frame): boolean {
    const { cmd, error } = frame;
    const aux = frame.auxPadded === 0 ? null : frame.buf.subarray(frame.headBytes, frame.headBytes + frame.auxBytes);
    const payload = frame.buf.subarray(64, frame.headBytes);
    const command = cmd & (BASE_MASK | DELETE | ABORT);
    let circuit: Transaction | null = null;
    let address: LinkAddress | null = null;
    if (rules.stacked) {
      if ((frame.circuitLo | frame.circuitHi) !== 0) {
        const opener = (cmd & REVCIRC) === 0 ? from : other(from);
        circuit = this.#known.get(key(opener, { msgidLo: frame.circuitLo, msgidHi: frame.circuitHi }))![from];
      }
    } else {
      const { circuitLo: sourceLo, circuitHi: sourceHi, targetLo, targetHi } = frame;
      address = { sourceLo, sourceHi, targetLo, targetHi };
    }
    if ((frame.msgidLo | frame.msgidHi) === 0) {
      return endpoint.oneWay(cmd & (BASE_MASK | REPLY), error, payload, aux, circuit, address);
    }
    if ((cmd & (CREATE | REPLY)) >>> 0 === CREATE) {
      const tx = endpoint.open(command, circuit, handler, payload, error, aux, address);
      this.#known.set(key(from, frame), { client: tx, daemon: tx });
      return true;
    }
    const opener = (cmd & (rules.stacked ? REVTRANS : REPLY)) === 0 ? from : other(from);
    return endpoint.send(this.#known.get(key(opener, frame))![from], command, error, payload, aux);
  }
}

function other(who: Who): Who {
  return who === 'client' ? 'daemon' : 'client';
}

function key(opener: Who, { msgidLo, msgidHi }: Pick<Frame, 'msgidLo' | 'msgidHi'>): string {
  return `${opener} ${msgidHi.toString(16)} ${msgidLo.toString(16)}`;
}

describe('recorded transactions between two endpoints: same words, no protocol error', () => {
  const files = readdirSync(CAPTURES).filter((name) => /^v[12]-.*\.json$/.test(name));

  it('there are captures', () => {
    expect(files.length).toBeGreaterThan(20);
  });

  it.each(files)('%s', (name) => {
    const capture = JSON.parse(readFileSync(new URL(name, CAPTURES), 'utf8')) as { entries: Entry[] };
    const rules = rulesOf(name.startsWith('v1') ? 'linkid' : 'circuit');
    const connections = new Map<string, ReplayedConnection>();
    let messages = 0;
    let unsendable = 0;
    for (const { conn = '', from, event, cmd, hex } of capture.entries) {
      let connection = connections.get(conn);
      if (event?.includes('closed') && connection !== undefined) {
        connection.lost();
        unsendable += connection.unsendable;
        connections.delete(conn);
      } else if (cmd !== undefined && hex !== undefined && from !== undefined) {
        if (connection === undefined) {
          connection = new ReplayedConnection(rules);
          connections.set(conn, connection);
        }
        connection.play(from, Buffer.from(hex, 'hex'));
        messages++;
      }
    }
    for (const connection of connections.values()) {
      connection.lost();
      unsendable += connection.unsendable;
    }
    expect(messages).toBeGreaterThan(0);
    expect(unsendable).toBe(UNSENDABLE[name] ?? 0);
  });
});
