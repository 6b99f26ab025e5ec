import { status } from '@grpc/grpc-js';
import { Commands, Hello, RefusalReason, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Job } from '@spanmesh/runtime/grpc/slices';
import { WorkList } from '@spanmesh/runtime/work-list';
import { describe, expect, it } from 'vitest';
import { FakeStream } from '../testing/fake-stream.fixture.ts';
import { Attachment, type AttachmentHost } from './attachment.ts';

const WELCOME = {
  epoch: 7,
  rnssAdd: 0,
  version: '1',
  protocolVersion: 1,
  replicas: ['r:1'],
  tellsTaken: true,
  trace: undefined,
};

/** A gateway's stream. `news` lists the calls of its host, the leader. */
function rig() {
  const stream = new FakeStream();
  const told: string[] = [];
  function* telling(what: string): Job<void> {
    told.push(what);
    yield 1;
  }
  const host: AttachmentHost = {
    work: new WorkList(),
    hello: () => telling('hello'),
    snapshot: (_, all) => telling(`snapshot ${all.linksClosed.length}/${all.connectionsOpened.length}`),
    delta: () => telling('delta'),
    drained: () => void told.push('drained'),
    ended: (_, goodbye) => telling(`ended, goodbye ${goodbye}`),
    failed: (_, error) => void told.push(`failed: ${(error as Error).message}`),
  };
  const attachment = new Attachment(stream, host, () => null);
  const hello = () => stream.deliver({ hello: Hello.create() });
  const snapshot = (fields: Partial<StateChange> = {}) =>
    stream.deliver({ snapshot: Object.assign(StateChange.create(), fields) });
  const live = () => {
    hello();
    attachment.welcome(WELCOME);
    stream.deliver({ snapshotEnd: {} });
    told.length = 0;
  };
  const news = () => told.splice(0);
  return { stream, told, host, attachment, hello, snapshot, live, news };
}

const nextTurn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('the stream of a gateway', () => {
  it('goes from Hello over Welcome and the snapshot to deltas', () => {
    const { stream, attachment, hello, snapshot, news } = rig();
    expect(attachment.state).toBe('greeting');
    hello();
    attachment.welcome(WELCOME);
    expect([attachment.state, attachment.replicas, stream.sent]).toEqual(['snapshot', ['r:1'], [{ welcome: WELCOME }]]);
    snapshot({ connectionsOpened: [{}, {}] as never });
    snapshot({ connectionsOpened: [{}] as never });
    stream.deliver({ snapshotEnd: {} });
    stream.deliver({ delta: StateChange.create() });
    expect([attachment.state, news()]).toEqual(['live', ['hello', 'snapshot 0/3', 'delta']]);
  });

  it.each([
    ['a snapshot before Hello', () => {}, { snapshot: StateChange.create() }],
    [
      'anything while it is to wait',
      ({ hello, attachment }: Rig) => {
        hello();
        attachment.wait();
      },
      { snapshotEnd: {} },
    ],
    [
      'a delta before the snapshot has ended',
      ({ hello, attachment }: Rig) => {
        hello();
        attachment.welcome(WELCOME);
      },
      { delta: StateChange.create() },
    ],
    ['a snapshot after its end', ({ live }: Rig) => live(), { snapshot: StateChange.create() }],
  ] as const)('with %s is refused, and ends', (_, begin, request) => {
    const made = rig();
    begin(made);
    made.news();
    made.stream.deliver(request);
    expect([made.stream.error?.code, made.attachment.state, made.news()]).toEqual([
      status.INVALID_ARGUMENT,
      'ended',
      ['ended, goodbye false'],
    ]);
    made.stream.deliver({ delta: StateChange.create() });
    made.stream.drain();
    expect(made.news()).toEqual([]);
  });

  it('with too large a snapshot is refused', () => {
    const { stream, attachment, hello, snapshot, news } = rig();
    hello();
    attachment.welcome(WELCOME);
    snapshot({ relaysOpen: [{ linkGateway: '', link: 1, lnkConns: { length: 8_000_000 } as number[] }] });
    expect([stream.error?.code, news().at(-1)]).toEqual([status.RESOURCE_EXHAUSTED, 'ended, goodbye false']);
  });

  it('that ends in order once it was live says goodbye, one turn later', async () => {
    const { stream, attachment, live, news } = rig();
    live();
    stream.emit('end');
    expect(news()).toEqual([]);
    await nextTurn();
    expect([news(), attachment.state, stream.ended]).toEqual([['ended, goodbye true'], 'ended', true]);
    const early = rig();
    early.hello();
    early.stream.emit('end');
    await nextTurn();
    expect(early.news()).toEqual(['hello', 'ended, goodbye false']);
  });

  it('that breaks says no goodbye, though it seems to end in order first', async () => {
    const { stream, live, news } = rig();
    live();
    stream.emit('end');
    stream.break();
    await nextTurn();
    expect(news()).toEqual(['ended, goodbye false']);
    const other = rig();
    other.live();
    other.stream.emit('error', new Error('reset'));
    expect(other.news()).toEqual(['ended, goodbye false']);
  });

  it('is the only one that ends when the host throws', () => {
    const { stream, host, live, news } = rig();
    live();
    host.delta = () => {
      throw new Error('a mistake');
    };
    stream.deliver({ delta: StateChange.create() });
    expect([stream.error?.code, news()]).toEqual([status.INTERNAL, ['failed: a mistake', 'ended, goodbye false']]);
  });

  it('reports how many deltas were taken in, in a message of their own once two are unreported', () => {
    const { stream, attachment, live } = rig();
    live();
    attachment.tellTaken();
    stream.taken = -1;
    stream.deliver({ delta: StateChange.create() });
    attachment.tellTaken();
    expect(stream.taken).toBe(-1);
    stream.deliver({ delta: StateChange.create() });
    attachment.tellTaken();
    expect(stream.taken).toBe(2);
    stream.taken = -1;
    attachment.tellTaken();
    stream.deliver({ delta: StateChange.create() });
    stream.deliver({ delta: StateChange.create() });
    attachment.refuse(status.ABORTED, 'why');
    attachment.tellTaken();
    expect(stream.taken).toBe(-1);
  });

  it('reports with its commands the deltas for which relays are selected, each once, and none before', () => {
    const { stream, attachment, live } = rig();
    live();
    const taken = (): (number | undefined)[] => stream.sent.map(({ commands }) => commands?.taken).filter(isNumber);
    stream.deliver({ delta: StateChange.create() });
    attachment.write(Commands.create());
    expect(taken()).toEqual([0]);
    attachment.selected();
    stream.deliver({ delta: StateChange.create() });
    attachment.write(Commands.create());
    attachment.write(Commands.create());
    expect(taken()).toEqual([0, 1, 0]);
    // One is left, which waits for commands or for another one.
    stream.taken = -1;
    attachment.tellTaken();
    expect(stream.taken).toBe(-1);
  });

  it('that is refused gets a message with the reason if it was not welcomed yet, and always a status', () => {
    const refused = { reason: RefusalReason.REFUSAL_REASON_NOT_LEADER, leaderAddress: 'l:1' };
    const { stream, attachment, hello, news } = rig();
    hello();
    attachment.refuse(status.FAILED_PRECONDITION, 'why', refused);
    attachment.refuse(status.ABORTED, 'again', refused);
    expect([stream.sent, stream.error]).toMatchObject([
      [{ refused }],
      { code: status.FAILED_PRECONDITION, details: 'why' },
    ]);
    // The host itself has refused the stream, so it is not told.
    expect(news()).toEqual(['hello']);
    attachment.welcome(WELCOME);
    expect([stream.sent.length, attachment.state]).toEqual([1, 'ended']);
    const waiting = rig();
    waiting.hello();
    waiting.attachment.wait();
    waiting.attachment.refuse(status.FAILED_PRECONDITION, 'why', refused);
    expect(waiting.stream.sent).toHaveLength(1);
    const welcomed = rig();
    welcomed.live();
    welcomed.attachment.wait();
    expect(welcomed.attachment.state).toBe('live');
    welcomed.attachment.refuse(status.FAILED_PRECONDITION, 'why', refused);
    expect(welcomed.stream.sent.some((one) => one.refused !== undefined)).toBe(false);
  });

  it('carries commands, reports when the gateway does not read, and ignores everything after its end', () => {
    const { stream, attachment, live, news } = rig();
    live();
    stream.accepts = false;
    expect(attachment.write(Commands.create())).toBe(false);
    stream.drain();
    expect(news()).toEqual(['drained']);
    const { length } = stream.sent;
    attachment.refuse(status.ABORTED, 'why');
    expect([attachment.write(Commands.create()), stream.sent.length]).toEqual([true, length]);
  });
});

type Rig = ReturnType<typeof rig>;

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}
