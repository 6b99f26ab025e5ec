import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import type { FollowHello, FollowRequest } from '@spanmesh/proto/v1/replication';
import { describe, expect, it } from 'vitest';
import { StandbyStream } from './standby-stream.ts';

// Written once more: a change of them must be noticed.
const MAX_STANDBY_BYTES = 32 * 1024 * 1024;
const SNAPSHOT_TURN_BYTES = 384 * 1024;

/** A stream of a standby. `sent`: messages written to it; `told`: the calls of its host, the leader. */
function rig() {
  const told: string[] = [];
  const made = { sent: [] as string[], accepts: true, ended: 0, error: null as { code: status } | null };
  const stream = Object.assign(new EventEmitter(), {
    write: (message: Buffer) => {
      made.sent.push(String(message));
      return made.accepts;
    },
    end: () => made.ended++,
  });
  stream.on('error', (error) => {
    made.error = error;
  });
  const standby: StandbyStream = new StandbyStream(stream as never, {
    hello: (one, hello) => {
      told.push(`hello ${hello.replica}`);
      one.accept(hello);
    },
    overflow: () => told.push('overflow'),
    ended: () => told.push('ended'),
    untold: (_, error) => told.push(`untold: ${(error as Error).message}`),
  });
  const says = (request: Partial<FollowRequest>) => stream.emit('data', request);
  const hello = () => says({ hello: { replica: 'r' } as FollowHello });
  const drain = () => {
    made.accepts = true;
    stream.emit('drain');
  };
  return { told, made, stream, standby, says, hello, drain };
}

const message = (text: string) => Buffer.from(text);
const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe('a standby', () => {
  it('sends Hello first, then acknowledgements', () => {
    const { told, standby, says, hello } = rig();
    hello();
    expect(standby.acknowledged).toBeUndefined();
    const ack = { clockMs: 5 } as never;
    says({ ack });
    expect([told, standby.acknowledged]).toEqual([['hello r'], ack]);
  });

  it.each([
    ['acknowledges before Hello', [{ ack: {} }]],
    ['says Hello twice', [{ hello: {} }, { hello: {} }]],
    ['says nothing', [{ hello: {} }, {}]],
  ])('that %s is refused; afterwards nothing is sent to it or taken from it', (_, requests) => {
    const { told, made, standby, says } = rig();
    for (const request of requests) says(request as never);
    expect([made.error?.code, told.at(-1), standby.state]).toEqual([status.INVALID_ARGUMENT, 'ended', 'ended']);
    const { length } = told;
    says({ ack: {} as never });
    standby.send(message('a'));
    expect([told.length, made.sent, standby.queuedBytes, standby.acknowledged]).toEqual([length, [], 0, undefined]);
  });

  it.each(['end', 'cancelled', 'error'])('whose stream is over by %s is reported once', (event) => {
    const { told, made, stream, standby, hello } = rig();
    hello();
    stream.emit(event, new Error('gone'));
    stream.emit('cancelled');
    expect([told, standby.state, made.ended]).toEqual([['hello r', 'ended'], 'ended', 1]);
    standby.refuse(status.ABORTED, 'late');
    expect(made.error?.code).not.toBe(status.ABORTED);
  });

  it('that does not read is sent the first message of its snapshot at once, and the rest when it reads', async () => {
    const { made, standby, hello, drain } = rig();
    hello();
    made.accepts = false;
    standby.send(message('heartbeat'));
    standby.begin([message('first'), message('second')].values());
    expect(made.sent).toEqual(['heartbeat', 'first']);
    standby.send(message('change'));
    expect(made.sent).toEqual(['heartbeat', 'first']);
    drain();
    await turn();
    expect(made.sent).toEqual(['heartbeat', 'first', 'second', 'change']);
  });

  it('that is refused does not report to its host', () => {
    const { told, made, standby, hello } = rig();
    hello();
    standby.refuse(status.ABORTED, 'why');
    expect([told, made.error, made.ended]).toMatchObject([['hello r'], { code: status.ABORTED, details: 'why' }, 0]);
  });
});

describe('a standby is sent', () => {
  it('the snapshot, then the changes made meanwhile, in order', async () => {
    const { made, standby, hello } = rig();
    hello();
    standby.begin([message('s1'), message('s2')].values());
    standby.begin([message('again')].values());
    standby.send(message('c1'));
    expect([made.sent, standby.state, standby.queuedBytes]).toEqual([['s1', 's2', 'c1'], 'following', 0]);
  });

  it('nothing before its Hello is accepted', () => {
    const { made, standby } = rig();
    standby.begin([message('s1')].values());
    expect([made.sent, standby.state]).toEqual([[], 'greeting']);
  });

  it('nothing while it does not read: the snapshot is not even made', () => {
    const { made, standby, hello, drain } = rig();
    hello();
    let asked = 0;
    const snapshot = (function* () {
      for (const text of ['s1', 's2']) {
        asked++;
        yield message(text);
      }
    })();
    made.accepts = false;
    standby.begin(snapshot);
    standby.send(message('change'));
    expect([asked, made.sent, standby.queuedBytes]).toEqual([1, ['s1'], 6]);
    drain();
    expect([asked, made.sent, standby.queuedBytes]).toEqual([2, ['s1', 's2', 'change'], 0]);
    made.accepts = false;
    standby.send(message('a'));
    standby.send(message('bc'));
    standby.send(message('def'));
    expect([made.sent.slice(3), standby.queuedBytes]).toEqual([['a'], 5]);
    drain();
    expect([made.sent.slice(3), standby.queuedBytes]).toEqual([['a', 'bc', 'def'], 0]);
  });

  it('a large snapshot in turns of the event loop', async () => {
    const { made, standby, hello } = rig();
    hello();
    const part = Buffer.alloc(SNAPSHOT_TURN_BYTES / 2, 'x');
    standby.begin([part, part, part].values());
    expect(made.sent).toHaveLength(2);
    standby.send(message('change'));
    expect(made.sent).toHaveLength(2);
    await turn();
    expect([made.sent.length, made.sent.at(-1)]).toEqual([4, 'change']);
  });

  it('an error if the snapshot cannot be made; a snapshot that is not read to its end is closed', () => {
    const { told, standby, hello } = rig();
    hello();
    standby.begin(
      (function* () {
        yield message('s1');
        throw new Error('no words');
      })(),
    );
    expect(told).toEqual(['hello r', 'untold: no words']);
    const other = rig();
    other.hello();
    other.made.accepts = false;
    let isClosed = false;
    other.standby.begin(
      (function* () {
        try {
          yield message('s1');
          yield message('s2');
        } finally {
          isClosed = true;
        }
      })(),
    );
    other.standby.refuse(status.ABORTED, 'why');
    other.drain();
    expect([isClosed, other.made.sent, other.standby.queuedBytes]).toEqual([true, ['s1'], 0]);
  });

  it('at most a limited number of queued bytes while it does not read', () => {
    const { told, made, standby, hello } = rig();
    hello();
    made.accepts = false;
    standby.begin([message('s1')].values());
    standby.send(Buffer.alloc(MAX_STANDBY_BYTES - 1));
    standby.send(message('x'));
    expect([told, standby.queuedBytes]).toEqual([['hello r'], MAX_STANDBY_BYTES]);
    standby.send(message('x'));
    expect(told.at(-1)).toBe('overflow');
  });

  it('a heartbeat only if it has read everything before', () => {
    const { made, standby, hello, drain } = rig();
    hello();
    standby.heartbeat(message('h1'));
    made.accepts = false;
    standby.begin([message('s1'), message('s2')].values());
    standby.heartbeat(message('h2'));
    drain();
    standby.heartbeat(message('h3'));
    expect(made.sent).toEqual(['h1', 's1', 's2', 'h3']);
  });
});
