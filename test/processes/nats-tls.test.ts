import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import type { NatsServerProcess } from '@spanmesh/runtime/bus/nats/nats-server.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startShipped, violations } from '../deploy/nats-users.ts';
import { ServiceProcess } from '../peer/installation.ts';
import { PATIENCE_MS } from '../peer/raw-peer.ts';

// docs/tls.md, "NATS": the certificates of `spanmesh certs init --nats`, with a real nats-server and the configuration
// of docker-compose.yml.

let directory: string;
let nats: NatsServerProcess;
const running: ServiceProcess[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'spanmesh-nats-tls-'));
  for (const where of ['tls', 'strange']) {
    const args = ['certs', 'init', join(directory, where), '--nats', 'nats.example'];
    expect(await main(args, new RecordingTerminal())).toBe(0);
  }
  const deploy = join(import.meta.dirname, '../../deploy');
  const files = {
    'nats.conf': readFileSync(join(deploy, 'compose/nats.conf'), 'utf8'),
    'permissions.conf': readFileSync(join(deploy, 'k8s/components/nats-cluster/permissions.conf'), 'utf8'),
  };
  nats = await startShipped(files, join(directory, 'tls'));
}, 4 * PATIENCE_MS);

afterAll(async () => {
  await Promise.all(running.map((process) => process.stop('SIGKILL')));
  await nats?.remove();
  rmSync(directory, { recursive: true });
});

async function start(service: string, env: Record<string, string>): Promise<ServiceProcess> {
  const process = await ServiceProcess.start(service, {
    SPANMESH_NATS_URL: `tls://127.0.0.1:${nats.port}`,
    SPANMESH_NATS_TLS_CA: join(directory, 'tls', 'ca.crt'),
    ...env,
  });
  running.push(process);
  return process;
}

/** Settings for a process that shows the certificate of this name. `where`: the CA's directory. */
const showing = (name: string, where = 'tls'): Record<string, string> => ({
  SPANMESH_NATS_TLS_CERT: join(directory, where, `${name}.crt`),
  SPANMESH_NATS_TLS_KEY: join(directory, where, `${name}.key`),
});
const believing = (where: string): Record<string, string> => ({
  SPANMESH_NATS_TLS_CA: join(directory, where, 'ca.crt'),
});

// Side by side: most of the time they wait.
describe.concurrent('a NATS server that knows services by their certificates', () => {
  it.each(['topology', 'volconf'])('lets %s in', { timeout: 4 * PATIENCE_MS }, async (service) => {
    const process = await start(service, showing(service));
    await process.ready();
    expect(await process.stop()).toBe(0);
    expect(process.output).toBe('');
    expect(violations(nats)).toEqual([]);
  });

  it.each([
    ['a certificate of a user of the API', () => showing('reader'), /AUTHORIZATION_VIOLATION/],
    [
      'a server that is not whom we want',
      () => ({ ...showing('topology'), ...believing('strange') }),
      /NATS_TLS_CA must be/,
    ],
  ])('%s: one line, exit code 2', { timeout: 4 * PATIENCE_MS }, async (_, env, line) => {
    const process = await start('topology', env());
    await expect(process.ready()).rejects.toThrow(/exit code 2/);
    const said = process.output.trimEnd().split('\n').at(-1);
    expect(said).toMatch(/^SPANMESH_NATS_URL: the server does not let us in: /);
    expect(said).toMatch(line);
  });

  it.each([
    ['no certificate', () => ({})],
    ['a certificate of another CA', () => showing('topology', 'strange')],
  ])('%s: the log names the server, and what to check', { timeout: 4 * PATIENCE_MS }, async (_, env) => {
    const process = await start('topology', env());
    // The server only closes the connection, as a server that is about to stop would do.
    await eventually(
      async () => (process.output.includes('SPANMESH_NATS_TLS_CERT and _KEY') ? true : undefined),
      'it says why',
    );
    expect(process.output).toContain(`"server":"127.0.0.1:${nats.port}"`);
  });
});
