import { once } from 'node:events';
import { LNK_PING } from '@spanmesh/dmsg/command';
import { CIRCUIT } from '@spanmesh/dmsg/dialect';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import type { Frame } from '@spanmesh/dmsg/frame';
import { keepFrame } from '@spanmesh/dmsg/kept-frame';
import { encodeMessage } from '@spanmesh/dmsg/message';
import { systemClock } from '@spanmesh/runtime/clock';
import { afterEach, describe, expect, it } from 'vitest';
import { type CipherPair, cipherPair } from '../handshake/cipher-pair.ts';
import { connected } from '../socket/connected.fixture.ts';
import { DmsgSocket, type DmsgSocketOwner } from './dmsg-socket.ts';

const KEYS = [Buffer.alloc(64, 1), Buffer.alloc(64, 2)] as const;
const [OURS, THEIRS] = KEYS;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function ping(salt: number, auxBytes = 0): Buffer {
  return Buffer.from(encodeMessage({ rules: CIRCUIT, cmd: LNK_PING, salt, aux: Buffer.alloc(auxBytes, salt) }));
}

function bytesOf({ buf, off, headBytes, auxPadded }: Frame): Uint8Array {
  return buf.subarray(off, off + headBytes + auxPadded);
}

/** The ciphers of both sides of an encrypted connection. */
function ciphers(tagged = true) {
  return { ours: cipherPair(OURS, THEIRS, tagged), theirs: cipherPair(THEIRS, OURS, tagged) };
}

/** Records what its socket reports. */
class Witness implements DmsgSocketOwner {
  readonly heard: string[] = [];
  thrown: unknown = null;
  reads = true;
  onFrame: (frame: Frame) => void = () => this.#note('frame');
  #wake: (() => void)[] = [];

  beforeRead(): boolean {
    return this.reads;
  }

  afterRead: (bytes: number) => void = (bytes) => this.#note(`read ${bytes}`);

  onFailed(thrown: unknown): void {
    this.thrown = thrown;
    this.#note('failed');
  }

  onFin = () => this.#note('FIN');
  onBroken = () => this.#note('broken');
  onClose = () => this.#note('closed');
  flushLater = () => this.#note('flush later');
  drained = () => {};
  overLimit = () => this.#note('over limit');
  stalled = () => this.#note('stalled');

  async until(what: string): Promise<void> {
    while (!this.heard.includes(what)) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  #note(what: string): void {
    this.heard.push(what);
    for (const wake of this.#wake.splice(0)) wake();
  }
}

async function setUp({ cipher = null }: { cipher?: CipherPair | null } = {}) {
  const { near, far, close } = await connected();
  const owner = new Witness();
  const counts = { bytesIn: 0, bytesOut: 0 };
  const wire = new DmsgSocket(
    { rules: CIRCUIT, limitBytes: 1 << 20, stallMs: null },
    { socket: near, cipher, clock: systemClock, owner, counts },
  );
  closing.push(close, () => wire.cut());
  return { wire, far, owner, counts };
}

/** All bytes that the other side receives until the end of the connection. */
async function allOf(far: AsyncIterable<Buffer>): Promise<Buffer> {
  const got: Buffer[] = [];
  for await (const chunk of far) got.push(chunk);
  return Buffer.concat(got);
}

// Runs twice: with Node's internals that this code uses, and without them (vitest.config.ts).
describe('DMSG on a socket', () => {
  it('gives its owner the messages of a read between its beginning and end, first those that came before `begin`', async () => {
    const { wire, owner, far } = await setUp();
    far.write(ping(1));
    wire.begin(ping(0));
    expect(owner.heard).toEqual(['frame', 'read 64']);
    wire.resume();
    far.end();
    await owner.until('FIN');
    expect(owner.heard).toEqual(['frame', 'read 64', 'frame', 'read 64', 'FIN']);
    expect(wire.bytesIn).toBe(128);
  });

  it('counts bytes that its owner does not want, and does not read them', async () => {
    const { wire, owner, counts } = await setUp();
    owner.reads = false;
    wire.begin(ping(0));
    expect(owner.heard).toEqual([]);
    expect(counts.bytesIn).toBe(64);
  });

  it.each([
    ['a message that breaks a rule', () => Buffer.alloc(64, 0xee), () => {}],
    [
      'an owner that throws',
      () => ping(0),
      () => {
        throw new DmsgError(ErrorCode.SYNC, 'thrown');
      },
    ],
  ])('fails once, before the end of the read: %s', async (_, bytes, onFrame) => {
    const { wire, owner } = await setUp();
    owner.onFrame = onFrame;
    wire.begin(bytes());
    expect(owner.heard).toEqual(['failed', 'read 64']);
    expect(owner.thrown).toMatchObject({ code: ErrorCode.SYNC });
  });

  it('shows a tap the plaintext of both directions, and how many bytes of an unfinished message came before', async () => {
    const seen: [string, number][] = [];
    const { wire, far } = await setUp({ cipher: cipherPair(OURS, THEIRS, true) });
    wire.tap = {
      read: (bytes, pending) => seen.push([`read ${bytes.length}`, pending]),
      wrote: (slices) => seen.push(['wrote', slices.reduce((sum, { length }) => sum + length, 0)]),
    };
    const { sealer } = cipherPair(THEIRS, OURS, true);
    wire.begin(sealer.seal(ping(0)));
    wire.queue.out.pass(ping(0), 0, 64);
    expect(wire.flush()).toBe(true);
    wire.finish();
    const plain: Buffer[] = [];
    cipherPair(THEIRS, OURS, true).opener.open(await allOf(far), { onPlain: (got) => plain.push(Buffer.from(got)) });
    expect(Buffer.concat(plain)).toEqual(ping(0));
    expect(wire.isEncrypted).toBe(true);
    expect(seen).toEqual([
      ['read 64', 0],
      ['wrote', 64],
    ]);
  });

  it('counts as pending the bytes of unfinished messages', async () => {
    const { wire } = await setUp();
    wire.begin(ping(0).subarray(0, 10));
    expect(wire.pendingBytes).toBe(10);
  });

  it('sends FIN after the queued bytes, nothing after it, and reads on until the FIN of the other side', async () => {
    const { wire, owner, far } = await setUp();
    wire.begin();
    wire.queue.out.pass(ping(0), 0, 64);
    wire.finish();
    wire.queue.out.pass(ping(1), 0, 64);
    expect(wire.flush()).toBe(false);
    expect(wire.queue.bytes - wire.socket.writableLength).toBe(0);
    expect(await allOf(far)).toEqual(ping(0));
    far.end(ping(0));
    await owner.until('closed');
    expect(owner.heard.slice(-4)).toEqual(['frame', 'read 64', 'FIN', 'closed']);
  });

  it('closes at once, or after the queued bytes', async () => {
    const soon = await setUp();
    soon.wire.queue.out.pass(ping(0), 0, 64);
    soon.wire.closeSoon();
    expect(await allOf(soon.far)).toEqual(ping(0));
    const now = await setUp();
    now.wire.queue.out.pass(ping(0), 0, 64);
    now.wire.cut();
    expect(await allOf(now.far)).toEqual(Buffer.alloc(0));
    await now.owner.until('closed');
  });

  it('reports that the connection is broken, then that it has closed', async () => {
    const { wire, owner, far } = await setUp();
    wire.begin();
    wire.resume();
    far.resetAndDestroy();
    await owner.until('closed');
    expect(owner.heard).toEqual(['broken', 'closed']);
  });

  it('ignores bytes that come once it has stopped reading', async () => {
    const { wire, owner } = await setUp();
    owner.onFrame = () => {
      owner.heard.push('frame');
      wire.stopReading();
    };
    wire.begin(Buffer.concat([ping(0), ping(1)]));
    expect(owner.heard).toEqual(['frame', 'read 128']);
  });
});

describe.each([true, false])('DMSG on an encrypted socket, with tags: %s', (tagged) => {
  it('gives its owner whole messages of any size, wherever reads cut it; copies of them stay as they are', async () => {
    const { ours, theirs } = ciphers(tagged);
    const { wire, owner } = await setUp({ cipher: ours });
    const sent: Buffer[] = [];
    const kept: Frame[] = [];
    owner.onFrame = (frame) => kept.push(keepFrame(frame));
    const send = (auxBytes: readonly number[], readBytes: number) => {
      const messages = auxBytes.map((bytes, i) => ping((sent.length + i) & 0xff, bytes));
      sent.push(...messages);
      const stream = theirs.sealer.seal(Buffer.concat(messages));
      for (let at = 0; at < stream.length; at += readBytes) wire.begin(stream.subarray(at, at + readBytes));
    };
    // Reads of every length up to more than two chunks: chunks, headers and aux data are cut everywhere.
    for (let readBytes = 1; readBytes <= 170; readBytes++) send([0, 1, 64, 300], readBytes);
    for (const readBytes of [79, 80, 81, 4096, 30_000, 100_000, 128 * 1024]) {
      send([0, 4096, 16 * 1024, 4096, 0, 65_536, 65_536, 1000, 4096], readBytes);
    }
    expect(owner.heard).not.toContain('failed');
    expect(Buffer.concat(kept.map(bytesOf)).equals(Buffer.concat(sent))).toBe(true);
    expect(wire.pendingBytes).toBe(0);
  });

  it.each([false, true])('is passed on to a peer that does not read, encrypted: %s', async (isEncrypted) => {
    const { ours, theirs } = ciphers(tagged);
    const from = await setUp({ cipher: ours });
    const to = await setUp({ cipher: isEncrypted ? ciphers(tagged).ours : null });
    from.owner.onFrame = (frame) => {
      const { buf, off, headBytes, auxPadded } = frame;
      to.wire.queue.out.pass(buf, off, off + headBytes + auxPadded);
    };
    from.owner.afterRead = () => void to.wire.flush();
    // More than the system's buffers take, so that messages wait in the queue.
    const messages = Array.from({ length: 2000 }, (_, n) => ping(n & 0xff, 4096));
    const stream = theirs.sealer.seal(Buffer.concat(messages));
    for (let at = 0; at < stream.length; at += 100_000) from.wire.begin(stream.subarray(at, at + 100_000));
    expect(to.wire.queue.bytes).toBeGreaterThan(0);
    to.wire.finish();
    const came = await allOf(to.far);
    const plain: Buffer[] = [];
    if (!isEncrypted) plain.push(came);
    else ciphers(tagged).theirs.opener.open(came, { onPlain: (bytes) => plain.push(Buffer.from(bytes)) });
    expect(Buffer.concat(plain).equals(Buffer.concat(messages))).toBe(true);
  });
});

describe('an encrypted stream that was changed on the way', () => {
  it('fails at the changed chunk; its owner gets the messages before it', async () => {
    const { ours, theirs } = ciphers();
    const { wire, owner } = await setUp({ cipher: ours });
    const stream = theirs.sealer.seal(Buffer.concat([ping(0), ping(1), ping(2)]));
    stream[100]! ^= 1;
    wire.begin(stream);
    expect(owner.heard).toEqual(['frame', 'failed', 'read 240']);
    expect(owner.thrown).toMatchObject({ code: ErrorCode.MACFAIL });
  });
});

describe('the socket after the take-over', () => {
  it('is paused until it is told to read', async () => {
    const { wire, owner, far } = await setUp();
    far.write(ping(0));
    wire.begin();
    wire.resume();
    await owner.until('read 64');
    wire.pause();
    far.write(ping(1));
    await new Promise((resolve) => setImmediate(resolve));
    const before = [...owner.heard];
    wire.resume();
    far.end();
    await once(wire.socket, 'end');
    expect(before).toEqual(['frame', 'read 64']);
    expect(owner.heard).toEqual(['frame', 'read 64', 'frame', 'read 64', 'FIN']);
  });
});
