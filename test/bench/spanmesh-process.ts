import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { Installation, ServiceProcess } from '../peer/installation.ts';
import { freePort } from './free-port.ts';
import type { BenchDialect } from './generator-peer.ts';

/** The installation that is measured: one process or several. */
export interface Measured {
  /** Process ids of all its processes. */
  readonly pids: readonly number[];
  /** Port to which the first peer connects. */
  readonly port: number;
  /** Port to which the second peer connects: the same, or another gateway's. */
  readonly otherPort: number;
  stop(): Promise<unknown>;
}

const QUIET = { SPANMESH_LOG_LEVEL: 'error' };

/** A standalone spanmesh in a process of its own. */
export async function startStandaloneProcess(
  dialect: BenchDialect,
  settings: Record<string, string> = {},
): Promise<Measured> {
  const port = await freePort();
  const listen = { SPANMESH_DMSG_LISTEN: `${dialect}://127.0.0.1:${port}`, SPANMESH_DATA_DIR: '' };
  const standalone = await ServiceProcess.start('standalone', { ...QUIET, ...listen, ...settings });
  await standalone.ready();
  return { pids: [standalone.child.pid!], port, otherPort: port, stop: () => standalone.stop() };
}

/** Topology and two gateways, each a process of its own; the two peers are on different gateways. */
export async function startTwoGateways(dialect: BenchDialect): Promise<Measured> {
  return twoGateways(dialect, await Installation.start(2, QUIET));
}

/** As `startTwoGateways`, with certificates for all three processes. */
export async function startTwoGatewaysWithTls(dialect: BenchDialect): Promise<Measured> {
  const directory = mkdtempSync(join(tmpdir(), 'spanmesh-bench-tls-'));
  const certificates = join(directory, 'tls');
  const terminal = new RecordingTerminal();
  const names = ['--gateway', 'gateway-1', '--gateway', 'gateway-2'];
  if ((await main(['certs', 'init', certificates, ...names], terminal)) !== 0) throw new Error('no certificates');
  const ofEach = (name: string) => {
    const service = name === 'topology' ? name : `link-gateway-${name}`;
    return {
      SPANMESH_TLS_CA: join(certificates, 'ca.crt'),
      SPANMESH_TLS_CERT: join(certificates, `${service}.crt`),
      SPANMESH_TLS_KEY: join(certificates, `${service}.key`),
    };
  };
  const measured = twoGateways(dialect, await Installation.start(2, QUIET, ofEach));
  return {
    ...measured,
    stop: async () => {
      await measured.stop();
      rmSync(directory, { recursive: true });
    },
  };
}

function twoGateways(dialect: BenchDialect, installation: Installation): Measured {
  const [one, two] = installation.gateways;
  return {
    pids: [installation.topology, ...installation.gateways].map(({ child }) => child.pid!),
    port: one!.dmsg[dialect],
    otherPort: two!.dmsg[dialect],
    stop: () => installation.stop(),
  };
}
