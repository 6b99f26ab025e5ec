import { describe, expect, it } from 'vitest';
import { notifyReady, type RunProgram } from './service-manager.ts';

/** Records the programs that are run, and ends each with the given error. */
function programs(error: Error | null): { readonly run: RunProgram; readonly ran: string[] } {
  const ran: string[] = [];
  return {
    ran,
    run: (file, args, done) => {
      ran.push([file, ...args].join(' '));
      done(error);
    },
  };
}

describe('notifying systemd', () => {
  it('reports that this process serves, when systemd waits for it', async () => {
    const { run, ran } = programs(null);
    await notifyReady({ NOTIFY_SOCKET: '/run/systemd/notify' }, run);
    expect(ran).toEqual([`systemd-notify --ready --pid=${process.pid}`]);
  });

  it('runs nothing if nobody waits', async () => {
    const { run, ran } = programs(null);
    await notifyReady({}, run);
    expect(ran).toEqual([]);
  });

  it('fails when systemd-notify fails: the unit would not start', async () => {
    const { run } = programs(new Error('no such program'));
    await expect(notifyReady({ NOTIFY_SOCKET: '/run/systemd/notify' }, run)).rejects.toThrow('no such program');
  });
});
