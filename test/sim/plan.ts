import { Random } from '../fuzz/random.ts';
import { SPANS } from './peer.ts';

/** How many there are of each. */
export interface Sizes {
  readonly gateways: number;
  readonly topologies: number;
  readonly volconfs: number;
  /** Besides the witnesses, two at each gateway. */
  readonly peers: number;
  /** Without a store, gateways find the one topology by a setting, and there is no volconf. */
  readonly hasStore: boolean;
}

const SIZES: Sizes = { gateways: 3, topologies: 2, volconfs: 2, peers: 14, hasStore: true };
/** One seed in so many is of an installation without a store. */
const STORELESS_ONE_IN = 4;

/** What the seed's installation is made of. */
export function sizesOf(seed: number): Sizes {
  if (seed % STORELESS_ONE_IN !== 0) return SIZES;
  return { ...SIZES, topologies: 1, volconfs: 0, hasStore: false };
}

/** What goes wrong, or merely happens. Processes by name: `gateway-1`, `topology-2`, `volconf-1`; a way also to `store`. */
export type Fault =
  /** kill: its kernel closes what it had open. power: its host is off, and tells nobody. Both come back. */
  | { readonly kind: 'kill' | 'power' | 'stop' | 'pause'; readonly process: string }
  /** Its wall clock jumps, for good. */
  | { readonly kind: 'jump'; readonly process: string; readonly ms: number }
  /** The way between two; one-way: what `process` sends does not arrive. `to` null: everybody. */
  | { readonly kind: 'cut' | 'silent' | 'one-way' | 'slow'; readonly process: string; readonly to: string | null }
  /** Connections between two are reset, once. */
  | { readonly kind: 'reset-way'; readonly process: string; readonly to: string }
  /** First silent to one, after half of the time to everybody. */
  | { readonly kind: 'two-step'; readonly process: string; readonly to: string }
  /** Nothing passes between a gateway and all by whom its life is seen: store, topologies, other gateways. To others it is as it was. */
  | { readonly kind: 'unheard'; readonly process: string }
  | { readonly kind: 'store-away' | 'store-leaderless' | 'store-slow' | 'store-wiped' | 'store-rolled-back' }
  /** A peer hangs up, resets its connection, is silent, does not read; or refuses one of the relays that it holds. */
  | {
      readonly kind: 'leave' | 'reset' | 'peer-silent' | 'peer-slow' | 'refuse';
      readonly peer: number;
      readonly nth: number;
    }
  /** An operator moves a share of what peers have connected to a gateway; it may take so long. */
  | { readonly kind: 'drain'; readonly process: string; readonly share: number; readonly deadlineMs: number }
  /** A peer takes back one of its spans, and offers it again. */
  | { readonly kind: 'withdraw'; readonly peer: number; readonly nth: number };

export type FaultKind = Fault['kind'];

/** A fault from `atMs` on in its round, for `forMs`. */
export interface Step {
  readonly atMs: number;
  readonly forMs: number;
  readonly fault: Fault;
}

/** Faults begin within this time of a round, ms. */
const ROUND_MS = 8000;
/** Shortest and longest time that a fault lasts, ms: from below any time-out to well above all that mean death. */
const SHORT_MS = 20;
const LONG_MS = 16_000;
const MOST_FAULTS = 5;
const MOST_OF_PEERS = 10;
const MOST_WITHDRAWN = 20;
const MOST_JUMP_MS = 3_600_000;
/** One round in so many has a gateway that nobody hears. */
const UNHEARD_ONE_IN = 6;
/** At least for so long, ms: most of them are declared dead (5 s, and what it takes to notice). */
const UNHEARD_MS = 4000;
/** One round in so many has drains, and so many of them at most. */
const DRAINS_ONE_IN = 3;
const MOST_DRAINS = 3;
/** Shorter than a drain's time to close everything in order takes, and longer than most faults, ms. */
const DRAIN_MS = { shortest: 400, longest: 10_000 };

/** What happens in a round: the same for the same seed, number and sizes. In order of time. */
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

/** Every process of the installation, without the store. */
export function processesOf({ gateways, topologies, volconfs }: Sizes): string[] {
  const all = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `${kind}-${i + 1}`);
  return [...all('gateway', gateways), ...all('topology', topologies), ...all('volconf', volconfs)];
}

/** In a line. */
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

/** To each process itself one thing happens in a round, to its ways any number. */
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

/** As many short ones as long ones. */
function duration(random: Random): number {
  const octaves = Math.log2(LONG_MS / SHORT_MS);
  return Math.round(SHORT_MS * 2 ** ((random.below(1000) / 1000) * octaves));
}
