import { describe, expect, it } from 'vitest';
import { Kernel } from './kernel.ts';
import { setKernel } from './platform/globals.ts';

describe('virtual time', () => {
  it('handles events in the order of their time, then of their creation', async () => {
    const kernel = new Kernel(1);
    const done: string[] = [];
    kernel.at(null, 20, () => done.push('c'));
    kernel.at(null, 10, () => done.push('a'));
    kernel.at(null, 10, () => done.push('b'));
    kernel.at(null, 15, () => done.push('never')).cancel();
    await kernel.run(() => false);
    expect(done).toEqual(['a', 'b', 'c']);
    expect(kernel.now).toBe(20);
  });

  it('finishes all promises and ticks of an event before the next one', async () => {
    const kernel = new Kernel(1);
    const done: string[] = [];
    kernel.at(null, 1, () => {
      void Promise.resolve().then(() => {
        done.push('promise');
        process.nextTick(() => done.push('tick'));
      });
    });
    kernel.at(null, 1, () => done.push('next'));
    await kernel.run(() => false);
    expect(done).toEqual(['promise', 'tick', 'next']);
  });

  it('keeps the events of a paused process, in order, and drops those of a dead one', async () => {
    const kernel = new Kernel(1);
    const done: string[] = [];
    const [slow, dead] = [kernel.process('slow', 'a'), kernel.process('dead', 'b')];
    slow.pause();
    kernel.at(slow, 1, () => done.push('first'));
    kernel.at(slow, 2, () => done.push('second'));
    kernel.at(slow, 3, () => done.push('cancelled')).cancel();
    kernel.at(dead, 4, () => done.push('dead'));
    kernel.at(null, 3, () => dead.die('killed'));
    kernel.at(null, 9, () => {
      done.push('resumed');
      slow.resume();
    });
    await kernel.run(() => false);
    expect(done).toEqual(['resumed', 'first', 'second']);
    expect(kernel.now).toBe(9);
  });

  it('gives each process its own clocks, and a jump of the wall clock moves no timer', async () => {
    const kernel = new Kernel(3);
    const one = kernel.process('one', 'a');
    let late = 0;
    one.clock.after(1000, () => {
      late = kernel.now;
    });
    const [wall, now] = [one.wall(), one.monotonic()];
    one.wallOffset += 3_600_000;
    await kernel.run(() => false);
    expect(Math.abs(late - 1000)).toBeLessThan(1);
    expect(one.monotonic() - now).toBeCloseTo(1000, 3);
    expect(one.wall() - wall).toBeGreaterThan(3_600_000);
  });

  it('attributes an exception to the process that threw it', async () => {
    const kernel = new Kernel(1);
    const thrown: string[] = [];
    kernel.onThrow = (error, process) => thrown.push(`${process?.name} ${(error as Error).message}`);
    kernel.at(kernel.process('one', 'a'), 1, () => {
      throw new Error('trouble');
    });
    await kernel.run(() => false);
    expect(thrown).toEqual(['one trouble']);
  });

  it('has a trace that differs between runs', async () => {
    const traceOf = async (seed: number, text: string): Promise<string> => {
      const kernel = new Kernel(seed);
      setKernel(kernel);
      kernel.at(null, 1, () => kernel.mix(text));
      await kernel.run(() => false);
      setKernel(null);
      return kernel.trace;
    };
    expect(await traceOf(1, 'a')).toBe(await traceOf(1, 'a'));
    expect(await traceOf(1, 'a')).not.toBe(await traceOf(1, 'b'));
  });
});
