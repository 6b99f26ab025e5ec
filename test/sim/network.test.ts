import { beforeEach, describe, expect, it } from 'vitest';
import { Kernel, type SimProcess } from './kernel.ts';
import { type End, Network } from './network.ts';

let kernel: Kernel;
let network: Network;
let [client, server]: SimProcess[] = [];
let heard: string[];

beforeEach(() => {
  kernel = new Kernel(1);
  network = new Network(kernel);
  client = kernel.process('client', 'c');
  server = kernel.process('server', 's');
  heard = [];
});

/** A connection between two processes; each side records what it receives. */
async function connected(): Promise<{ mine: End; theirs: End }> {
  const ends: End[] = [];
  const note = (who: string, end: End) => {
    end.receive = (item) => heard.push(`${who} ${String(item)}`);
    end.lost = () => heard.push(`${who} lost`);
    ends.push(end);
  };
  network.listen({ process: server!, accept: (end) => note('server', end) }, 's', 1);
  network.connect(
    client!,
    's',
    1,
    (how) => how.kind === 'connected' && note('client', how.end),
    () => false,
  );
  await kernel.run(() => ends.length === 2);
  return { theirs: ends[0]!, mine: ends[1]! };
}

describe('a connection', () => {
  it('delivers everything, in order', async () => {
    const { mine } = await connected();
    for (let i = 0; i < 50; i++) mine.send(i);
    await kernel.run(() => false);
    expect(heard).toEqual(Array.from({ length: 50 }, (_, i) => `server ${i}`));
  });

  it('keeps what is sent on a silent way, and delivers it later', async () => {
    const { mine, theirs } = await connected();
    network.set('c', 's', 'silent');
    mine.send('a');
    theirs.send('b');
    await kernel.run(() => false);
    expect(heard).toEqual(['client b']);
    mine.send('c');
    network.set('c', 's', 'open');
    mine.send('d');
    await kernel.run(() => false);
    expect(heard).toEqual(['client b', 'server a', 'server c', 'server d']);
  });

  it('delivers what a side has sent before it closed, even over a way that was silent', async () => {
    const { mine } = await connected();
    network.set('c', 's', 'silent');
    mine.send('last words');
    mine.close();
    await kernel.run(() => false);
    network.set('c', 's', 'open');
    await kernel.run(() => false);
    expect(heard).toEqual(['server last words']);
  });

  it('is reset on both sides by a cut', async () => {
    const { mine } = await connected();
    mine.send('on its way');
    network.set('c', 's', 'cut');
    await kernel.run(() => false);
    expect(heard.filter((one) => one.endsWith('lost')).sort()).toEqual(['client lost', 'server lost']);
  });

  it('delivers nothing any more once it is cut, even if one side has not noticed that yet', async () => {
    const { theirs } = await connected();
    network.set('*', 'c', 'silent');
    network.set('c', '*', 'silent');
    theirs.send('held back');
    network.set('s', '*', 'cut');
    theirs.send('too late');
    await kernel.run(() => false);
    expect(heard).toEqual(['server lost']);
  });

  it('is reset by the kernel of a process that is killed', async () => {
    await connected();
    server!.die('killed');
    await kernel.run(() => false);
    expect(heard).toEqual(['client lost']);
  });

  it('is half-open when the other host has no power, until that host is back', async () => {
    const { mine } = await connected();
    network.power('s', false);
    server!.die('power');
    mine.send('hello?');
    await kernel.run(() => false);
    expect(heard).toEqual([]);
    network.power('s', true);
    mine.send('hello?');
    await kernel.run(() => false);
    expect(heard).toEqual(['client lost']);
  });
});

describe('connecting', () => {
  async function outcome(): Promise<string> {
    let kind = '';
    network.connect(
      client!,
      's',
      1,
      (how) => {
        kind = how.kind;
      },
      () => false,
    );
    await kernel.run(() => kind !== '');
    return kind;
  }

  it('is refused where nobody listens, and over a cut way', async () => {
    expect(await outcome()).toBe('refused');
    network.listen({ process: server!, accept: () => {} }, 's', 1);
    expect(await outcome()).toBe('connected');
    network.set('s', 'c', 'cut');
    expect(await outcome()).toBe('refused');
  });

  it('times out after a minute where nobody answers', async () => {
    network.power('s', false);
    expect(await outcome()).toBe('timeout');
    expect(kernel.now).toBeGreaterThan(59_000);
  });
});
