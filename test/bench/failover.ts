import { once } from 'node:events';
import type { Figure } from './figure.ts';
import { cpuSeconds } from './machine.ts';
import { ScaleWorld } from './scale-world.ts';

/** Name of topology's lease role, the same in every version. */
const TOPOLOGY_ROLE = 'topology';
/** Number of peers, spread over both gateways, and of nodes for most of the measurements. */
const PEERS = 200;
const FEW_NODES = 200;
/** With this many nodes every peer holds relays of all nodes of the others: 995,000 relays. */
const MANY_NODES = 5000;
/** How long the messages of an idle installation to NATS are counted, ms, and how long it is left alone before. */
const IDLE_MS = 10_000;
const SETTLE_MS = 2000;

/** How the leader fails. */
type End = 'paused' | 'stopped' | 'killed';

/**
 * Two topologies, two gateways, a volconf, and NATS: their messages to NATS when nothing happens; and, when the leader
 * fails, the time until another one leads and until a change of a span has reached all peers. The last failure is with
 * a million relays, which the new leader must take in.
 */
export async function failoverFigures(): Promise<Figure[]> {
  const world = await ScaleWorld.start({ gateways: 2, topologies: 2, volconfs: 1, dialect: 'circuit' });
  try {
    await pause(SETTLE_MS);
    const idle = (await world.meter(() => pause(IDLE_MS))).used;
    const figures: Figure[] = [
      less('idle: messages of NATS', idle.traffic.natsMessages / idle.seconds, '/s'),
      less('idle: bytes of NATS', idle.traffic.natsBytes / idle.seconds, '/s'),
    ];
    await world.connect(PEERS);
    await world.order({ what: 'offer', nodes: FEW_NODES });
    for (const end of ['paused', 'stopped', 'killed'] as const) {
      const { leadsMs, passesMs } = await failOver(world, end);
      figures.push(less(`leader ${end}: another leads`, leadsMs, 'ms'));
      figures.push(less(`leader ${end}: a change is known`, passesMs, 'ms'));
    }
    await world.order({ what: 'offer', nodes: MANY_NODES });
    const { leadsMs, passesMs, cpuSeconds } = await failOver(world, 'stopped');
    const taken = less('1M relays, leader stopped: a change is known after another leads', passesMs - leadsMs, 'ms');
    figures.push({ ...taken, cpuUs: (cpuSeconds * 1e6) / (MANY_NODES * (PEERS - 1)) });
    return figures;
  } finally {
    await world.stop();
  }
}

/** The measurements of one failure of the leader. */
interface FailedOver {
  /** Time until another process leads, and until all peers know of a change that was made right after the failure. */
  readonly leadsMs: number;
  readonly passesMs: number;
  /** CPU time of the new leader and the gateways until then. */
  readonly cpuSeconds: number;
}

/** Makes the leader fail and measures. When this resolves, the failed process runs again. */
async function failOver(world: ScaleWorld, end: End): Promise<FailedOver> {
  const { installation } = world;
  const { topologies } = installation;
  const { port } = (await installation.leader(TOPOLOGY_ROLE))!;
  const index = topologies.findIndex(({ ports }) => ports.service === port);
  const leader = topologies[index]!;
  const others = [...topologies, ...installation.gateways].filter((process) => process !== leader);
  const used = () => others.reduce((sum, { child }) => sum + cpuSeconds(child.pid!), 0);
  const before = used();
  const began = performance.now();
  const exited = end === 'paused' ? null : once(leader.child, 'exit');
  leader.child.kill(({ paused: 'SIGSTOP', stopped: 'SIGTERM', killed: 'SIGKILL' } as const)[end]);
  const passes = world.order({ what: 'flap', times: 1 }).then(() => performance.now() - began);
  await installation.leaderOtherThan(TOPOLOGY_ROLE, port);
  const leadsMs = performance.now() - began;
  const passesMs = await passes;
  const usedSeconds = used() - before;
  await exited;
  if (end === 'paused') leader.child.kill('SIGCONT');
  else topologies[index] = leader.again();
  // Once ready, it has the leader's state.
  await topologies[index]!.ready();
  await pause(SETTLE_MS);
  return { leadsMs, passesMs, cpuSeconds: usedSeconds };
}

function less(row: string, value: number, unit: string): Figure {
  return { row, value, unit, isLessBetter: true };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
