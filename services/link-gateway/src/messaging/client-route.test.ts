import { status } from '@grpc/grpc-js';
import { ABORT, BLK_READ, CREATE, DELETE, LNK_ERROR, LNK_PING, REPLY, REVTRANS } from '@spanmesh/dmsg/command';
import { rulesOf } from '@spanmesh/dmsg/dialect';
import { Endpoint, type EndpointHandler } from '@spanmesh/dmsg/endpoint';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { OutBuffer } from '@spanmesh/dmsg/out-buffer';
import { SaltSequence } from '@spanmesh/dmsg/salt';
import type { EndingJob, Transaction, TransactionHandler } from '@spanmesh/dmsg/transaction';
import { Flow } from '@spanmesh/dmsg-socket/stream/flow';
import { RESTING } from '@spanmesh/dmsg-socket/stream/pressure';
import { RoutedMessage } from '@spanmesh/proto/v1/messaging';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it, vi } from 'vitest';
import { LocalRoute } from '../routing/local-route.ts';
import { RouteClass } from '../routing/route-class.ts';
import { ClientRoute } from './client-route.ts';
import { ClientStream } from './client-stream.ts';
import { MAX_ROUTE_TRANSACTIONS } from './limits.ts';
import { MessagingMetrics } from './messaging-metrics.ts';
import { MESSAGE_BYTES } from './routed-message.ts';

const RULES = rulesOf('circuit');
/** A command of two header units: with room for a payload. */
const COMMAND = 0x00100202;
const MAX_DEPTH = 64;

/** What the node has got. */
interface Got {
  readonly tx: Transaction | null;
  readonly circuit: Transaction | null;
  readonly word: string;
  readonly error: number;
  readonly payload: string;
  readonly aux: string;
}

function wordOf(cmd: number): string {
  return (cmd >>> 0).toString(16).padStart(8, '0');
}

/** A client's route to a node of which the test plays both ends. */
function world({
  attached = true,
  lastNodeNumber,
  inSlices = (job) => void [...job],
}: {
  attached?: boolean;
  lastNodeNumber?: number;
  inSlices?: (job: EndingJob) => void;
} = {}) {
  const sent: RoutedMessage[] = [];
  const sizes: number[] = [];
  const metrics = new MessagingMetrics();
  const stream = new ClientStream(
    {
      write: ({ routed }) => {
        if (routed !== undefined) sent.push(routed);
        return true;
      },
      end() {},
      emit: () => true,
    },
    { clock: new FakeClock(), onStuck() {} },
  );
  const write = stream.write.bind(stream);
  stream.write = (response, bytes) => {
    sizes.push(bytes);
    write(response, bytes);
  };
  const happened: string[] = [];
  const client = new ClientRoute(RULES, {
    stream,
    metrics,
    principal: 'somebody',
    onLost: (reason) => void happened.push(`lost ${reason}`),
    onDone: () => void happened.push('done'),
    ...(lastNodeNumber === undefined ? {} : { lastNodeNumber }),
  });
  const [toNode, toGateway] = [new OutBuffer(), new OutBuffer()];
  const side = (out: OutBuffer, handler: EndpointHandler) =>
    new Endpoint({ rules: RULES }, { out, handler, salts: new SaltSequence() });
  const got: Got[] = [];
  const record = (tx: Transaction | null, circuit: Transaction | null, frame: Frame) => {
    const { buf, off, headBytes, auxBytes, cmd, error } = frame;
    const text = (from: number, to: number) =>
      Buffer.from(buf.subarray(from, to)).toString('latin1').replace(/\0+$/, '');
    const [payload, aux] = [text(off + 64, off + headBytes), text(off + headBytes, off + headBytes + auxBytes)];
    got.push({ tx, circuit, word: wordOf(cmd), error, payload, aux });
  };
  const nodesHandler: TransactionHandler = {
    onMessage: (tx, frame) => record(tx, tx.circuit, frame),
    onLost() {},
  };
  const ours: Endpoint = side(toNode, {
    onOpen: (tx, frame) => route.opened(tx, frame),
    onOneWay: (frame, circuit) => route.heard(frame, circuit),
  });
  const node = side(toGateway, {
    onOpen: (tx, frame) => {
      tx.handler = nodesHandler;
      record(tx, tx.circuit, frame);
    },
    onOneWay: (frame, circuit) => record(null, circuit, frame),
  });
  const route = new LocalRoute(
    client,
    { endpoint: ours, circuit: null, address: null, blocks: null, pressure: RESTING },
    {
      flow: new Flow(),
      metrics: { routedDropped: 0 },
      routes: new RouteClass(1),
      closed() {},
      ended() {},
      inSlices,
    },
  );
  if (attached) client.attach(route);
  const readers = [new FrameReader({ rules: RULES }), new FrameReader({ rules: RULES })] as const;
  /** Delivers what waits, in both directions. */
  const deliver = () => {
    for (let isIdle = false; !isIdle; ) {
      const [out, back] = [toNode.take(), toGateway.take()];
      for (const slice of out) readers[0].push(slice, { onFrame: (frame) => node.receive(frame) });
      for (const slice of back) readers[1].push(slice, { onFrame: (frame) => ours.receive(frame) });
      isIdle = out.length + back.length === 0;
    }
  };
  const say = (message: Partial<RoutedMessage>) => {
    client.take(RoutedMessage.fromPartial({ command: COMMAND, ...message }));
    deliver();
  };
  /** The node opens a transaction. */
  const opens = (circuit: Transaction | null = null, cmd = COMMAND) => {
    const tx = node.open(cmd, circuit, nodesHandler);
    deliver();
    return tx;
  };
  return { client, route, ours, node, metrics, sent, sizes, happened, got, deliver, say, opens, nodesHandler };
}

const invalid = (details: string) => expect.objectContaining({ code: status.INVALID_ARGUMENT, details });

describe("a transaction of a client's route", () => {
  it('that the client opens has its command, error, payload and aux data at the node, and the node answers in it', () => {
    const { client, metrics, sent, sizes, got, deliver, say, node } = world();
    const [payload, aux] = [Buffer.from('payload'), Buffer.from('aux')];
    say({ transaction: 7, create: true, error: 3, payload, aux });
    expect(got).toMatchObject([{ word: wordOf(COMMAND | CREATE), error: 3, payload: 'payload', aux: 'aux' }]);
    const tx = got[0]?.tx;
    if (tx == null) throw new Error('it has come');
    say({ transaction: 7, error: 4, payload: Buffer.from('more'), aux: Buffer.from('of it') });
    expect(got.at(-1)).toMatchObject({ tx, word: wordOf(COMMAND), error: 4, payload: 'more', aux: 'of it' });
    node.send(tx, COMMAND, 5, payload, aux);
    deliver();
    expect(sent).toEqual([
      expect.objectContaining({
        transaction: 7,
        openedByNode: false,
        circuit: 0,
        create: true,
        delete: false,
        error: 5,
      }),
    ]);
    expect(sent[0]?.payload.subarray(0, 8).toString()).toBe('payload\0');
    expect(sizes).toEqual([MESSAGE_BYTES + 64 + 3]);
    say({ transaction: 7, delete: true });
    expect(got.at(-1)?.word).toBe(wordOf(COMMAND | DELETE));
    expect(client.open).toBe(1);
    node.end(tx);
    deliver();
    expect(sent.at(-1)).toMatchObject({ transaction: 7, delete: true, abort: false });
    expect([client.open, metrics.messagesFromClients, metrics.messagesToClients]).toEqual([0, 3, 2]);
    // The number is free again.
    say({ transaction: 7, create: true, delete: true });
    expect(got.at(-1)?.word).toBe(wordOf(COMMAND | CREATE | DELETE));
    expect(() => say({ transaction: 7 })).toThrow(invalid('Transaction 7: you have closed your direction of it.'));
  });

  it('is opened once by each side, closed once, and silent afterwards', () => {
    const { say, opens, got, node, deliver } = world();
    const flags = invalid('A command has no flags: bits 0 to 23 only.');
    expect(() => say({ transaction: 1, create: true, command: COMMAND | REPLY })).toThrow(flags);
    expect(() => say({ transaction: 1, create: true, delete: true, abort: true })).toThrow(
      invalid('Transaction 1: what is not open cannot be aborted.'),
    );
    say({ transaction: 1, create: true });
    expect(() => say({ transaction: 1, create: true })).toThrow(
      invalid('Transaction 1 is open already: choose a number that is not in use.'),
    );
    const tx = opens();
    expect(() => say({ transaction: 1, openedByNode: true })).toThrow(
      invalid('Transaction 1: your first message opens your direction of it, set create.'),
    );
    say({ transaction: 1, openedByNode: true, create: true });
    expect([got.at(-1)?.tx === tx, got.at(-1)?.word]).toEqual([true, wordOf(COMMAND | CREATE | REPLY | REVTRANS)]);
    say({ transaction: 1, openedByNode: true, delete: true, abort: true });
    expect(got.at(-1)?.word).toBe(wordOf(COMMAND | REPLY | DELETE | ABORT | REVTRANS));
    expect(() => say({ transaction: 1, openedByNode: true })).toThrow(
      invalid('Transaction 1: you have closed your direction of it.'),
    );
    node.end(tx);
    deliver();
  });

  it('that is gone takes no messages: they have crossed its end, and are counted', () => {
    const { say, metrics, got } = world();
    say({ transaction: 5 });
    say({ transaction: 5, openedByNode: true, create: true });
    expect([metrics.messagesLate, metrics.messagesFromClients, got]).toEqual([2, 2, []]);
  });

  it('that the node opens has a number of its own, and the one that it is stacked on', () => {
    const { client, sent, opens, say, got, node, deliver } = world();
    const first = opens();
    const second = opens(first);
    expect(sent).toMatchObject([
      { transaction: 1, openedByNode: true, circuit: 0, circuitOpenedByNode: false, create: true },
      { transaction: 2, openedByNode: true, circuit: 1, circuitOpenedByNode: true, create: true },
    ]);
    say({ transaction: 1, create: true });
    const [one] = got;
    if (one?.tx == null) throw new Error('it has come');
    opens(got.find(({ word }) => word === wordOf(COMMAND | CREATE))?.tx ?? null);
    expect(sent.at(-1)).toMatchObject({ transaction: 3, circuit: 1, circuitOpenedByNode: false });
    expect(client.open).toBe(4);
    node.end(second);
    deliver();
    say({ transaction: 2, openedByNode: true, create: true, delete: true });
    expect(client.open).toBe(3);
  });

  it.each([
    [0xffff_fffe, [0xffff_ffff, 1, 2]],
    [undefined, [1, 2, 3]],
  ])('that the node opens has the next number that is free, 1 after the last one (%s)', (lastNodeNumber, numbers) => {
    const { sent, opens } = world(lastNodeNumber === undefined ? {} : { lastNodeNumber });
    for (let n = 0; n < numbers.length; n++) opens();
    expect(sent.map(({ transaction }) => transaction)).toEqual(numbers);
  });

  it('is stacked on one of either side that the client names', () => {
    const { say, opens, got, sent, deliver, node, client } = world();
    say({ transaction: 1, create: true });
    const own = got.at(-1)?.tx;
    const theirs = opens();
    say({ transaction: 2, create: true, circuit: 1 });
    expect(got.at(-1)?.circuit).toBe(own);
    say({ transaction: 3, create: true, circuit: 1, circuitOpenedByNode: true });
    expect(got.at(-1)?.circuit).toBe(theirs);
    const inner = got.at(-1)?.tx;
    if (inner == null) throw new Error('it has come');
    node.send(inner, COMMAND);
    deliver();
    expect(sent.at(-1)).toMatchObject({ transaction: 3, circuit: 1, circuitOpenedByNode: true });
    // On one that is gone it is refused as the node would do.
    const before = client.open;
    say({ transaction: 9, create: true, circuit: 8, circuitOpenedByNode: true });
    expect(sent.at(-1)).toMatchObject({
      ...{ transaction: 9, openedByNode: false, circuit: 8, circuitOpenedByNode: true, command: LNK_ERROR },
      ...{ create: true, delete: true, abort: true, error: ErrorCode.LOSTLINK },
    });
    expect(client.open).toBe(before);
  });

  // Limits: messaging/limits.ts MAX_ROUTE_TRANSACTIONS
  // Causes: code messaging/client-route.ts RESOURCE_EXHAUSTED
  it('is one of MAX_ROUTE_TRANSACTIONS, whoever has opened the others', () => {
    const { client, say, opens, got } = world();
    opens();
    for (let n = 1; n < MAX_ROUTE_TRANSACTIONS; n++) say({ transaction: n, create: true });
    expect(client.open).toBe(1024);
    expect(() => say({ transaction: 5000, create: true })).toThrow(
      expect.objectContaining({ code: status.RESOURCE_EXHAUSTED }),
    );
    const tx = opens();
    expect([got.at(-1)?.tx === tx, got.at(-1)?.error]).toEqual([true, ErrorCode.CANTCIRC]);
    expect(client.open).toBe(1024);
  });

  it('cannot be stacked deeper than the protocol allows', () => {
    const { say, client } = world();
    say({ transaction: 1, create: true });
    const deeper = () => {
      for (let n = 2; n <= MAX_DEPTH + 2; n++) say({ transaction: n, create: true, circuit: n - 1 });
    };
    expect(deeper).toThrow(/^.*stacked too deep/);
    expect(client.open).toBeGreaterThan(1);
  });

  it('that is lost with its circuit is told as aborted', () => {
    const { say, got, node, sent, deliver, client, metrics } = world();
    say({ transaction: 1, create: true });
    const outer = got.at(-1)?.tx;
    say({ transaction: 2, create: true, circuit: 1 });
    if (outer == null) throw new Error('it has come');
    node.end(outer);
    deliver();
    deliver();
    const lost = sent.filter(({ transaction }) => transaction === 2);
    expect(lost).toMatchObject([{ circuit: 1, create: true, delete: true, abort: true, error: ErrorCode.LOSTLINK }]);
    say({ transaction: 2, delete: true });
    expect([client.open, metrics.messagesLate]).toEqual([1, 0]);
  });
});

describe("a one-way message on a client's route", () => {
  it('goes both ways, on the span and on transactions', () => {
    const { say, got, node, sent, opens, deliver, metrics } = world();
    say({ transaction: 1, create: true });
    const theirs = opens();
    const fields = { error: 2, payload: Buffer.from('p'), aux: Buffer.from('a') };
    say({ transaction: 0, ...fields });
    expect(got.at(-1)).toMatchObject({
      tx: null,
      circuit: null,
      word: wordOf(COMMAND),
      error: 2,
      payload: 'p',
      aux: 'a',
    });
    say({ transaction: 0, reply: true, circuit: 1 });
    expect(got.at(-1)).toMatchObject({ circuit: got[0]?.tx, word: wordOf(COMMAND | REPLY) });
    node.oneWay(LNK_PING);
    node.oneWay(COMMAND, 0, null, null, theirs);
    deliver();
    expect(sent.slice(-2)).toMatchObject([
      { transaction: 0, circuit: 0, command: LNK_PING },
      { transaction: 0, circuit: 1, circuitOpenedByNode: true, command: COMMAND },
    ]);
    expect(metrics.messagesLate).toBe(0);
    say({ transaction: 0, circuit: 9 });
    expect(metrics.messagesLate).toBe(1);
  });

  it('is late when the route is lost', () => {
    const { say, route, metrics } = world();
    route.linkClosing();
    say({ transaction: 0 });
    say({ transaction: 1, create: true });
    expect(metrics.messagesLate).toBe(1);
  });
});

describe("the end of a client's route", () => {
  it('by the client: what it has not closed is aborted, answers still come, and then it is done', () => {
    const { client, say, opens, got, node, deliver, happened, sent, route } = world();
    say({ transaction: 1, create: true });
    say({ transaction: 2, create: true, delete: true });
    const theirs = opens();
    const [first, second] = got.map(({ tx }) => tx);
    client.halfClose();
    deliver();
    expect(got.slice(2).map(({ tx, error }) => [tx, error])).toEqual([
      [first, ErrorCode.LOSTLINK],
      [theirs, ErrorCode.LOSTLINK],
    ]);
    expect(got.slice(2).every(({ word }) => /^[57f]/.test(word))).toBe(true);
    // A transaction that the node opens now is refused, but a one-way message is passed on.
    const late = opens();
    expect([got.at(-1)?.tx === late, got.at(-1)?.error]).toEqual([true, ErrorCode.LOSTLINK]);
    node.oneWay(LNK_PING);
    deliver();
    expect(sent.at(-1)).toMatchObject({ transaction: 0 });
    for (const tx of [first, theirs, late]) if (tx != null) node.end(tx);
    deliver();
    expect([client.open, happened]).toEqual([1, []]);
    if (second != null) node.end(second);
    deliver();
    expect([client.open, happened]).toEqual([0, ['done']]);
    client.close();
    expect(route.isOpen).toBe(false);
  });

  it('by the client that has nothing open: it is done at once', () => {
    const { client, happened } = world();
    client.halfClose();
    expect(happened).toEqual(['done']);
  });

  it('by the gateway: everything is aborted towards the node, and nothing more goes either way', () => {
    const { client, say, opens, got, node, deliver, happened, sent, metrics, route, ours } = world();
    say({ transaction: 1, create: true });
    const theirs = opens();
    const before = sent.length;
    client.close();
    client.close();
    deliver();
    expect(got.slice(1).map(({ error }) => error)).toEqual([ErrorCode.LOSTLINK, ErrorCode.LOSTLINK]);
    expect([client.open, route.isOpen]).toEqual([0, false]);
    for (const { tx } of got) if (tx != null) node.end(tx);
    const late = opens();
    expect([got.at(-1)?.tx === late, got.at(-1)?.error]).toEqual([true, ErrorCode.LOSTLINK]);
    node.oneWay(BLK_READ);
    deliver();
    say({ transaction: 0 });
    say({ transaction: 2, create: true });
    client.onLost(route, 'link');
    client.halfClose();
    expect([sent.length, happened, metrics.messagesFromClients]).toEqual([before, [], 1]);
    node.end(late);
    node.end(theirs);
    deliver();
    expect(ours.openCount).toBe(0);
  });

  it('by its loss: the client is told of each transaction, then of the reason', () => {
    const { client, say, route, sent, happened } = world();
    say({ transaction: 1, create: true });
    route.routeGone();
    expect(sent).toMatchObject([{ transaction: 1, create: true, delete: true, abort: true }]);
    expect([client.open, happened]).toEqual([0, ['lost trunk']]);
  });

  it('before its beginning: messages of the client are not taken before the route is there', () => {
    const { client, metrics } = world({ attached: false });
    client.take(RoutedMessage.fromPartial({ command: COMMAND, transaction: 1, create: true }));
    client.close();
    expect([metrics.messagesFromClients, client.open]).toEqual([0, 0]);
  });
});

describe('a half-close of many transactions', () => {
  const halfClosed = () => {
    const jobs: EndingJob[] = [];
    const { client, say, happened, ours } = world({ inSlices: (job) => void jobs.push(job) });
    for (let transaction = 1; transaction <= 130; transaction++) say({ transaction, create: true });
    const aborted = vi.spyOn(ours, 'end');
    client.halfClose();
    const [job] = jobs;
    return { client, happened, aborted, next: () => job?.next() };
  };

  it('aborts a bounded number at a time', () => {
    const { aborted, next } = halfClosed();
    expect(aborted).toHaveBeenCalledTimes(0);
    expect([next(), next(), next(), next()]).toEqual([
      { value: 64, done: false },
      { value: 64, done: false },
      { value: 2, done: false },
      { value: undefined, done: true },
    ]);
    expect(aborted).toHaveBeenCalledTimes(130);
  });

  it('goes no further once the client is gone', () => {
    const { client, happened, aborted, next } = halfClosed();
    next();
    client.close();
    expect(next()).toEqual({ value: undefined, done: true });
    expect([aborted.mock.calls.length, happened]).toEqual([64, []]);
  });
});
