import { status } from '@grpc/grpc-js';
import { beforeEach, describe, expect, it } from 'vitest';
import { Failure } from '../failure.ts';
import { Losses } from './losses.ts';

const context = { address: '127.0.0.1:1', timeoutMs: 1000, service: 'spanmesh.v1.Topology' };
const broken = new Failure('lost', 'the stream broke');
const final = new Failure('refused', 'not for you', {
  cause: Object.assign(new Error('denied'), { code: status.PERMISSION_DENIED, details: 'denied', metadata: null }),
});

describe('a watch that is lost', () => {
  let abort: AbortController;
  let notes: string[];
  let losses: Losses;
  beforeEach(() => {
    abort = new AbortController();
    notes = [];
    losses = new Losses(
      { context, again: 'watching again', signal: abort.signal },
      { onNote: (line) => notes.push(line) },
    );
  });

  it('is an error if it has never worked', async () => {
    await expect(losses.lost(broken)).rejects.toBe(broken);
    expect(notes).toEqual([]);
  });

  it('is an error if asking again would not change the answer, or if it is no failure of a call', async () => {
    losses.worked();
    await expect(losses.lost(final)).rejects.toBe(final);
    const bug = new TypeError('a bug');
    await expect(losses.lost(bug)).rejects.toBe(bug);
  });

  it('is noted once until it works again, which is noted, too', async () => {
    losses.worked();
    expect(notes).toEqual([]);
    const first = losses.lost(broken);
    abort.abort();
    await first;
    abort = new AbortController();
    losses.worked();
    losses.worked();
    expect(notes).toEqual(['the stream broke; trying again', 'watching again']);
  });

  it('is neither thrown nor noted when its own signal has ended the watch', async () => {
    abort.abort();
    expect(losses.isOver).toBe(true);
    await losses.lost(new TypeError('cancelled'));
    expect(notes).toEqual([]);
  });

  it('begins anew at once the first time', async () => {
    await losses.anew();
    const second = losses.anew().then(() => 'waited');
    expect(await Promise.race([second, Promise.resolve('waits')])).toBe('waits');
    abort.abort();
    expect(await second).toBe('waited');
  });
});
