import * as z from 'zod';
import type { Bus, Subscription } from '../bus/bus.ts';
import { SIGNS_OF_LIFE } from '../bus/bus-names.ts';
import type { Clock, Timer } from '../clock.ts';

/** How often a process gives a sign of life, ms. */
export const SIGN_INTERVAL_MS = 1000;
/** A process without a sign for this time is silent, ms, if signs of others came all the while. */
export const SILENT_MS = 5000;
/**
 * If no sign of any process comes for this time the bus counts as away, ms: every process receives its own signs, too.
 */
export const SIGN_GAP_MS = 2500;
/** Processes that are kept; the one that has been silent for longest is dropped first. */
export const MAX_SIGNS = 16_384;

/** The kinds of processes. */
export const LIVING_KINDS = ['link-gateway', 'topology', 'volconf'] as const;
export type LivingKind = (typeof LIVING_KINDS)[number];

/** The identity of a process that gives signs. */
export interface Living {
  readonly kind: LivingKind;
  /** Id of this life of the process: `<name>.<boot>` of a gateway, otherwise a random one. */
  readonly id: string;
  /**
   * The name that the process's next life will have, too: a gateway's name, otherwise the address of the service port.
   */
  readonly name: string;
}

const schema = z.object({
  kind: z.enum(LIVING_KINDS),
  id: z.string().min(1).max(256),
  name: z.string().min(1).max(300),
  /** The process stops on purpose: nobody should miss it. */
  leaving: z.boolean(),
});
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Gives a sign of life once a second, over the bus and not through the store; and a last one that says goodbye. */
export class SignOfLife {
  readonly #self: () => Living;
  readonly #bus: Bus;
  readonly #clock: Clock;
  #timer: Timer | null = null;

  /** `self`: asked for at each sign, since a gateway's id may change. */
  constructor(self: () => Living, { bus, clock }: { bus: Bus; clock: Clock }) {
    this.#self = self;
    this.#bus = bus;
    this.#clock = clock;
  }

  start(): void {
    this.#give(false);
    this.#timer = this.#clock.after(SIGN_INTERVAL_MS, () => this.start());
  }

  stop(): void {
    if (this.#timer === null) return;
    this.#timer.cancel();
    this.#timer = null;
    this.#give(true);
  }

  #give(leaving: boolean): void {
    const { kind, id, name } = this.#self();
    try {
      this.#bus.publish(SIGNS_OF_LIFE, encoder.encode(JSON.stringify({ kind, id, name, leaving })));
    } catch {
      // The bus is closed: no signs can be given any more.
    }
  }
}

/** A process that was there and has given no sign for a while. */
export interface Missed extends Living {
  /** Since when it is silent, by this reader's monotonic clock. */
  readonly since: number;
}

interface Heard extends Living {
  readonly at: number;
}

/** The signs of life of all processes, as this reader receives them; times are of its own monotonic clock. */
export class SignsOfLife {
  readonly #bus: Bus;
  readonly #clock: Clock;
  /** Processes by id, in the order of their last signs. */
  readonly #heard = new Map<string, Heard>();
  /** Id of the last life that gave a sign, by kind and name. */
  readonly #lives = new Map<string, string>();
  #subscription: Subscription | null = null;
  #flowingSince = Number.NaN;
  #lastAt = Number.NEGATIVE_INFINITY;

  constructor({ bus, clock }: { bus: Bus; clock: Clock }) {
    this.#bus = bus;
    this.#clock = clock;
  }

  start(): void {
    this.#subscription ??= this.#bus.subscribe(SIGNS_OF_LIFE, (_, data) => this.#take(data));
  }

  stop(): void {
    this.#subscription?.unsubscribe();
    this.#subscription = null;
  }

  /** When the last sign of this id came; undefined: none came. */
  lastSign(id: string): number | undefined {
    return this.#heard.get(id)?.at;
  }

  /** Since when signs of any process have come without a gap; null: none come at the moment. */
  get flowingSince(): number | null {
    return this.#clock.now() - this.#lastAt < SIGN_GAP_MS ? this.#flowingSince : null;
  }

  /** Processes of a kind that are giving signs of life. */
  living(kind: LivingKind): Living[] {
    const oldest = this.#clock.now() - SILENT_MS;
    return [...this.#heard.values()].filter((one) => one.kind === kind && one.at > oldest);
  }

  /**
   * Processes that were there, have neither said goodbye nor returned in another life, and are silent while others are
   * not.
   */
  missed(): Missed[] {
    const flowingSince = this.flowingSince;
    if (flowingSince === null) return [];
    const oldest = this.#clock.now() - SILENT_MS;
    const missed: Missed[] = [];
    for (const { kind, id, name, at } of this.#heard.values()) {
      const isLastLife = this.#lives.get(`${kind} ${name}`) === id;
      if (isLastLife && Math.max(at, flowingSince) <= oldest) missed.push({ kind, id, name, since: at });
    }
    return missed;
  }

  #take(data: Uint8Array): void {
    const sign = decodeSign(data);
    if (sign === null) return;
    const now = this.#clock.now();
    if (now - this.#lastAt >= SIGN_GAP_MS) this.#flowingSince = now;
    this.#lastAt = now;
    const { kind, id, name, leaving } = sign;
    // Deleted and added again, which keeps the order of the last signs.
    this.#forget(id);
    if (leaving) return;
    this.#heard.set(id, { kind, id, name, at: now });
    this.#lives.set(`${kind} ${name}`, id);
    if (this.#heard.size > MAX_SIGNS) this.#forget(this.#heard.keys().next().value ?? '');
  }

  #forget(id: string): void {
    const heard = this.#heard.get(id);
    if (heard === undefined) return;
    this.#heard.delete(id);
    const life = `${heard.kind} ${heard.name}`;
    if (this.#lives.get(life) === id) this.#lives.delete(life);
  }
}

function decodeSign(data: Uint8Array): z.infer<typeof schema> | null {
  try {
    return schema.parse(JSON.parse(decoder.decode(data)));
  } catch {
    return null;
  }
}
