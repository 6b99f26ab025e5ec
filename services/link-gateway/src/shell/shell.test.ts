import { CREATE, DBG_SHELL, DELETE, LNK_SPAN } from '@spanmesh/dmsg/command';
import { CIRCUIT, LINKID } from '@spanmesh/dmsg/dialect';
import { decodeShellText, shellAux } from '@spanmesh/dmsg/payload/dbg-shell';
import type { PeerTarget } from '@spanmesh/dmsg/peer-target';
import { RecordingSide } from '@spanmesh/dmsg/recording-side.fixture';
import { type GetTreeRequest, GetTreeResponse } from '@spanmesh/proto/v1/topology';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Connection } from '../connection/connection.ts';
import { SHELL_PACE_BYTES, SHELL_QUEUE_LENGTH, SHELL_TEXT_BYTES, SHELL_TREE_MS } from '../limits.ts';
import { GatewayMetrics } from '../metrics.ts';
import { Peer } from '../peers/peer.ts';
import { Shell } from './shell.ts';
import { ShellOutput } from './shell-output.ts';

describe('the debug shell', () => {
  let side: RecordingSide;
  let clock: FakeClock;
  let metrics: GatewayMetrics;
  /** The part of a connection that the shell uses. */
  let connection: {
    endpoint: unknown;
    dialect: 'linkid';
    isOpen: boolean;
    queuedBytes: number;
    onceDrained(fn: () => void): void;
  };
  /** Callbacks that wait for the connection's queue to drain. */
  let waiting: (() => void)[];
  beforeEach(() => {
    side = new RecordingSide({ rules: LINKID });
    clock = new FakeClock();
    metrics = new GatewayMetrics();
    waiting = [];
    const { endpoint } = side;
    const onceDrained = (fn: () => void) => void waiting.push(fn);
    connection = { endpoint, dialect: 'linkid', isOpen: true, queuedBytes: 0, onceDrained };
    const peer = new Peer(connection as unknown as Connection);
    const never: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) };
    const shell = new Shell({
      clock,
      metrics,
      treeSource: () => never,
      dial: () => Promise.reject(new Error('nobody')),
      relayMsgid: () => null,
    });
    side.onOneWay = (frame) => shell.oneWay(peer, frame, null);
  });

  /** The lines with which a command is answered at once; the end of the output is an empty line. */
  function say(text: string): string[] {
    side.hear(DBG_SHELL, { aux: shellAux(text) });
    return lines();
  }

  function lines(): string[] {
    return side.saidFrames().map((frame) => decodeShellText(frame).trimEnd());
  }

  // Limits: link-gateway/src/limits.ts SHELL_TEXT_BYTES
  it('refuses commands of more than a kilobyte', () => {
    expect(say('x'.repeat(SHELL_TEXT_BYTES))[0]).toMatch(/^Unrecognized command: x/);
    expect(metrics.shellRefused).toBe(0);
    expect(say('x'.repeat(SHELL_TEXT_BYTES + 1))).toEqual(['Command too long', '']);
    expect([metrics.shellCommands, metrics.shellRefused]).toEqual([2, 1]);
  });

  // Limits: link-gateway/src/limits.ts SHELL_QUEUE_LENGTH
  it('lets a bounded number of commands wait for the one that runs, and refuses more', async () => {
    expect(say('tree')).toEqual([]);
    for (let n = 0; n < SHELL_QUEUE_LENGTH; n++) expect(say('nonsense')).toEqual([]);
    expect(say('nonsense')).toEqual(['Too many commands', '']);
    expect(metrics.shellRefused).toBe(1);
    // After topology's time is over the waiting commands are answered.
    clock.advance(SHELL_TREE_MS);
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines().filter((line) => line.startsWith('Unrecognized'))).toHaveLength(SHELL_QUEUE_LENGTH);
    expect(clock.pending).toBe(0);
  });

  it('says that topology cannot be reached, and ends the output', async () => {
    say('tree');
    clock.advance(SHELL_TREE_MS - 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines()).toEqual([]);
    clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(lines()).toEqual(['The tree is not available: topology cannot be reached', '']);
  });

  it('knows its commands by their first word, and answers an empty one with nothing', () => {
    expect(say('help').slice(0, -1)).toHaveLength(3);
    expect(say('  help  me ')).toHaveLength(4);
    expect(say('   ')).toEqual(['']);
  });

  it('says nothing to a peer that has gone, and leaves its commands alone', () => {
    connection.isOpen = false;
    expect(say('help')).toEqual([]);
  });

  // Limits: link-gateway/src/limits.ts SHELL_PACE_BYTES
  it('waits for the peer to read while much output is queued for it', async () => {
    const output = new ShellOutput(connection as unknown as Connection, null, null);
    connection.queuedBytes = SHELL_PACE_BYTES;
    await output.room();
    connection.queuedBytes++;
    let hasRoom = false;
    const room = output.room().then(() => {
      hasRoom = true;
    });
    for (let n = 0; n < 2; n++) {
      await new Promise((resolve) => setImmediate(resolve));
      expect([hasRoom, waiting.length]).toEqual([false, 1]);
      // The queue has drained a little, but not enough.
      waiting.splice(0)[0]?.();
    }
    await new Promise((resolve) => setImmediate(resolve));
    connection.queuedBytes--;
    waiting.splice(0)[0]?.();
    await room;
  });
});

describe('a command', () => {
  /** The parts that topology's answer has, how it ends, and what became of it. */
  let parts: GetTreeResponse[];
  let asked: GetTreeRequest[];
  let signal: AbortSignal | null;
  let returned: number;
  let dialled: PeerTarget[];
  beforeEach(() => {
    parts = [];
    asked = [];
    signal = null;
    returned = 0;
    dialled = [];
  });

  function world(rules: typeof LINKID) {
    const side = new RecordingSide({ rules });
    const clock = new FakeClock();
    const connection = {
      endpoint: side.endpoint as unknown,
      dialect: rules.dialect as unknown,
      isOpen: true,
      queuedBytes: 0,
      onceDrained: (fn: () => void) => fn(),
    };
    const peer = new Peer(connection as unknown as Connection);
    const shell = new Shell({
      clock,
      metrics: new GatewayMetrics(),
      treeSource: (request, aborts) => {
        asked.push(request);
        signal = aborts;
        return {
          [Symbol.asyncIterator]: () => ({
            next: async () => {
              const value = parts.shift();
              return value === undefined ? { done: true, value: undefined } : { done: false, value };
            },
            return: async () => {
              returned++;
              throw new Error('it has ended');
            },
          }),
        };
      },
      dial: async (target) => {
        dialled.push(target);
      },
      relayMsgid: () => null,
    });
    side.onOpen = (tx, frame) => shell.open(peer, tx, frame);
    side.onOneWay = (frame, circuit) => shell.oneWay(peer, frame, circuit);
    /** The lines that were said, each with whether it ends the transaction. */
    const lines = () =>
      side.saidFrames().map((frame) => [decodeShellText(frame).trimEnd(), (frame.cmd & DELETE) !== 0] as const);
    return { side, clock, connection, lines };
  }

  const cluster = (id: string) => GetTreeResponse.fromPartial({ clusters: [{ cluster: { key: { id } } }] });
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  const msgid = { lo: 1, hi: 0 };

  it('that is a transaction is answered inside it', async () => {
    const { side, lines, clock } = world(LINKID);
    parts = [cluster('c1'), cluster('c2')];
    side.hear(CREATE | DBG_SHELL, { msgid, aux: shellAux('tree') });
    await settled();
    expect(lines()).toEqual([
      ['Cluster c1', false],
      ['Cluster c2', false],
      ['', true],
    ]);
    expect([asked[0]?.withRelays, asked[0]?.clusterId, signal?.aborted, returned, clock.pending]).toEqual([
      false,
      '',
      true,
      1,
      0,
    ]);
  });

  it('of circuit ends with a prompt, has one line more of help, and relays in its tree', async () => {
    const { side, lines } = world(CIRCUIT);
    side.hear(CREATE | LNK_SPAN, { msgid });
    side.hear(CREATE | DBG_SHELL, { msgid: { lo: 2, hi: 0 }, circuit: msgid, aux: shellAux('help') });
    const said = lines().slice(1);
    expect([said.length, said.at(-2)?.[0], said.at(-1)]).toEqual([
      5,
      '@span <cmd>     Issue via circuit',
      ['debug>', true],
    ]);
    side.hear(DBG_SHELL, { circuit: msgid, aux: shellAux('tree') });
    await settled();
    expect([lines().at(-1)?.[0], asked[0]?.withRelays]).toEqual(['debug>', true]);
  });

  it('to connect names the target', async () => {
    const { side, lines } = world(LINKID);
    side.hear(DBG_SHELL, { aux: shellAux('span a.example') });
    await settled();
    expect([lines()[0]?.[0], dialled]).toEqual(['Connected to a.example', [{ host: 'a.example', port: 987 }]]);
    side.hear(DBG_SHELL, { aux: shellAux('span') });
    await settled();
    expect([lines()[0]?.[0], dialled.length]).toEqual(['Connection to (null) failed', 1]);
  });

  it('of a peer that goes meanwhile says nothing more, and asks for no more', async () => {
    const { side, lines, connection, clock } = world(LINKID);
    parts = [cluster('c1'), cluster('c2'), cluster('c3')];
    side.hear(DBG_SHELL, { aux: shellAux('tree') });
    connection.isOpen = false;
    await settled();
    expect([lines().filter(([line]) => line !== ''), parts.length, returned, clock.pending]).toEqual([[], 2, 1, 0]);
    // Without a dialect, as when the connection has ended, topology is not asked.
    connection.isOpen = true;
    connection.dialect = null;
    side.hear(DBG_SHELL, { aux: shellAux('tree') });
    await settled();
    expect(asked).toHaveLength(1);
  });
});
