import type { Bus } from '@spanmesh/runtime/bus/bus';
import { GATEWAYS_BUCKET } from '@spanmesh/runtime/bus/bus-names';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import { GatewayRegistration } from '@spanmesh/runtime/gateways/registry';
import { SignOfLife } from '@spanmesh/runtime/gateways/signs-of-life';
import type { Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { GatewayIdentity } from './attach-host.ts';

/** How soon the entry is tried again when the store is away, in milliseconds. */
const REGISTER_RETRY_MS = 1000;

export interface RegistrationDependencies {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly throttle: Throttle;
}

/**
 * Shows this gateway to services that have no stream to it: by its entry in the registry, and by its signs of life. A
 * gateway also works while the store is away: the entry is tried again until it is written.
 */
export class Registration {
  readonly #identity: GatewayIdentity;
  readonly #deps: RegistrationDependencies;
  readonly #sign: SignOfLife;
  #entry: GatewayRegistration | null = null;
  #retry: Timer | null = null;
  #isLeaving = false;

  /** `identity` is read at each write of the entry and for each sign of life. */
  constructor(identity: GatewayIdentity, deps: RegistrationDependencies) {
    this.#identity = identity;
    this.#deps = deps;
    const self = () =>
      ({ kind: 'link-gateway', id: `${identity.name}.${identity.boot}`, name: identity.name }) as const;
    this.#sign = new SignOfLife(self, deps);
  }

  /** Resolves after the first attempt to write the entry. */
  async start(): Promise<void> {
    this.#sign.start();
    await this.#register();
  }

  /** The gateway has another id, or a leader has taken it on: brings the entry up to date. */
  renew(): void {
    this.#entry?.renew();
  }

  /** The gateway is going to stop: the entry says so, and clients choose another gateway. */
  leaving(): void {
    this.#isLeaving = true;
    this.#retry?.cancel();
    this.#entry?.drain();
  }

  /** Deletes the entry and ends the signs of life. */
  async stop(): Promise<void> {
    this.leaving();
    this.#sign.stop();
    await this.#entry?.stop();
  }

  async #register(): Promise<void> {
    const { bus, clock, logger, throttle } = this.#deps;
    try {
      const kv = await bus.kv(GATEWAYS_BUCKET);
      if (this.#isLeaving) return;
      const record = () => {
        const { name, boot, firstBoot, version, serviceAddress } = this.#identity;
        return { name, boot, firstBoot, version, serviceAddress };
      };
      this.#entry = new GatewayRegistration(record, { kv, clock });
      await this.#entry.start();
    } catch (err) {
      const { log, suppressed } = throttle.admit('register');
      if (log) logger.warn({ err, suppressed }, 'the registry of gateways cannot be reached; it is tried again');
      if (!this.#isLeaving) this.#retry = clock.after(REGISTER_RETRY_MS, () => void this.#register());
    }
  }
}
