import { describe, expect, it } from 'vitest';
import type { ShellOutput } from './shell-output.ts';
import { type ShellCommand, ShellQueue } from './shell-queue.ts';

const command = (text: string): ShellCommand => ({ text, output: null as unknown as ShellOutput });

describe('the shell commands of a connection', () => {
  it('run within the call when they need not wait for anything', () => {
    const ran: string[] = [];
    const queue = new ShellQueue(2, ({ text }) => {
      ran.push(text);
      return null;
    });
    for (const text of ['a', 'b', 'c', 'd']) expect(queue.push(command(text))).toBe(true);
    expect(ran).toEqual(['a', 'b', 'c', 'd']);
  });

  it('run one at a time, in order, even after one that fails; a bounded number may wait', async () => {
    const ran: string[] = [];
    const running: PromiseWithResolvers<void>[] = [];
    const queue = new ShellQueue(2, ({ text }) => {
      ran.push(text);
      if (text === 'now') return null;
      const slow = Promise.withResolvers<void>();
      running.push(slow);
      return slow.promise;
    });
    expect(['slow', 'now', 'slow again', 'too many'].map((text) => queue.push(command(text)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(ran).toEqual(['slow']);
    running[0]!.reject(new Error('failed'));
    await running[0]!.promise.catch(() => {});
    await Promise.resolve();
    expect(ran).toEqual(['slow', 'now', 'slow again']);
    expect(queue.push(command('now'))).toBe(true);
    running[1]!.resolve();
    await running[1]!.promise;
    await Promise.resolve();
    expect(ran).toEqual(['slow', 'now', 'slow again', 'now']);
  });
});
