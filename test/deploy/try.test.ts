import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OwnNetwork } from '../peer/own-network.ts';
import { type ControllerAddresses, Programs } from '../peer/programs.ts';

const ROOT = join(import.meta.dirname, '../..');
const TRY = join(ROOT, 'deploy/k8s/try');
const KUBECTL = join(import.meta.dirname, 'kubectl.fixture.mjs');
const LAUNCHER = join(ROOT, 'node_modules/.bin');

describe('deploy/k8s/try, with a kubectl that has no cluster', () => {
  const programs = new Programs();
  let directory: string;
  let asked: string;
  // A network namespace, because the script forwards to fixed ports.
  let network: OwnNetwork;
  beforeEach(async () => {
    network = await OwnNetwork.start();
    programs.through = network.through;
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-try-'));
    asked = join(directory, 'asked');
    writeFileSync(asked, '');
    copyFileSync(KUBECTL, join(directory, 'kubectl'));
    chmodSync(join(directory, 'kubectl'), 0o755);
    // What npx finds in a checkout; npm itself takes longer than most of what it is to run.
    writeFileSync(join(directory, 'npx'), `#!/bin/sh\nexec "${LAUNCHER}/$@"\n`, { mode: 0o755 });
  });
  afterEach(async () => {
    await programs.endAll();
    await network.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  /**
   * Runs the script. kubectl fails at commands that contain `fails`. `controller` is started once kubectl has applied
   * the manifests.
   */
  async function run(
    args: readonly string[],
    fails: string,
    controller: (clone: string) => Promise<ControllerAddresses>,
  ): Promise<{ code: number; output: string; asked: string[] }> {
    const path = [directory, dirname(process.execPath), LAUNCHER, process.env.PATH].join(delimiter);
    const file = join(directory, 'controller');
    const own = { PATH: path, ASKED: asked, FAILS: fails, CONTROLLER: file, SPANMESH_TRY_SECRETS_TAKE: '0' };
    const lines = () => readFileSync(asked, 'utf8').trim().split('\n');
    const watcher = watch(asked);
    const started = (async () => {
      while (!lines().some((line) => line.includes(' apply '))) await once(watcher, 'change');
      const clone = readFileSync(`${asked}.in`, 'utf8').trim().split('\n').at(-1)!;
      writeFileSync(`${file}.new`, JSON.stringify(await controller(clone)));
      renameSync(`${file}.new`, file);
    })();
    const { code, output } = await new Promise<{ code: number; output: string }>((resolve, reject) => {
      started.catch(reject);
      const [program = TRY, ...rest] = [...network.through, TRY, ...args];
      execFile(program, rest, { env: { ...process.env, ...own } }, (error, stdout, stderr) => {
        resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
      });
    });
    watcher.close();
    return { code, output, asked: lines() };
  }
  const standalone = () => programs.standalone();

  it('relays spans between peers, restarts topology, and leaves no object', async () => {
    const { code, output, asked } = await run([], '', standalone);
    expect(code, output).toBe(0);
    expect(output).not.toContain('FAILED');
    expect(output).toContain('ok      the peers are still there');
    expect(asked.at(-1)).toBe('delete namespace spanmesh-try --wait=false');
  });

  it('production: with keys, certificates and tokens, by every command of the document', async () => {
    const { code, output, asked } = await run(['--production', 'shop'], '', async (clone) => {
      cpSync(join(clone, 'keys'), join(directory, 'keys'), { recursive: true });
      cpSync(join(clone, 'peers'), join(directory, 'keys/remote'), { recursive: true });
      return programs.standalone('127.0.0.1:0', {
        SPANMESH_KEYS_DIR: join(directory, 'keys'),
        SPANMESH_API_TLS_CERT: join(clone, 'tls/api.crt'),
        SPANMESH_API_TLS_KEY: join(clone, 'tls/api.key'),
        SPANMESH_API_TOKENS_FILE: join(clone, 'tokens'),
      });
    });
    expect(code, output).toBe(0);
    expect(output).not.toContain('FAILED');
    expect(output).toContain('ok      status is healthy again');
    for (const command of documented()) expect(asked).toContain(`--namespace shop ${command}`);
    expect(asked.at(-1)).toBe('delete namespace shop --wait=false');
  });

  it('reports what failed, with the logs of the pods, and leaves no object', async () => {
    const { code, output, asked } = await run([], 'rollout status deployment/link-gateway', standalone);
    expect(code, output).toBe(1);
    expect(output).toMatch(/FAILED {2}deployment\/link-gateway is rolled out\n +error: it is said to fail/);
    expect(asked).toContain('--namespace spanmesh-try logs deployment/link-gateway --all-containers --tail 20');
    expect(asked.at(-1)).toBe('delete namespace spanmesh-try --wait=false');
  });

  it('changes nothing in a namespace that exists already', async () => {
    const { code, output, asked } = await run([], 'create namespace', standalone);
    expect(code, output).toBe(1);
    expect(asked.filter((line) => /apply|delete/.test(line))).toEqual([]);
  });
});

/**
 * The kubectl commands for production in docs/kubernetes.md, from making Secrets to checking the pods, without those
 * that need no namespace.
 */
function documented(): string[] {
  const document = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8');
  const production = document.slice(document.indexOf('### Secrets'), document.indexOf('### Upgrade'));
  const blocks = [...production.matchAll(/^```console\n([\s\S]*?)^```/gm)].map(([, block]) => block!);
  const lines = blocks.flatMap((block) => [...block.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm)].map(([, line]) => line!));
  const commands = lines.flatMap((line) => line.replaceAll(/\\\n */g, ' ').split(/ && | \| |; do |; done/));
  const plain = commands
    .map((command) => command.trim().replaceAll(/ +/g, ' '))
    .filter((command) => command.startsWith('kubectl '));
  const kubectl = plain
    .map((command) => command.slice('kubectl '.length))
    .filter((command) => !command.startsWith('port-forward'));
  expect(kubectl.length).toBeGreaterThan(10);
  return kubectl.flatMap((command) =>
    command.includes('$s')
      ? ['link-gateway', 'topology', 'volconf'].map((service) => command.replaceAll('$s', service))
      : [command],
  );
}
