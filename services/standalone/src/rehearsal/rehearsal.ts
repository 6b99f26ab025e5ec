import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Clock } from '@spanmesh/runtime/clock';
import { createLogger, type Logger } from '@spanmesh/runtime/log/logger';
import { collectGarbage } from '@spanmesh/runtime/process/collect-garbage';
import { withoutEarlyInlining } from '@spanmesh/runtime/process/inlining';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { settings } from '../settings.ts';
import { Standalone } from '../standalone.ts';
import { RehearsalPeer, type RehearsalPeerOptions } from './rehearsal-peer.ts';

const DIALECTS: readonly Dialect[] = ['circuit', 'linkid'];
/** Peers that the spans are relayed to, in each dialect. */
const RECEIVERS = 8;
/** Spans in each dialect. */
const SPANS = 160;
/** Spans that are opened or closed together. */
const SPANS_AT_ONCE = 20;
/** The process starts without the rest of it if a dialect takes longer than this, ms; some 80 on a free machine. */
const PATIENCE_MS = 1000;

/** Only what the rehearsal needs, for itself: no port is known to anybody, and nothing is kept. */
const PRIVATE = {
  SPANMESH_DMSG_LISTEN: '127.0.0.1:0',
  SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
  SPANMESH_SERVICE_LISTEN: '127.0.0.1:0',
  SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
  SPANMESH_CONSOLE_LISTEN: '',
  SPANMESH_DATA_DIR: '',
  // A stranger who has found the port does not keep the process from its start.
  SPANMESH_STOP_TIMEOUT: '100ms',
};

/** What a rehearsal needs of a standalone. */
export type Rehearsed = Pick<Standalone, 'start' | 'stop' | 'dmsgPorts'>;

/**
 * Has a private standalone take, relay and close some hundred spans, so that the code is compiled when the first peer
 * comes (docs/decisions/016-rehearsal.md). Nothing of it is left but compiled code. Whatever goes wrong is logged, and
 * the process goes on: it is slower in its first second then.
 */
export async function rehearse(
  { logger, clock }: { readonly logger: Pick<Logger, 'debug' | 'warn'>; readonly clock: Clock },
  make: () => Rehearsed = privateStandalone,
): Promise<void> {
  const began = clock.now();
  try {
    const relays = await withoutEarlyInlining(() => rehearseOn(make(), clock));
    // Otherwise the first load would be just what makes V8 begin, with threads of which it needs the cores itself.
    collectGarbage();
    logger.debug({ relays, ms: Math.round(clock.now() - began) }, 'rehearsed');
  } catch (err) {
    logger.warn({ err }, 'the rehearsal before the start failed: the first second is slower');
  }
}

/** The standalone that rehearses, not started. It logs nothing: nobody is to read about spans of no peer. */
export function privateStandalone(): Standalone {
  const logger = createLogger({ level: 'fatal', service: 'rehearsal', destination: { write: () => {} } });
  return new Standalone(readSettings(settings, { env: PRIVATE, flags: {} }), logger, {
    env: {},
    processMetrics: false,
  });
}

/** Returns the number of relays, in both dialects. */
async function rehearseOn(standalone: Rehearsed, clock: Clock): Promise<number> {
  await standalone.start();
  try {
    const { port } = standalone.dmsgPorts[0]!;
    let relays = 0;
    for (const dialect of DIALECTS) relays += await play({ port, dialect }, clock);
    return relays;
  } finally {
    await standalone.stop();
  }
}

async function play(where: Omit<RehearsalPeerOptions, 'media'>, clock: Clock): Promise<number> {
  const cast = new Cast(where, clock);
  try {
    const { source } = cast;
    await cast.until((peer) => peer.isAnswered);
    for (let first = 0; first < SPANS; first += SPANS_AT_ONCE) {
      for (let node = first; node < first + SPANS_AT_ONCE; node++) source.offer(node);
      await cast.until((peer) => peer === source || peer.relaysOpened === first + SPANS_AT_ONCE);
    }
    for (let first = 0; first < SPANS; first += SPANS_AT_ONCE) {
      for (let node = first; node < first + SPANS_AT_ONCE; node++) source.withdraw(node);
      await cast.until((peer) => peer === source || peer.relaysClosed === first + SPANS_AT_ONCE);
    }
    return cast.relays;
  } finally {
    cast.close();
  }
}

/** The peers of a rehearsal, and the one promise that waits for them. */
class Cast {
  /** Offers the spans. */
  readonly source: RehearsalPeer;
  readonly #peers: readonly RehearsalPeer[];
  #isReached: () => boolean = () => false;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  #failure: Error | null = null;
  readonly #deadline: { cancel(): void };

  constructor(where: Omit<RehearsalPeerOptions, 'media'>, clock: Clock) {
    const handler = {
      onRead: () => {
        if (this.#isReached()) this.#resolve();
      },
      onLost: (error: Error) => this.#fail(error),
    };
    const join = (media: number): RehearsalPeer => new RehearsalPeer({ ...where, media }, handler);
    this.source = join(0);
    this.#peers = [this.source, ...Array.from({ length: RECEIVERS }, (_, receiver) => join(1 + receiver))];
    this.#deadline = clock.after(PATIENCE_MS, () => this.#fail(new Error(`not over after ${PATIENCE_MS} ms`)));
  }

  /** Relays that were opened, to all receivers together. */
  get relays(): number {
    return this.#peers.reduce((sum, { relaysOpened }) => sum + relaysOpened, 0);
  }

  /** Resolves when each peer has got so far; rejects if a connection is lost or the time is over. */
  until(isReachedBy: (peer: RehearsalPeer) => boolean): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#isReached = () => this.#peers.every(isReachedBy);
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  close(): void {
    this.#deadline.cancel();
    for (const peer of this.#peers) peer.close();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#reject(error);
  }
}
