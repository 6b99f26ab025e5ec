import type { Attack, Stop } from './attack.ts';

/** The honest must keep at least this part of their rate. */
export const KEPT = 0.8;
/** A new span of an honest peer must be relayed within this time, ms. */
export const SPAN_MS = 1_000;
/** The memory limit of a gateway and of topology in the manifests (deploy/k8s/base), bytes. */
export const MEMORY = 2 * 2 ** 30;

/** The rates during a turn with an attack, and during the turn without it that followed. */
export interface Turns {
  /** Round trips and calls of the honest a second: `attacked` during the attack, `alone` without it. */
  readonly attacked: { readonly trips: number; readonly calls: number };
  readonly alone: { readonly trips: number; readonly calls: number };
}

/** The observations of all turns of an attack. */
export interface Seen {
  readonly turns: readonly Turns[];
  /** The longest time that a new span took to be relayed, ms. */
  readonly slowestSpan: number;
  /** Most memory that the process had, bytes. */
  readonly memory: number;
  /** Faults that honest peers have seen, and errors in the attack itself. */
  readonly faults: readonly string[];
  /** Lines that the installation has logged. */
  readonly lines: readonly string[];
  /** Names by which the log may call the attacker: his addresses and users. */
  readonly names: readonly string[];
  /** Events since the attack began: of limits and of orders. */
  readonly events: readonly Told[];
  /** Who is at a limit, as the processes say. */
  readonly atLimits: readonly Told[];
}

/** Somebody is named for something. */
export interface Told {
  /** An address, a key or a user. */
  readonly principal: string;
  /** The resource that there is only so much of, or the method of an order. */
  readonly of: string;
}

/** The part of their rate that the honest kept: the median of the turns. */
export function kept(turns: readonly Turns[], of: 'trips' | 'calls'): number {
  const parts = turns.map(({ attacked, alone }) => attacked[of] / alone[of]).sort((a, b) => a - b);
  const middle = parts.length / 2;
  return parts.length % 2 === 1 ? parts[Math.floor(middle)]! : (parts[middle - 1]! + parts[middle]!) / 2;
}

/**
 * Whether these turns do not settle it: the honest have lost more than they may, or were faster during the attack. The
 * latter is impossible: something else used the machine in one of the turns.
 */
export function isUnsettled(turns: readonly Turns[]): boolean {
  const parts = [kept(turns, 'trips'), kept(turns, 'calls')];
  return !parts.every((part) => part >= KEPT && part <= 1 / KEPT);
}

/** Reasons why the attack has done what it must not; empty: it has not. */
export function failures({ stop }: Attack, seen: Seen): string[] {
  const found = [...seen.faults];
  for (const what of ['trips', 'calls'] as const) {
    const part = kept(seen.turns, what);
    if (!(part >= KEPT)) found.push(`honest ${what} kept ${percent(part)} of their rate`);
  }
  if (seen.slowestSpan > SPAN_MS) found.push(`a new span was relayed after ${Math.round(seen.slowestSpan)} ms`);
  if (seen.memory > MEMORY) found.push(`the process had ${mebibytes(seen.memory)}`);
  return [...found, ...unnamed(stop, seen)];
}

/** Where he should have been named and was not, or the other way round. */
function unnamed(stop: Stop, { names, lines, events, atLimits }: Seen): string[] {
  // A whole name: in quotes, or with a port behind it.
  const written = names.flatMap((name) => [`"${name}"`, `"${name}:`]);
  const inLog = (text: string) =>
    lines.some((line) => line.includes(text) && written.some((name) => line.includes(name)));
  const isHis = ({ principal, of }: Told, what: string) => of === what && names.includes(principal);
  switch (stop.kind) {
    case 'limited':
      return [
        ...(inLog(`"resource":"${stop.resource}"`) ? [] : [`no line of the log about ${stop.resource} names him`]),
        ...(events.some((event) => isHis(event, stop.resource)) ? [] : [`no event about ${stop.resource} names him`]),
        ...(atLimits.some((hit) => isHis(hit, stop.resource)) ? [] : [`status does not name him for ${stop.resource}`]),
      ];
    case 'refused':
      return inLog(stop.says) ? [] : [`no line of the log with "${stop.says}" names him`];
    case 'ordered':
      return events.some((event) => isHis(event, stop.method)) ? [] : [`no event about ${stop.method} names him`];
    case 'absorbed': {
      const limits = atLimits.filter(({ principal }) => names.includes(principal)).map(({ of }) => of);
      return limits.length === 0 ? [] : [`he is at a limit: ${limits.join(', ')}`];
    }
  }
}

export function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
