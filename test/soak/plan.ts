import { BUCKETS } from '@spanmesh/runtime/bus/bus-names';
import { Random } from '../fuzz/random.ts';

/** Number of processes and peers of a soak. */
export interface SoakSizes {
  readonly gateways: number;
  readonly topologies: number;
  readonly peers: number;
  /** NATS servers; three are one cluster. Without any there is no volconf. */
  readonly nats: 0 | 1 | 3;
  /** Number of peers to which volconf keeps connections. */
  readonly targets: number;
  /** Number of clients that follow the API. */
  readonly watchers: number;
  /** Whether peers also refuse relays and do not read, gateways drain, and targets are away. */
  readonly isRough: boolean;
  /** Number of leafs and clients of the API that call the peers' nodes. */
  readonly leafs: number;
}

/**
 * A fault, or another event. Processes are named as hosts of the network: `gateway-1`, `topology-3`, `volconf-1`,
 * `nats-1`.
 */
export type Fault =
  | { readonly kind: 'kill' | 'stop' | 'pause'; readonly process: string }
  | { readonly kind: 'cut' | 'silent'; readonly process: string; readonly from: string | null }
  /** A peer hangs up, or resets its connection, and comes back. */
  | { readonly kind: 'leave' | 'reset'; readonly peer: number }
  /** The same of a leaf. */
  | { readonly kind: 'leaf'; readonly leaf: number; readonly how: 'leave' | 'reset' }
  /** A peer closes one of its spans, and offers it again. */
  | { readonly kind: 'withdraw'; readonly peer: number; readonly span: number }
  /** The NATS server that leads the stream of this bucket at the time is killed. */
  | { readonly kind: 'kill-leader'; readonly bucket: string }
  /** A peer does not read. */
  | { readonly kind: 'slow'; readonly peer: number }
  /** A peer refuses one of the relays that it holds, once. */
  | { readonly kind: 'refuse'; readonly peer: number; readonly nth: number }
  /** An operator drains this share of a gateway's connections, once. */
  | { readonly kind: 'drain'; readonly process: string; readonly share: number }
  /** A target resets its connections and answers nobody. */
  | { readonly kind: 'absent'; readonly target: number };

/** A fault that begins `atMs` after the start of its round and lasts `forMs`. */
export interface Step {
  readonly atMs: number;
  readonly forMs: number;
  readonly fault: Fault;
}

/** Most spans of a peer; crowd-peer.ts draws which spans a peer has. */
export const SPANS = 4;
/** Faults of a round begin within this time, ms. */
const ROUND_MS = 6_000;
/**
 * Shortest and longest duration of a fault, ms: from less than any time-out to more than the time-to-live of a registry
 * entry, keep-alives and a lease.
 */
const SHORT_MS = 100;
const LONG_MS = 12_000;
const MOST_FAULTS = 5;
const MOST_GOING = 8;
const MOST_WITHDRAWN = 60;
/** In a round, at most one in this many leafs goes. */
const LEAFS_GOING_ONE_IN = 10;
/** Limits for the faults of the rough setting. */
const MOST_SLOW = 3;
const MOST_REFUSED = 20;
const MOST_DRAINS = 2;
/** In a round, one in this many targets is away. */
const ABSENT_ONE_IN = 4;
const NTHS = 100;

/** The steps of a round, in order of time: the same for the same seed, number and sizes. */
export function planRound(seed: number, round: number, sizes: SoakSizes): Step[] {
  const random = new Random(seed, round);
  const processes = processesOf(sizes);
  const free = new Set(processes);
  const steps: Step[] = [];
  const add = (fault: Fault) => steps.push({ atMs: random.below(ROUND_MS), forMs: duration(random), fault });
  for (let n = 1 + random.below(MOST_FAULTS); n > 0; n--) add(drawFault(random, processes, free));
  for (let n = random.below(MOST_GOING + 1); n > 0; n--) {
    add({ kind: random.oneIn(2) ? 'leave' : 'reset', peer: random.below(sizes.peers) });
  }
  for (let n = random.below(MOST_WITHDRAWN + 1); n > 0; n--) {
    add({ kind: 'withdraw', peer: random.below(sizes.peers), span: random.below(SPANS) });
  }
  if (sizes.nats === 3) add({ kind: 'kill-leader', bucket: random.pick(BUCKETS) });
  if (sizes.isRough) for (const fault of drawRough(random, sizes)) add(fault);
  for (let n = random.below(Math.floor(sizes.leafs / LEAFS_GOING_ONE_IN) + 1); n > 0; n--) {
    add({ kind: 'leaf', leaf: random.below(sizes.leafs), how: random.oneIn(2) ? 'leave' : 'reset' });
  }
  return steps.toSorted((a, b) => a.atMs - b.atMs);
}

/** Names of all processes of the installation; each is the name of its host, too. */
export function processesOf({ gateways, topologies, nats }: SoakSizes): string[] {
  const all = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i + 1}`);
  const volconfs = nats === 0 ? 0 : 1;
  return [
    ...all('gateway', gateways),
    ...all('topology', topologies),
    ...all('volconf', volconfs),
    ...all('nats', nats),
  ];
}

/** The steps of a round as one line of text; of those that are many only their number. */
export function showRound(steps: readonly Step[]): string {
  const isOfMany = ({ fault: { kind } }: Step) => kind === 'withdraw' || kind === 'refuse';
  const leafs = steps.filter(({ fault: { kind } }) => kind === 'leaf').length;
  return [
    ...steps.filter((step) => !isOfMany(step) && step.fault.kind !== 'leaf').map(showStep),
    ...(leafs === 0 ? [] : [`${leafs} leafs go`]),
    `${steps.filter(isOfMany).length} spans withdrawn or relays refused`,
  ].join('; ');
}

/** A step as one line of text. */
export function showStep({ atMs, forMs, fault }: Step): string {
  const when = `${atMs} ms +${forMs}`;
  switch (fault.kind) {
    case 'cut':
    case 'silent':
      return `${when}: ${fault.process} to ${fault.from ?? 'everybody'} ${fault.kind}`;
    case 'leave':
    case 'reset':
      return `${when}: peer ${fault.peer} ${fault.kind}`;
    case 'leaf':
      return `${when}: leaf ${fault.leaf} ${fault.how}`;
    case 'withdraw':
      return `${when}: peer ${fault.peer} span ${fault.span} withdrawn`;
    case 'kill-leader':
      return `${when}: kill who leads ${fault.bucket}`;
    case 'slow':
      return `${when}: peer ${fault.peer} does not read`;
    case 'refuse':
      return `${atMs} ms: peer ${fault.peer} refuses a relay`;
    case 'drain':
      return `${atMs} ms: drain ${fault.process} of ${fault.share}`;
    case 'absent':
      return `${when}: target ${fault.target} is away`;
    default:
      return `${when}: ${fault.kind} ${fault.process}`;
  }
}

function drawRough(random: Random, { peers, gateways, targets }: SoakSizes): Fault[] {
  const some = (most: number, fault: () => Fault) => Array.from({ length: random.below(most + 1) }, fault);
  return [
    ...some(MOST_SLOW, () => ({ kind: 'slow', peer: random.below(peers) })),
    ...some(MOST_REFUSED, () => ({ kind: 'refuse', peer: random.below(peers), nth: random.below(NTHS) })),
    ...some(MOST_DRAINS, () => ({
      kind: 'drain',
      process: `gateway-${1 + random.below(gateways)}`,
      share: (1 + random.below(4)) / 4,
    })),
    ...Array.from({ length: targets }, (_, target): Fault => ({ kind: 'absent', target })).filter(() =>
      random.oneIn(ABSENT_ONE_IN),
    ),
  ];
}

/** In a round, each process itself has at most one fault; its ways may have any number. */
function drawFault(random: Random, processes: readonly string[], free: Set<string>): Fault {
  const process = random.pick(processes);
  if (random.oneIn(2) && free.delete(process)) {
    return { kind: random.pick(['kill', 'stop', 'pause'] as const), process };
  }
  const others = processes.filter((other) => other !== process);
  return {
    kind: random.oneIn(2) ? 'cut' : 'silent',
    process,
    from: random.oneIn(5) ? null : random.pick(others),
  };
}

/** As many short durations as long ones: the logarithm is evenly distributed. */
function duration(random: Random): number {
  const octaves = Math.log2(LONG_MS / SHORT_MS);
  return Math.round(SHORT_MS * 2 ** ((random.below(1000) / 1000) * octaves));
}
