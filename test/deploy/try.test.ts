import { execFile } from 'node:child_process';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Programs } from '../peer/programs.ts';

const TRY = join(import.meta.dirname, '../../deploy/k8s/try');
const KUBECTL = join(import.meta.dirname, 'kubectl.fixture.mjs');
const LAUNCHER = join(import.meta.dirname, '../../node_modules/.bin');

describe('deploy/k8s/try, with a kubectl that has no cluster', () => {
  const programs = new Programs();
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'spanmesh-try-'));
    copyFileSync(KUBECTL, join(directory, 'kubectl'));
    chmodSync(join(directory, 'kubectl'), 0o755);
  });
  afterEach(async () => {
    await programs.endAll();
    rmSync(directory, { recursive: true, force: true });
  });

  /** Runs it. What `fails` says is what kubectl is not able to do. */
  async function run(fails: string): Promise<{ code: number; output: string; asked: string[] }> {
    const { dmsg, grpc } = await programs.standalone();
    const asked = join(directory, 'asked');
    const path = [directory, dirname(process.execPath), LAUNCHER, process.env.PATH].join(delimiter);
    const env = { ...process.env, PATH: path, ASKED: asked, FAILS: fails, DMSG: dmsg, API: grpc };
    return new Promise((resolve) => {
      execFile(TRY, [], { env }, (error, stdout, stderr) => {
        const lines = readFileSync(asked, 'utf8').trim().split('\n');
        resolve({ code: Number(error?.code ?? 0), output: stdout + stderr, asked: lines });
      });
    });
  }

  it('brings peers together, restarts topology, and leaves nothing', async () => {
    const { code, output, asked } = await run('');
    expect(code, output).toBe(0);
    expect(output).not.toContain('FAILED');
    expect(output).toContain('ok      the peers are still there');
    expect(asked.at(-1)).toBe('delete namespace spanmesh-try --wait=false');
  });

  it('says what failed, with what the pods say, and leaves nothing', async () => {
    const { code, output, asked } = await run('rollout status deployment/link-gateway');
    expect(code, output).toBe(1);
    expect(output).toMatch(/FAILED {2}deployment\/link-gateway is rolled out\n +error: it is said to fail/);
    expect(asked).toContain('--namespace spanmesh-try logs deployment/link-gateway --all-containers --tail 20');
    expect(asked.at(-1)).toBe('delete namespace spanmesh-try --wait=false');
  });

  it('changes nothing in a namespace that is there', async () => {
    const { code, output, asked } = await run('create namespace');
    expect(code, output).toBe(1);
    expect(asked.filter((line) => /apply|delete/.test(line))).toEqual([]);
  });
});
