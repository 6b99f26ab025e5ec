import { freePort, Installation, ServiceProcess } from '../peer/installation.ts';
import type { BenchDialect } from './generator-peer.ts';

/** What is measured: one process or several. */
export interface Measured {
  /** Of every process. */
  readonly pids: readonly number[];
  /** Where the first peer connects to. */
  readonly port: number;
  /** Where the second one does: the same, or another gateway. */
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
  const installation = await Installation.start(2, QUIET);
  const [one, two] = installation.gateways;
  return {
    pids: [installation.topology, ...installation.gateways].map(({ child }) => child.pid!),
    port: one!.dmsg[dialect],
    otherPort: two!.dmsg[dialect],
    stop: () => installation.stop(),
  };
}
