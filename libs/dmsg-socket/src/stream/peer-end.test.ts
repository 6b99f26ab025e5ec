import { BASE_MASK, LNK_CONN_CIRCUIT, LNK_ERROR, LNK_PING, REPLY } from '@spanmesh/dmsg/command';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { DISCARD } from '@spanmesh/dmsg/transaction';
import { afterEach, describe, expect, it } from 'vitest';
import { cipherPair } from '../handshake/cipher-pair.ts';
import { connected } from '../socket/connected.fixture.ts';
import { PeerEnd, type PeerEndHandler } from './peer-end.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Accepts every transaction, answers every PING, and writes down what happens. */
class Side implements PeerEndHandler {
  readonly heard: string[] = [];
  thrown: unknown = null;
  end!: PeerEnd;
  #wake: (() => void)[] = [];

  onOpen: PeerEndHandler['onOpen'] = (tx, frame) => {
    this.note(`opened ${(frame.cmd & BASE_MASK).toString(16)}`);
    tx.handler = { onMessage() {}, onLost: (_tx, error) => this.note(`lost ${error}`) };
    this.end.endpoint.send(tx, LNK_ERROR);
  };
  onOneWay: PeerEndHandler['onOneWay'] = (frame) => {
    this.note((frame.cmd & REPLY) === 0 ? 'PING' : 'PONG');
    if ((frame.cmd & REPLY) === 0) this.end.endpoint.oneWay(LNK_PING | REPLY);
  };
  onRead = () => this.note('read');
  onFailed = (thrown: unknown) => {
    this.thrown = thrown;
    this.note('failed');
  };
  onFin = () => this.note('FIN');
  onBroken = () => this.note('broken');
  onClose = () => this.note('closed');

  async until(what: string): Promise<void> {
    while (!this.heard.includes(what)) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  note(what: string): void {
    this.heard.push(what);
    for (const wake of this.#wake.splice(0)) wake();
  }
}

async function setUp(isEncrypted = false) {
  const ends = await connected();
  const keys = [Buffer.alloc(64, 1), Buffer.alloc(64, 2)] as const;
  const sides = [ends.near, ends.far].map((socket, n) => {
    const cipher = isEncrypted ? cipherPair(keys[n % 2 === 0 ? 0 : 1], keys[n % 2 === 0 ? 1 : 0], true) : null;
    const side = new Side();
    side.end = new PeerEnd({ rules: CIRCUIT }, { socket, handler: side, cipher });
    closing.push(() => side.end.cut());
    side.end.begin();
    return side;
  });
  closing.push(ends.close);
  return sides as [Side, Side];
}

// Runs twice: with Node's internals that this code uses, and without them (vitest.config.ts).
describe('a peer’s end', () => {
  it.each([false, true])('exchanges messages with another end without a flush, encrypted: %s', async (isEncrypted) => {
    const [near, far] = await setUp(isEncrypted);
    near.end.endpoint.oneWay(LNK_PING);
    await near.until('PONG');
    expect(near.heard).toEqual(['PONG', 'read']);
    expect(far.heard).toEqual(['PING', 'read']);
  });

  it('ends in order, and reports open transactions as lost only when told to', async () => {
    const [near, far] = await setUp();
    near.end.endpoint.open(LNK_CONN_CIRCUIT, null, DISCARD);
    near.end.flush();
    near.end.finish();
    await far.until('FIN');
    far.end.endpoint.lost(ErrorCode.EOF);
    expect(far.heard).toEqual([
      `opened ${(LNK_CONN_CIRCUIT & BASE_MASK).toString(16)}`,
      'read',
      'FIN',
      `lost ${ErrorCode.EOF}`,
    ]);
    far.end.finish();
    await near.until('closed');
  });

  it('reports what broke the rules, and ignores bytes that come once its endpoint is lost', async () => {
    const [near, far] = await setUp();
    far.end.socket.write(Buffer.alloc(64, 0xee));
    await near.until('failed');
    expect(near.thrown).toMatchObject({ code: ErrorCode.SYNC });
    near.end.endpoint.lost(ErrorCode.EOF);
    const { length } = near.heard;
    far.end.socket.end(Buffer.alloc(64));
    await near.until('FIN');
    expect(near.heard.slice(length)).toEqual(['FIN']);
  });

  it('writes nothing any more once it was cut', async () => {
    const [near, far] = await setUp();
    near.end.endpoint.oneWay(LNK_PING);
    near.end.cut();
    near.end.endpoint.oneWay(LNK_PING);
    near.end.flush();
    await far.until('FIN');
    expect(far.heard).toEqual(['FIN']);
    await near.until('closed');
    expect(near.end.queuedBytes).toBe(0);
  });
});
