import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';

const FIXTURE = fileURLToPath(new URL('./service.fixture.ts', import.meta.url));

const running = new Set<ChildProcess>();
afterEach(() => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
});

/** The fixture as a process, with its output and its exit. */
class Run {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<number | null>;

  constructor(...what: string[]) {
    this.child = spawn(process.execPath, [FIXTURE, ...what], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.child);
    this.child.stdout!.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.child.stderr!.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code) => {
        running.delete(this.child);
        resolve(code);
      });
    });
  }

  /** Resolves when stdout has the word on a line of its own. */
  async said(word: string): Promise<void> {
    const has = (): boolean => this.stdout.split('\n').includes(word);
    while (!has()) {
      await Promise.race([
        new Promise((resolve) => this.child.stdout!.once('data', resolve)),
        this.ended.then(() => {
          if (!has()) {
            throw new Error(`ended without saying ${word}: ${this.stdout} ${this.stderr}`);
          }
        }),
      ]);
    }
  }

  fatal(): { msg: string; err: { message: string } } {
    const line = this.stdout.split('\n').find((text) => text.includes('"fatal"'));
    return JSON.parse(line!);
  }
}

describe('runService', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('drains at the first %s and exits with 0', async (signal) => {
    const run = new Run('drains');
    await run.said('started');
    run.child.kill(signal);
    expect(await run.ended).toBe(0);
    expect(run.stdout.split('\n').filter((line) => /^\w+$/.test(line))).toEqual(['started', 'stopping', 'stopped']);
  });

  it('exits with 1 at the second signal, whether or not it has drained', async () => {
    const run = new Run('hangs');
    await run.said('started');
    run.child.kill('SIGTERM');
    await run.said('stopping');
    run.child.kill('SIGINT');
    expect(await run.ended).toBe(1);
  });

  it('hurries at the second signal, if the service can, and exits with 0', async () => {
    const run = new Run('hurries');
    await run.said('started');
    run.child.kill('SIGTERM');
    await run.said('stopping');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(run.stdout).toContain('hurried');
  });

  it('exits with 1 at the third signal, even if the service can hurry', async () => {
    const run = new Run('hangs-hurried');
    await run.said('started');
    run.child.kill('SIGTERM');
    await run.said('stopping');
    run.child.kill('SIGTERM');
    await run.said('hurried');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(1);
  });

  it('exits with 0 on a signal when its start hangs: there is nothing to drain', async () => {
    const run = new Run('start-hangs');
    await run.said('starting');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(run.stdout).not.toContain('stopped');
  });

  it.each([
    ['setting', 'SPANMESH_DMSG_LISTEN: cannot listen on 127.0.0.1:987: EACCES\n'],
    ['make-fails', '--x: bad\n'],
  ])('prints a SettingError (%s) as one line and exits with 2', async (what, line) => {
    const run = new Run(what);
    expect(await run.ended).toBe(2);
    expect(run.stderr).toBe(line);
    expect(run.stdout).toBe('');
  });

  it.each([
    ['start-fails', 'start trouble'],
    ['throws-later', 'later trouble'],
    ['rejects-later', 'lost trouble'],
  ])('logs an unhandled error (%s) as fatal and exits with 1', async (what, message) => {
    const run = new Run(what);
    expect(await run.ended).toBe(1);
    expect(run.fatal().err.message).toBe(message);
  });

  it('exits with 1 when the drain fails', async () => {
    const run = new Run('stop-fails');
    await run.said('started');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(1);
    expect(run.fatal().err.message).toBe('cannot stop');
  });

  it('exits with 0 on a signal while it is being made, and does not start', async () => {
    const run = new Run('make-waits');
    await run.said('making');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(run.stdout).not.toMatch(/^(started|stopped)$/m);
  });

  it('logs the signals that it gets', async () => {
    const run = new Run('hangs-hurried');
    await run.said('started');
    for (const word of ['stopping', 'hurried']) {
      run.child.kill('SIGTERM');
      await run.said(word);
    }
    run.child.kill('SIGINT');
    await run.ended;
    const logged = run.stdout.split('\n').filter((line) => line.startsWith('{'));
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'info', msg: 'draining', signal: 'SIGTERM' },
      { level: 'warn', msg: 'second signal: draining in a hurry; a third one ends it' },
      { level: 'warn', msg: 'another signal: exiting without draining', signal: 'SIGINT' },
    ]);
  });

  it('takes what libraries print into its log', async () => {
    const run = new Run('prints');
    await run.said('started');
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
    expect(run.stdout).toContain('"said":"printed by a library"');
  });

  it('prints an unhandled error, with its stack, if it has no logger', async () => {
    const run = new Run('start-fails', 'silent');
    expect(await run.ended).toBe(1);
    expect(run.stderr).toMatch(/^fatal: Error: start trouble\n {4}at /);
    const signalled = new Run('hangs', 'silent');
    await signalled.said('started');
    signalled.child.kill('SIGTERM');
    await signalled.said('stopping');
    signalled.child.kill('SIGTERM');
    expect([await signalled.ended, signalled.stderr]).toEqual([1, '']);
  });

  it('goes on when nobody reads what it prints', async () => {
    const run = new Run('drains');
    await run.said('started');
    run.child.stdout!.destroy();
    run.child.kill('SIGTERM');
    expect(await run.ended).toBe(0);
  });
});
