import { Random } from '../fuzz/random.ts';
import { SPANS } from './peer.ts';

/** Number of processes and peers of an installation. */
export interface Sizes {
  readonly gateways: number;
  readonly topologies: number;
  readonly volconfs: number;
  /** Besides the witnesses, of which each gateway has two. */
  readonly peers: number;
  /** False: there is no store, so gateways find the only topology by a setting, and there is no volconf. */
  readonly hasStore: boolean;
}

const SIZES: Sizes = { gateways: 3, topologies: 2, volconfs: 2, peers: 14, hasStore: true };
/** One seed in this many is of an installation without a store. */
const STORELESS_ONE_IN = 4;

/** The sizes of the seed's installation. */
export function sizesOf(seed: number): Sizes {
  if (seed % STORELESS_ONE_IN !== 0) return SIZES;
  return { ...SIZES, topologies: 1, volconfs: 0, hasStore: false };
}

/**
 * A fault, or another event. Processes by name: `gateway-1`, `topology-2`, `volconf-1`; a way may also lead to `store`.
 */
export type Fault =
  /**
   * kill: the process's kernel closes its connections. power: its host is off, and other hosts are not told. Both come
   * back.
   */
  | { readonly kind: 'kill' | 'power' | 'stop' | 'pause'; readonly process: string }
  /** The process's wall clock jumps, and stays so. */
  | { readonly kind: 'jump'; readonly process: string; readonly ms: number }
  /** The way between two; one-way: what `process` sends does not arrive. `to` null: all others. */
  | { readonly kind: 'cut' | 'silent' | 'one-way' | 'slow'; readonly process: string; readonly to: string | null }
  /** Connections between two are reset, once. */
  | { readonly kind: 'reset-way'; readonly process: string; readonly to: string }
  /** The way is silent to one process at first, and after half of the time to all. */
  | { readonly kind: 'two-step'; readonly process: string; readonly to: string }
  /**
   * Nothing passes between a gateway and everybody who notices that it lives: store, topologies, other gateways. Peers
   * and volconf still reach it.
   */
  | { readonly kind: 'unheard'; readonly process: string }
  | { readonly kind: 'store-away' | 'store-leaderless' | 'store-slow' | 'store-wiped' | 'store-rolled-back' }
  /**
   * A peer hangs up, resets its connection, does not answer, does not read; or refuses one of the relays that it holds.
   */
  | {
      readonly kind: 'leave' | 'reset' | 'peer-silent' | 'peer-slow' | 'refuse';
      readonly peer: number;
      readonly nth: number;
    }
  /** An operator drains a share of the gateway's accepted connections, with this deadline. */
  | { readonly kind: 'drain'; readonly process: string; readonly share: number; readonly deadlineMs: number }
  /** A peer closes one of its spans, and offers it again. */
  | { readonly kind: 'withdraw'; readonly peer: number; readonly nth: number };

export type FaultKind = Fault['kind'];

/** A fault that begins `atMs` after the start of its round and lasts `forMs`. */
export interface Step {
  readonly atMs: number;
  readonly forMs: number;
  readonly fault: Fault;
}

/** Faults of a round begin within this time, ms. */
const ROUND_MS = 8000;
/**
 * Shortest and longest duration of a fault, ms: from less than any time-out to well above those after which a process
 * counts as dead.
 */
const SHORT_MS = 20;
const LONG_MS = 16_000;
const MOST_FAULTS = 5;
const MOST_OF_PEERS = 10;
const MOST_WITHDRAWN = 20;
const MOST_JUMP_MS = 3_600_000;
/** One round in this many has a gateway with the fault `unheard`. */
const UNHEARD_ONE_IN = 6;
/** Shortest duration of `unheard`, ms: most of these gateways are declared dead (after 5 s, and the time to notice). */
const UNHEARD_MS = 4000;
/** One round in this many has drains, MOST_DRAINS at most. */
const DRAINS_ONE_IN = 3;
const MOST_DRAINS = 3;
/** Deadlines of drains, ms: from less than closing everything in order takes to more than most faults last. */
const DRAIN_MS = { shortest: 400, longest: 10_000 };

/** The steps of a round, in order of time: the same for the same seed, number and sizes. */
export function planRound(seed: number, round: number, sizes: Sizes): Step[] {
  const random = new Random(seed, 0x100 + round);
  const steps: Step[] = [];
  const add = (fault: Fault, forMs = duration(random)) => steps.push({ atMs: random.below(ROUND_MS), forMs, fault });
  const free = new Set(processesOf(sizes));
  for (let n = random.below(MOST_FAULTS + 1); n > 0; n--) add(drawFault(random, sizes, free));
  for (let n = random.below(MOST_OF_PEERS + 1); n > 0; n--) {
    const kind = random.pick(['leave', 'reset', 'peer-silent', 'peer-slow', 'refuse', 'refuse', 'refuse'] as const);
    add({ kind, peer: random.below(sizes.peers), nth: random.below(1000) });
  }
  for (let n = random.below(MOST_WITHDRAWN + 1); n > 0; n--) {
    add({ kind: 'withdraw', peer: random.below(sizes.peers), nth: random.below(SPANS) });
  }
  if (random.oneIn(UNHEARD_ONE_IN)) {
    add({ kind: 'unheard', process: drawGateway(random, sizes) }, UNHEARD_MS + random.below(LONG_MS - UNHEARD_MS));
  }
  if (random.oneIn(DRAINS_ONE_IN)) {
    for (let n = 1 + random.below(MOST_DRAINS); n > 0; n--) add(drawDrain(random, sizes));
  }
  return steps.toSorted((a, b) => a.atMs - b.atMs);
}

/** Names of all processes of the installation, without the store. */
export function processesOf({ gateways, topologies, volconfs }: Sizes): string[] {
  const all = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i + 1}`);
  return [...all('gateway', gateways), ...all('topology', topologies), ...all('volconf', volconfs)];
}

/** A step as one line of text. */
export function showStep({ atMs, forMs, fault }: Step): string {
  const { kind, ...rest } = fault;
  const what = Object.entries(rest).map(([name, value]) => `${name} ${value ?? 'everybody'}`);
  return `${atMs} ms +${forMs}: ${[kind, ...what].join(' ')}`;
}

function drawGateway(random: Random, { gateways }: Sizes): string {
  return `gateway-${1 + random.below(gateways)}`;
}

function drawDrain(random: Random, sizes: Sizes): Fault {
  const { shortest, longest } = DRAIN_MS;
  return {
    kind: 'drain',
    process: drawGateway(random, sizes),
    share: random.pick([0.2, 0.5, 1, 1] as const),
    deadlineMs: shortest + random.below(longest - shortest),
  };
}

/** In a round, each process itself has at most one fault; its ways may have any number. */
function drawFault(random: Random, sizes: Sizes, free: Set<string>): Fault {
  const processes = processesOf(sizes);
  const process = random.pick(processes);
  const others = processes.filter((other) => other !== process);
  if (sizes.hasStore) others.push('store', 'store');
  switch (random.below(sizes.hasStore ? 11 : 10)) {
    case 0:
    case 1:
    case 2:
      if (free.delete(process)) return { kind: random.pick(['kill', 'power', 'stop', 'pause'] as const), process };
      return { kind: 'reset-way', process, to: random.pick(others) };
    case 10:
      return random.pick([
        { kind: 'store-away' },
        { kind: 'store-leaderless' },
        { kind: 'store-slow' },
        { kind: 'store-wiped' },
        { kind: 'store-rolled-back' },
      ] as const);
    case 4:
      return { kind: 'two-step', process, to: random.pick(others) };
    case 5:
      return { kind: 'jump', process, ms: random.below(2 * MOST_JUMP_MS) - MOST_JUMP_MS };
    case 3:
    case 6:
      return { kind: 'reset-way', process, to: random.pick(others) };
    default: {
      const kind = random.pick(['cut', 'silent', 'silent', 'one-way', 'slow'] as const);
      return { kind, process, to: random.oneIn(6) ? null : random.pick(others) };
    }
  }
}

/** As many short durations as long ones: the logarithm is evenly distributed. */
function duration(random: Random): number {
  const octaves = Math.log2(LONG_MS / SHORT_MS);
  return Math.round(SHORT_MS * 2 ** ((random.below(1000) / 1000) * octaves));
}
