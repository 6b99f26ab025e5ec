import type { Happened } from '@spanmesh/runtime/events/event-teller';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { Core, type CoreOptions, type Following } from '../core.ts';
import { registerMetrics } from '../metrics.ts';
import { FakeLease } from './fake-lease.fixture.ts';
import { FakePresence } from './fake-presence.fixture.ts';

/** A leader whose lease and registry the test controls, and, if wanted, the turns of its work, too. */
export class FakeLeader {
  /** Turns of the event loop that its work waits for; used only if `unitsPerTurn` is given. */
  readonly turns: (() => void)[] = [];
  readonly lease = new FakeLease();
  readonly presence: FakePresence;
  readonly clock: FakeClock;
  readonly core: Core;
  /** What it has told people. */
  readonly told: Happened[] = [];
  /** Lines of its log from `warn` on: only if `isLogged`. */
  readonly log: Record<string, unknown>[] = [];
  #metrics: Metrics | undefined;

  constructor({
    epoch = 1,
    presence = new FakePresence(),
    clock = new FakeClock(),
    following,
    leads = true,
    unitsPerTurn = Number.POSITIVE_INFINITY,
    isLogged = false,
    ...options
  }: Partial<CoreOptions> & {
    isLogged?: boolean;
    epoch?: number;
    presence?: FakePresence;
    clock?: FakeClock;
    following?: Following;
    leads?: boolean;
  } = {}) {
    this.presence = presence;
    this.clock = clock;
    presence.clock = clock;
    this.lease.epoch = epoch;
    this.core = new Core(
      {
        installation: 'spanmesh',
        widths: { linkid: 2, circuit: 1 },
        rnssAdd: 7,
        version: '1.0.0',
        address: () => 'me:1',
        unitsPerTurn,
        ...options,
      },
      {
        lease: this.lease,
        presence,
        clock,
        logger: createLogger({
          level: isLogged ? 'warn' : 'silent',
          service: 'test',
          destination: { write: (line: string) => void this.log.push(JSON.parse(line)) },
        }),
        events: { tell: (happened) => void this.told.push(happened) },
        later: (turn) => this.turns.push(turn),
        ...(following && { following }),
      },
    );
    this.lease.onRaise = () => this.lead();
    presence.listeners.push(() => this.core.term.presenceChanged());
    if (leads) this.lead();
  }

  /** The leader's metrics. They are made at first use, because most tests never read them. */
  get metrics(): Metrics {
    if (this.#metrics === undefined) {
      this.#metrics = new Metrics();
      registerMetrics(this.#metrics, this.core);
    }
    return this.#metrics;
  }

  /** Lets one turn pass, if the leader's work waits for one. */
  turn(): void {
    this.turns.shift()?.();
  }

  /** Lets all turns pass. */
  finish(): void {
    for (let turn = this.turns.shift(); turn !== undefined; turn = this.turns.shift()) turn();
  }

  lead(): void {
    this.lease.valid = true;
    this.lease.frozenSince = null;
    this.core.term.leaseChanged({ kind: 'leading', epoch: this.lease.epoch });
  }

  freeze(): void {
    this.lease.valid = false;
    this.lease.frozenSince = this.clock.now();
    this.core.term.leaseChanged({ kind: 'frozen', epoch: this.lease.epoch });
  }

  lose(): void {
    this.lease.valid = false;
    this.core.term.leaseChanged({ kind: 'standby', holder: { address: 'other:1', epoch: this.lease.epoch + 1 } });
  }
}
