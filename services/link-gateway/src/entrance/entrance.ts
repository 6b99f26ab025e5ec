import { randomBytes } from 'node:crypto';
import { REPLAY_DEFAULTS, ReplayMemory } from '@spanmesh/dmsg/crypto/replay';
import { AddressCount } from '@spanmesh/dmsg-socket/address/address-count';
import { type FailingOf, FailureLimit } from '@spanmesh/dmsg-socket/handshake/failure-limit';
import { Handshaker } from '@spanmesh/dmsg-socket/handshake/handshaker';
import { type KeysChange, KeysDirectory } from '@spanmesh/dmsg-socket/keys/keys-directory';
import { KeysError } from '@spanmesh/dmsg-socket/keys/keys-error';
import { EventKind } from '@spanmesh/proto/v1/events';
import type { Clock } from '@spanmesh/runtime/clock';
import { type EventTeller, NO_EVENTS } from '@spanmesh/runtime/events/event-teller';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import type { PoolLimit } from '@spanmesh/runtime/shares/pool';
import type { GatewayOptions } from '../settings.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';
import { Admission, loopbackOnly } from './admission.ts';
import { entranceSettings } from './entrance-settings.ts';
import { FileDescriptors } from './file-descriptors.ts';
import { ProxiedSockets } from './proxy/proxied-sockets.ts';

/** What an operator can do about handshakes that keep failing. */
const FAILING_ADVICE: Readonly<Record<FailingOf, string>> = {
  address: 'a wrong key on one side, or somebody who tries keys out: look at what connects from there',
  key: 'several addresses fail with the key of one peer: a wrong key for a prefix, or somebody who tries keys out',
};

export interface EntranceDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events?: EventTeller;
  readonly shares: Pick<GatewayShares, 'connections'>;
  /** Called when an address has reached its share of handshakes. */
  readonly limited: (limit: PoolLimit) => void;
}

/** Everything that decides which peers get in. */
export class Entrance {
  readonly admission: Admission;
  readonly handshaker: Handshaker;
  /** Counts failed handshakes by address and by key; after too many, further ones are refused for a while. */
  readonly failures: FailureLimit;
  readonly proxied: ProxiedSockets;
  /** null: there is no keys directory. */
  readonly keys: KeysDirectory | null;
  /** Handshakes that were completed. */
  handshakesDone = 0;
  /** Handshakes that failed, by the name of the error. */
  readonly handshakesFailed: Record<string, number> = {};

  constructor(options: GatewayOptions, deps: EntranceDependencies) {
    const { clock, logger, shares, events = NO_EVENTS } = deps;
    const keys =
      options.keysDir === ''
        ? null
        : new KeysDirectory(
            { directory: options.keysDir },
            { clock, logger, changed: (change) => tellKeys(events, options.keysDir, change) },
          );
    this.keys = keys;
    this.failures = new FailureLimit(
      { perAddress: options.failedHandshakesPerAddress, perKey: options.failedHandshakesPerKey },
      {
        clock,
        reached: (of, address) => {
          const words = { peer: address, limit: of, advice: FAILING_ADVICE[of] };
          logger.warn(words, 'handshakes keep failing; further ones are refused for a while, before any RSA');
        },
      },
    );
    this.handshaker = new Handshaker(
      {
        timeoutMs: options.handshakeTimeout,
        total: options.maxHandshakes,
        perAddress: options.maxHandshakesPerAddress,
      },
      {
        clock,
        random: randomBytes,
        replays: new ReplayMemory(REPLAY_DEFAULTS, { clock }),
        failures: this.failures,
        shareLimited: deps.limited,
      },
    );
    this.admission = new Admission({
      accessOf: keys === null ? loopbackOnly : (address) => keys.of(address),
      connections: new AddressCount({ total: options.maxConnections, perAddress: options.maxConnectionsPerAddress }),
      handshakes: this.handshaker,
      room: shares.connections,
      files: new FileDescriptors({ clock }),
    });
    this.proxied = new ProxiedSockets(
      { from: options.proxyProtocolFrom, timeoutMs: options.handshakeTimeout, limit: options.maxHandshakes },
      { clock },
    );
  }

  /** @throws SettingError: the keys directory cannot be used. */
  async start(): Promise<void> {
    try {
      await this.keys?.start();
    } catch (error) {
      if (!(error instanceof KeysError)) throw error;
      throw new SettingError(entranceSettings.keysDir.env, error.message, { cause: error });
    }
  }

  /** Admits nobody any more, and ends the handshakes that are under way. */
  stop(): void {
    this.admission.close();
    this.proxied.stop();
    this.handshaker.stop();
    this.keys?.stop();
  }

  /** A handshake has failed with this error. */
  countFailed(failure: string): void {
    this.handshakesFailed[failure] = (this.handshakesFailed[failure] ?? 0) + 1;
  }
}

/**
 * Reports that a key file is in use now, or bad. The principal is `directory`, so that many bad files are reported
 * together.
 */
function tellKeys(events: EventTeller, directory: string, { file, problem, inUse }: KeysChange): void {
  const kind = problem === null ? EventKind.EVENT_KIND_KEYS_RELOADED : EventKind.EVENT_KIND_KEYS_BAD;
  const files = { inUse, error: problem ?? '', files: [file] };
  events.tell({ kind, subject: file, principal: directory, files }, { isLogged: true });
}
