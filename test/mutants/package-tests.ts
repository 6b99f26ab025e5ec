import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a test-host.ts is asked. */
export interface HostRequest {
  /** What has changed since it was asked last, from the root of the project; null: nothing. */
  readonly changed: string | null;
  /** All tests of the package, or those that have to do with what has changed. */
  readonly of: 'all' | 'related';
}

/** What it says meanwhile, whenever a test has ended. */
export interface HostProgress {
  readonly isAlive: true;
}

/** What it answers. */
export interface HostAnswer {
  readonly passed: boolean;
  /** What failed took as long as it may. */
  readonly hung: boolean;
}

/** How the tests of a package have ended: `hung` is noticed, too, or the machine is too busy. */
export type Verdict = 'passed' | 'failed' | 'hung';

/** When something hangs, ms. */
export interface Patience {
  /** A test that takes so long has failed. */
  readonly test: number;
  /** Tests of which none ends for so long loop: they do not even give up, and are ended. */
  readonly silence: number;
}

/** Before it is known how long they take. */
export const ENDLESS: Patience = { test: Number.POSITIVE_INFINITY, silence: Number.POSITIVE_INFINITY };

const HOST = join(import.meta.dirname, 'test-host.ts');

interface Host {
  readonly child: ChildProcess;
  readonly gone: Promise<'gone'>;
}

/** The tests of one package in a copy, in a process that stays from one change to the next. */
export class PackageTests {
  readonly #root: string;
  readonly #name: string;
  readonly #patience: Patience;
  #host: Host | null = null;

  constructor(root: string, name: string, patience: Patience) {
    this.#root = root;
    this.#name = name;
    this.#patience = patience;
  }

  /** All of them. */
  async all(): Promise<Verdict> {
    return await this.#ask({ changed: null, of: 'all' });
  }

  /** Those that have to do with a file that has changed. Before the next call it is as it was. */
  async related(changed: string): Promise<Verdict> {
    return await this.#ask({ changed, of: 'related' });
  }

  /** Ends the process. */
  end(): void {
    const child = this.#host?.child;
    this.#host = null;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // In a group of its own: a worker that loops does not notice that its parent is gone.
    process.kill(-child.pid, 'SIGKILL');
  }

  async #ask(request: HostRequest): Promise<Verdict> {
    this.#host ??= await this.#start();
    const { child, gone } = this.#host;
    const { silence } = this.#patience;
    const { promise: late, resolve: tooLate } = Promise.withResolvers<'late'>();
    const timer = Number.isFinite(silence) ? setTimeout(tooLate, silence, 'late') : undefined;
    const { promise: answer, resolve: answered } = Promise.withResolvers<HostAnswer>();
    const listen = (message: HostProgress | HostAnswer): void => {
      if ('isAlive' in message) timer?.refresh();
      else answered(message);
    };
    child.on('message', listen);
    child.send(request);
    const result = await Promise.race([answer, gone, late]);
    clearTimeout(timer);
    child.off('message', listen);
    if (typeof result !== 'string') return result.passed ? 'passed' : result.hung ? 'hung' : 'failed';
    // What ends the host itself is noticed, too.
    this.end();
    return result === 'late' ? 'hung' : 'failed';
  }

  /** @throws Error: no vitest can be made */
  async #start(): Promise<Host> {
    const { test } = this.#patience;
    const child = fork(HOST, {
      cwd: this.#root,
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        ...process.env,
        MUTANTS_PACKAGE: this.#name,
        MUTANTS_LIMIT_MS: String(Number.isFinite(test) ? Math.ceil(test) : 0),
      },
    });
    const gone = once(child, 'exit').then(() => 'gone' as const);
    if ((await Promise.race([once(child, 'message'), gone])) === 'gone') throw new Error('no vitest can be made');
    return { child, gone };
  }
}
