import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packForNpm } from '../../deploy/package/npm.ts';
import { OtlpReceiver } from '../peer/otlp-receiver.ts';

/** Time to pack and install the package on a slow machine, milliseconds. */
const PATIENCE_MS = 120_000;

describe('the npm package, installed outside of the project', () => {
  let home: string;
  let tarball: string;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'spanmesh-installed-'));
    tarball = await packForNpm(join(home, 'work'), home);
  }, PATIENCE_MS);

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  it.each([
    { name: 'with the native CRC', omit: [] },
    { name: 'where there is no native CRC', omit: ['--omit=optional'] },
  ])(
    '$name, runs a controller that peers connect to, and that the command line shows',
    async ({ name, omit }) => {
      const at = join(home, name.replaceAll(' ', '-'));
      mkdirSync(at);
      execFileSync('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...omit, tarball], {
        cwd: at,
        stdio: 'pipe',
      });
      const collector = await OtlpReceiver.start();
      const standalone = await Running.start(
        at,
        [
          'run',
          'standalone',
          '--dmsg-listen',
          '127.0.0.1:0',
          '--grpc-listen',
          '127.0.0.1:0',
          '--http-listen',
          '127.0.0.1:0',
        ],
        /standalone serves/,
        { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '50' },
      );
      try {
        const dmsg = /"dmsg":\["([^"]+)"/.exec(standalone.output)?.[1] ?? '';
        const grpc = /"grpc":"([^"]+)"/.exec(standalone.output)?.[1] ?? '';
        const sim = await Running.start(
          at,
          ['sim', '--peers', '3', '--dialect', 'circuit', '--connect', dmsg],
          /3 peers up/,
        );
        try {
          expect(spanmesh(at, ['--address', grpc, 'nodes', '-o', 'json'])).toContain('peer01');
          expect(spanmesh(at, ['--address', grpc, 'status'])).toContain(manifest.version);
        } finally {
          await sim.stop();
        }
        // A trace shows that the package contains the modules for traces, which are loaded on demand.
        await collector.until((steps) => steps.find(({ name }) => name === 'link received'), 'a LNK_SPAN of the peers');
      } finally {
        expect(await standalone.stop()).toBe(0);
        await collector.stop();
      }
    },
    PATIENCE_MS,
  );

  it('names commands as they are called in the installed package', () => {
    const at = join(home, 'with the native CRC'.replaceAll(' ', '-'));
    expect(() => spanmesh(at, ['--address', '127.0.0.1:1', 'status'])).toThrow('try `spanmesh run standalone`');
  });

  it('knows the lines of its sources, which a stack has with --enable-source-maps', () => {
    const text = 'another signal: exiting without draining';
    const source = readFileSync(join(ROOT, 'libs/runtime/src/process/service.ts'), 'utf8');
    const lib = join(home, 'work/lib');
    const chunk = readdirSync(lib).find(
      (file) => file.endsWith('.mjs') && readFileSync(join(lib, file), 'utf8').includes(text),
    );
    const code = readFileSync(join(lib, chunk ?? ''), 'utf8');
    const before = code.slice(0, code.indexOf(text)).split('\n');
    const map = new SourceMap(JSON.parse(readFileSync(join(lib, `${chunk}.map`), 'utf8')));
    const found = map.findOrigin(before.length, (before.at(-1)?.length ?? 0) + 1);
    expect(found).toMatchObject({
      fileName: expect.stringMatching(/libs\/runtime\/src\/process\/service\.ts$/),
      lineNumber: source.slice(0, source.indexOf(text)).split('\n').length,
    });
  });

  it('names the authors of its contents', () => {
    const notices = readFileSync(join(home, 'work/THIRD-PARTY.md'), 'utf8');
    expect(notices).toMatch(/^## @grpc\/grpc-js \d/m);
    expect(notices).toMatch(/^## nats \d/m);
    expect(notices).not.toMatch(/^## (vitest|typescript|esbuild) /m);
  });
});

const ROOT = join(import.meta.dirname, '../..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  version: string;
};

function spanmesh(at: string, args: readonly string[]): string {
  return execFileSync(process.execPath, [join(at, 'node_modules/spanmesh/lib/spanmesh.mjs'), ...args], {
    cwd: at,
    encoding: 'utf8',
  });
}

/** A command that runs until it is stopped. */
class Running {
  output = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  }

  /** Resolves when the output shows that it works; rejects if it ends before. */
  static async start(at: string, args: readonly string[], ready: RegExp, env = {}): Promise<Running> {
    const program = join(at, 'node_modules/spanmesh/lib/spanmesh.mjs');
    const child = spawn(process.execPath, [program, ...args], { cwd: at, env: { ...process.env, ...env } });
    const running = new Running(child);
    await new Promise<void>((resolve, reject) => {
      const take = (chunk: Buffer): void => {
        running.output += chunk.toString();
        if (ready.test(running.output)) resolve();
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      void running.#ended.then((code) => reject(new Error(`ended with ${code}: ${running.output}`)));
    });
    return running;
  }

  /** Stops the command, and returns its exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    return this.#ended;
  }
}
