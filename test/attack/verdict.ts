import type { Attack } from './attack.ts';

/** Least part of their rate that the honest keep. */
export const KEPT = 0.8;
/** Longest time until a new span of an honest peer is relayed, ms. */
export const SPAN_MS = 1_000;
/** The memory limit of a gateway and of topology in the manifests (deploy/k8s/base), bytes. */
export const MEMORY = 2 * 2 ** 30;

/** What a turn of an attack, and the turn without it that followed, have shown. */
export interface Turns {
  /** Round trips and calls of the honest a second, while attacked and while not. */
  readonly attacked: { readonly trips: number; readonly calls: number };
  readonly alone: { readonly trips: number; readonly calls: number };
}

/** What an attack has shown in all. */
export interface Seen {
  readonly turns: readonly Turns[];
  /** The longest time until a new span was relayed, ms. */
  readonly slowestSpan: number;
  /** Most memory of the process, bytes. */
  readonly memory: number;
  /** What has happened to honest peers, or went wrong in the attack. */
  readonly faults: readonly string[];
  /** Lines of the log. */
  readonly lines: readonly string[];
  /** Names by which the log may call the attacker: his addresses and users. */
  readonly names: readonly string[];
  /** Samples that have risen, with the differences. */
  readonly risen: ReadonlyMap<string, number>;
}

/** Parts of their rates that the honest kept: the middle one of the turns. */
export function kept(turns: readonly Turns[], of: 'trips' | 'calls'): number {
  const parts = turns.map(({ attacked, alone }) => attacked[of] / alone[of]).sort((a, b) => a - b);
  const middle = parts.length / 2;
  return parts.length % 2 === 1 ? parts[Math.floor(middle)]! : (parts[middle - 1]! + parts[middle]!) / 2;
}

/**
 * True if these turns do not settle it: the honest have lost more than they may, or they were faster while they were attacked, which
 * nobody is: something else took the machine in one of the turns.
 */
export function isUnsettled(turns: readonly Turns[]): boolean {
  const parts = [kept(turns, 'trips'), kept(turns, 'calls')];
  return !parts.every((part) => part >= KEPT && part <= 1 / KEPT);
}

/** Why the attack has done what it must not; empty: it has not. */
export function failures({ stop }: Attack, seen: Seen): string[] {
  const found = [...seen.faults];
  for (const what of ['trips', 'calls'] as const) {
    const part = kept(seen.turns, what);
    if (!(part >= KEPT)) found.push(`honest ${what} kept ${percent(part)} of their rate`);
  }
  if (seen.slowestSpan > SPAN_MS) found.push(`a new span was relayed after ${Math.round(seen.slowestSpan)} ms`);
  if (seen.memory > MEMORY) found.push(`the process had ${mebibytes(seen.memory)}`);
  if (stop.kind === 'refused') {
    // A whole name: in quotes, or with a port behind it.
    const names = seen.names.flatMap((name) => [`"${name}"`, `"${name}:`]);
    const isAbout = (line: string) => names.some((name) => line.includes(name));
    if (!seen.lines.some((line) => line.includes(stop.says) && isAbout(line))) {
      found.push(`no line of the log with "${stop.says}" names him`);
    }
  }
  if (stop.kind === 'counted' && ![...seen.risen.keys()].some((name) => name.startsWith(stop.metric))) {
    found.push(`${stop.metric} has not risen`);
  }
  return found;
}

export function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
