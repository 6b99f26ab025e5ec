import { describe, expect, it } from 'vitest';
import { Kernel } from './kernel.ts';
import { setKernel } from './platform/globals.ts';

describe('virtual time', () => {
  it('does things in the order of their time, then of their making', async () => {
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

  it('does all that promises and ticks lead to before anything else', async () => {
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

  it('keeps for a paused process what would have happened to it, in order, and drops a dead one’s', async () => {
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

  it('gives each process clocks of its own, and jumps of the wall clock move no timer', async () => {
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

  it('takes what is thrown for the process that threw', async () => {
    const kernel = new Kernel(1);
    const thrown: string[] = [];
    kernel.onThrow = (error, process) => thrown.push(`${process?.name} ${(error as Error).message}`);
    kernel.at(kernel.process('one', 'a'), 1, () => {
      throw new Error('trouble');
    });
    await kernel.run(() => false);
    expect(thrown).toEqual(['one trouble']);
  });

  it('has a trace that tells runs apart', async () => {
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
