import { isLoopbackHost } from '../address.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';
import { SettingError } from '../settings/setting.ts';
import { type Bus, BusError } from './bus.ts';
import { BUCKETS } from './bus-names.ts';
import { InProcessBus } from './in-process/in-process-bus.ts';
import type { OnBusError } from './in-process/in-process-kv.ts';
import { NatsBuckets } from './nats/nats-buckets.ts';
import { NatsBus, type NatsBusOptions } from './nats/nats-bus.ts';
import type { BucketCopies } from './nats/nats-copies.ts';
import type { NatsFailure } from './nats/nats-failure.ts';
import type { NatsLink } from './nats/nats-link.ts';
import type { NatsOptions } from './nats/nats-settings.ts';

/** How long a start waits for NATS, ms; after that it goes on, and connects when NATS is there. */
const START_MS = 3000;

export interface OpenBusDependencies {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
}

/** The bus of a process: NATS if the settings name a server, otherwise a bus within the process. */
export interface ProcessBus {
  readonly bus: Bus;
  /** The link to NATS; null: the settings name no server. */
  readonly link: Pick<NatsLink, 'connected' | 'losses' | 'unchangedMs'> | null;
  /** The number of copies of each bucket on NATS; empty: the settings name no server, or none is connected. */
  copies(): Promise<readonly BucketCopies[]>;
  /**
   * Waits a moment for NATS, and checks it against the settings. It is no error if NATS is away: the process works
   * without it, or waits. @throws SettingError: a fault that will not pass.
   */
  check(): Promise<void>;
}

/** @throws SettingError: settings contradict each other. */
export function openBus(options: NatsBusOptions, deps: OpenBusDependencies): ProcessBus {
  const { logger, metrics, clock = systemClock } = deps;
  const onError: OnBusError = (err, where) =>
    logger.error({ err, where }, 'a subscriber of the bus failed; the others go on');
  checkSettings(options);
  warnIfOpen(options, logger);
  if (options.natsUrl.length === 0) {
    return { bus: new InProcessBus({ onError }), link: null, copies: async () => [], check: async () => {} };
  }
  const bus = new NatsBus(options, { clock, logger, onError });
  const { link } = bus;
  metrics.gauge('spanmesh_nats_connected', '1 if a NATS server is connected.', () => (link.connected ? 1 : 0));
  metrics.counter('spanmesh_nats_losses_total', 'Connections with NATS that were lost.', () => link.losses);
  const copies = async () => (link.connected ? bus.copies(BUCKETS) : []);
  return { bus, link, copies, check: () => check(bus, { clock, logger }) };
}

async function check(bus: NatsBus, { clock, logger }: { clock: Clock; logger: Logger }): Promise<void> {
  const refusal = await firstOutcome(bus, clock);
  if (refusal !== null) {
    await bus.close();
    const advice = refusal.advice === '' ? '' : ` (${refusal.advice})`;
    throw new SettingError('SPANMESH_NATS_URL', `the server does not let us in: ${refusal.why}${advice}`);
  }
  if (!bus.link.connected) {
    logger.warn('NATS cannot be reached yet: this process goes on, and finds the others when it can');
  }
  const buckets = new NatsBuckets(BUCKETS, { bus, clock, logger });
  try {
    await buckets.look();
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    await bus.close();
    throw new SettingError(error.setting, error.message, { cause: error });
  }
  void buckets.keepLooking();
}

/** Resolves with the failure when a server refuses us; null: connected, or no server was there in time. */
function firstOutcome({ link }: NatsBus, clock: Clock): Promise<NatsFailure | null> {
  if (link.connected) return Promise.resolve(null);
  return new Promise((resolve) => {
    const done = (failure: NatsFailure | null): void => {
      subscription.unsubscribe();
      timer.cancel();
      resolve(failure);
    };
    const subscription = link.onOutcome((failure) => {
      if (failure === null || failure.refused) done(failure);
    });
    const timer = clock.after(START_MS, () => done(null));
  });
}

function checkSettings(options: NatsOptions): void {
  const { natsUser, natsPassword, natsPasswordFile, natsToken, natsNkeyFile, natsCredsFile } = options;
  const ways = {
    SPANMESH_NATS_USER: natsUser,
    SPANMESH_NATS_TOKEN: natsToken,
    SPANMESH_NATS_NKEY_FILE: natsNkeyFile,
    SPANMESH_NATS_CREDS_FILE: natsCredsFile,
  };
  const set = Object.entries(ways).flatMap(([name, value]) => (value === '' ? [] : [name]));
  const [first, second] = set;
  if (second !== undefined) throw new SettingError(second, `cannot be used together with ${first}`);
  if (natsPassword !== '' && natsPasswordFile !== '') {
    throw new SettingError('SPANMESH_NATS_PASSWORD_FILE', 'cannot be used together with SPANMESH_NATS_PASSWORD');
  }
  if (natsPassword + natsPasswordFile !== '' && natsUser === '')
    throw new SettingError('SPANMESH_NATS_USER', 'must be set, too');
  const { natsTlsCert, natsTlsKey } = options;
  if ((natsTlsCert === '') !== (natsTlsKey === '')) {
    const missing = natsTlsCert === '' ? 'SPANMESH_NATS_TLS_CERT' : 'SPANMESH_NATS_TLS_KEY';
    throw new SettingError(missing, 'must be set, too');
  }
}

function warnIfOpen({ natsUrl, natsTlsCa, natsTlsCert }: NatsOptions, logger: Logger): void {
  if (natsTlsCa !== '' || natsTlsCert !== '') return;
  const open = natsUrl.find(({ tls, host }) => !tls && !isLoopbackHost(host));
  if (open === undefined) return;
  logger.warn({ server: open.host }, 'plaintext to NATS: anyone who can change its messages can name the leader');
}
