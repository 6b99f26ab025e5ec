import type { Bus } from '@spanmesh/runtime/bus';
import { GATEWAYS_BUCKET } from '@spanmesh/runtime/bus-names';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Logger, Throttle } from '@spanmesh/runtime/logger';
import { GatewayRegistration } from '@spanmesh/runtime/registry';
import type { GatewayIdentity } from './gateway-service.ts';

/** How soon the registry is tried again when the store is away, in milliseconds. */
const REGISTER_RETRY_MS = 1000;

export interface RegistrationDependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly throttle: Throttle;
}

/** The gateway's entry in the registry. Without the store a gateway works, too; it is tried again until it is there. */
export class Registration {
  readonly #identity: GatewayIdentity;
  readonly #deps: RegistrationDependencies;
  #entry: GatewayRegistration | null = null;
  #retry: Timer | null = null;
  #isLeaving = false;

  constructor(identity: GatewayIdentity, deps: RegistrationDependencies) {
    this.#identity = identity;
    this.#deps = deps;
  }

  /** Resolves after the first attempt. */
  async start(): Promise<void> {
    const { bus, clock, logger, throttle } = this.#deps;
    try {
      const kv = await bus.kv(GATEWAYS_BUCKET);
      if (this.#isLeaving) return;
      this.#entry = new GatewayRegistration(this.#identity, { kv, clock });
      await this.#entry.start();
    } catch (err) {
      const { log, suppressed } = throttle.admit('register');
      if (log) logger.warn({ err, suppressed }, 'the registry of gateways cannot be reached; it is tried again');
      if (!this.#isLeaving) this.#retry = clock.after(REGISTER_RETRY_MS, () => void this.start());
    }
  }

  /** The gateway stops: whoever looks for one to use takes another. */
  leaving(): void {
    this.#isLeaving = true;
    this.#retry?.cancel();
    this.#entry?.drain();
  }

  /** The gateway is gone. */
  async stop(): Promise<void> {
    this.leaving();
    await this.#entry?.stop();
  }
}
