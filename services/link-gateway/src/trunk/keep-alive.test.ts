import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { beforeEach, describe, expect, it } from 'vitest';
import { KeepAlive } from './keep-alive.ts';
import { KEEP_ALIVE_MS } from './limits.ts';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a trunk on which nothing comes', () => {
  let clock: FakeClock;
  let probes: number;
  let deaths: number;
  let alive: KeepAlive;
  beforeEach(() => {
    clock = new FakeClock();
    probes = 0;
    deaths = 0;
    clock.advance(5);
    alive = new KeepAlive({ clock, probe: () => probes++, dead: () => deaths++ });
    clock.advance(500);
    alive.start();
  });

  /** What has happened after this time. */
  async function after(ms: number): Promise<[number, number]> {
    clock.advance(ms);
    await turn();
    return [probes, deaths];
  }

  it('is probed after KEEP_ALIVE_MS, and counts as dead after as long again', async () => {
    expect(await after(KEEP_ALIVE_MS - 1)).toEqual([0, 0]);
    expect(await after(1)).toEqual([1, 0]);
    expect(await after(KEEP_ALIVE_MS - 1)).toEqual([1, 0]);
    clock.advance(1);
    // Not within the timer: bytes may have come that this process has had no time to read.
    expect(deaths).toBe(0);
    await turn();
    expect([probes, deaths, clock.pending]).toEqual([1, 1, 0]);
  });

  it('is silent from the last bytes on', async () => {
    await after(KEEP_ALIVE_MS - 100);
    alive.heard();
    expect(await after(KEEP_ALIVE_MS - 1)).toEqual([0, 0]);
    expect(await after(1)).toEqual([1, 0]);
    // The probe is answered: the next one is due after another silence.
    alive.heard();
    expect(await after(KEEP_ALIVE_MS)).toEqual([2, 0]);
    expect(await after(KEEP_ALIVE_MS)).toEqual([2, 1]);
  });

  it('lives if the answer is read in the turn in which it would be dead, and is watched on', async () => {
    await after(KEEP_ALIVE_MS);
    clock.advance(KEEP_ALIVE_MS);
    alive.heard();
    await turn();
    expect([probes, deaths, clock.pending]).toEqual([1, 0, 1]);
    expect(await after(KEEP_ALIVE_MS)).toEqual([2, 0]);
  });

  it('is watched no more once it has stopped', async () => {
    alive.stop();
    expect(clock.pending).toBe(0);
    expect(await after(3 * KEEP_ALIVE_MS)).toEqual([0, 0]);
  });

  it('does not count as dead once it has stopped, not even in the same turn', async () => {
    await after(KEEP_ALIVE_MS);
    clock.advance(KEEP_ALIVE_MS);
    alive.stop();
    await turn();
    expect([deaths, clock.pending]).toEqual([0, 0]);
  });
});
