import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, describe, expect, it } from 'vitest';
import { ServiceProcess, type Surroundings } from '../peer/installation.ts';
import { sample } from '../peer/scrape.ts';

const LOST = 'spanmesh_log_lines_lost_total';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A standalone whose log is `stdout`. It writes at least its banner and that it drains. */
async function standalone(stdout: Surroundings['stdout']): Promise<ServiceProcess> {
  const env = {
    SPANMESH_DMSG_LISTEN: `127.0.0.1:${await freePort()}`,
    SPANMESH_DATA_DIR: '',
    SPANMESH_LOG_LEVEL: 'info',
  };
  const made = await ServiceProcess.start('standalone', env, { stdout });
  cleanups.push(() => made.stop('SIGKILL'));
  await made.ready();
  return made;
}

/** A pipe as a shell makes it. It is only read by `read`. */
class Pipe {
  /** The end that the process writes to. */
  readonly writer: number;
  readonly #reader: number;

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'spanmesh-log-'));
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    this.#reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.writer = openSync(path, 'w');
    const filler = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    fill(filler);
    closeSync(filler);
    cleanups.push(() => rmSync(directory, { recursive: true }));
  }

  /** The present content of the pipe. */
  read(): string {
    const bytes = Buffer.alloc(1024 * 1024);
    try {
      return bytes.toString('utf8', 0, readSync(this.#reader, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
      throw error;
    }
  }

  /** Closes the reading end, so that writing fails from now on. */
  close(): void {
    closeSync(this.#reader);
  }
}

/** Writes to a pipe until it is full. */
function fill(fd: number): void {
  try {
    for (;;) writeSync(fd, Buffer.alloc(4096, '\n'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
}

/** Checks that the process answers probes and the API, obeys an order, and ends when told to. */
async function expectService(process: ServiceProcess): Promise<void> {
  expect((await fetch(`http://127.0.0.1:${process.ports.http}/livez`)).status).toBe(200);
  await changeLogLevel(process);
  expect(await process.stop('SIGTERM')).toBe(0);
}

/** Changes the log level; each change writes a line to the log. */
async function changeLogLevel({ ports }: ServiceProcess): Promise<void> {
  const args = ['log-level', 'debug', '--for', '1h', '--address', `127.0.0.1:${ports.grpc}`];
  expect(await main(args, new RecordingTerminal())).toBe(0);
}

describe('a log that cannot be written', () => {
  it('because the pipe is not read: the service starts, serves and ends', async () => {
    await expectService(await standalone(new Pipe().writer));
  });

  it('for a while, because the reader was slow: no line is lost', async () => {
    const pipe = new Pipe();
    const process = await standalone(pipe.writer);
    let text = '';
    await until(
      () => {
        text += pipe.read();
        return text.includes('standalone serves');
      },
      () => `it says that it serves: ${text}`,
    );
    expect(await sample(process.ports.http, LOST)).toBe(0);
    await expectService(process);
  });

  // Causes: metric spanmesh_log_lines_lost_total
  it('because the reader of the pipe is gone: lines are counted', async () => {
    const pipe = new Pipe();
    pipe.close();
    const process = await standalone(pipe.writer);
    await changeLogLevel(process);
    expect(await sample(process.ports.http, LOST)).toBeGreaterThan(1);
    await expectService(process);
  });

  it('because the reader of the socket goes: lost lines are counted', async () => {
    const process = await standalone('pipe');
    expect(await sample(process.ports.http, LOST)).toBe(0);
    process.child.stdout?.destroy();
    await until(async () => {
      await changeLogLevel(process);
      return (await sample(process.ports.http, LOST)) > 0;
    }, 'a line is lost');
    await expectService(process);
  });

  it('because the disk is full: lost lines are counted', async () => {
    const full = openSync('/dev/full', 'w');
    cleanups.push(() => closeSync(full));
    const process = await standalone(full);
    await changeLogLevel(process);
    expect(await sample(process.ports.http, LOST)).toBeGreaterThan(1);
    await expectService(process);
  });
});
