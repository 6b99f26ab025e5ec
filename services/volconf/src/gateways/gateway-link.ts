import { gatewayId, nameOf } from '@spanmesh/proto/gateway-id';
import type { WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import { Backoff } from '@spanmesh/runtime/backoff';
import type { Clock, Timer } from '@spanmesh/runtime/clock';
import type { Random } from '@spanmesh/runtime/random';
import type { GatewayId, GatewayKey } from '@spanmesh/spantree/ids';
import { FIRST_WATCH_RETRY_MS, JITTER_PART, MAX_WATCH_RETRY_MS } from '../limits.ts';
import { type GatewayPort, type MediaStream, OrderError } from './gateway-port.ts';

/** Receives the events of a gateway's watch. */
export interface LinkSink {
  /** A part of a snapshot, or changes; comes after `begin`, in order. */
  message(link: GatewayLink, response: WatchMediaResponse): void;
  /** A new snapshot begins. Until it is complete the previous one is valid. */
  begin(link: GatewayLink): void;
  /** The snapshot is complete: the gateway is live. */
  live(link: GatewayLink): void;
  /** The watch has broken; it will be opened again. */
  broken(link: GatewayLink, error: OrderError): void;
}

/**
 * State of the watch of a gateway.
 *   waiting   no watch; `timer` starts the next attempt
 *   reading   the snapshot is being read
 *   live      it is complete, changes follow
 *   closed    given up: the gateway is gone, or the term is over
 */
type LinkState =
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'reading' | 'live'; readonly stream: MediaStream }
  | { readonly kind: 'closed' };

/**
 * One gateway in a leader's term: its watch, which is reopened whenever it breaks, and the port for orders to it. When
 * topology has declared the gateway dead and it continues under another boot id, this object and its connections
 * remain.
 */
export class GatewayLink {
  /** `<name>.<first boot>`: identifies the gateway as long as its process lives. */
  readonly key: GatewayKey;
  /** `<name>.<boot>` as in the registry: the id that people see. */
  id: GatewayId;
  readonly name: string;
  readonly port: GatewayPort;
  /** Its snapshot has been complete once in this term. */
  heard = false;
  /** The registry says that it is going to stop: it gets no new orders. */
  draining = false;

  readonly #epoch: number;
  readonly #deps: { readonly clock: Clock; readonly sink: LinkSink };
  #state: LinkState = { kind: 'closed' };
  readonly #backoff: Backoff;

  constructor(
    { name, boot, firstBoot, epoch }: { name: string; boot: string; firstBoot: string; epoch: number },
    deps: { port: GatewayPort; clock: Clock; random: Random; sink: LinkSink },
  ) {
    this.key = gatewayId({ name, boot: firstBoot });
    this.id = gatewayId({ name, boot });
    this.name = name;
    this.port = deps.port;
    this.#epoch = epoch;
    this.#deps = deps;
    const pauses = { firstMs: FIRST_WATCH_RETRY_MS, maxMs: MAX_WATCH_RETRY_MS, jitterPart: JITTER_PART };
    this.#backoff = new Backoff(pauses, deps);
  }

  get isLive(): boolean {
    return this.#state.kind === 'live';
  }

  /** Whether there is a watch, complete or not, which is a sign of life. */
  get isWatched(): boolean {
    return this.#state.kind === 'live' || this.#state.kind === 'reading';
  }

  open(): void {
    let stream: MediaStream | null = null;
    const mine = () => this.#state.kind !== 'closed' && 'stream' in this.#state && this.#state.stream === stream;
    stream = this.port.watch(this.#epoch, {
      message: (response) => {
        if (mine()) this.#take(response);
      },
      ended: (error) => {
        if (mine()) this.#broken(error);
      },
    });
    this.#become({ kind: 'reading', stream });
    this.#deps.sink.begin(this);
  }

  close(): void {
    const state = this.#state;
    this.#become({ kind: 'closed' });
    if (state.kind === 'waiting') state.timer.cancel();
    if (state.kind === 'reading' || state.kind === 'live') state.stream.cancel();
    this.port.close();
  }

  /** The one place where the state changes. */
  #become(state: LinkState): void {
    this.#state = state;
  }

  #take(response: WatchMediaResponse): void {
    const { sink } = this.#deps;
    const state = this.#state;
    if (state.kind !== 'reading' && state.kind !== 'live') return;
    if (response.snapshotEnd && keyOf(response) !== this.key) {
      // The address belongs to another gateway or process now: the registry will show it.
      state.stream.cancel();
      this.#broken(new OrderError('unknown', `another gateway answers there: ${response.gateway}`));
      return;
    }
    sink.message(this, response);
    if (!response.snapshotEnd || state.kind !== 'reading') return;
    this.#become({ kind: 'live', stream: state.stream });
    this.heard = true;
    this.#backoff.reset();
    sink.live(this);
  }

  #broken(error: OrderError): void {
    const { clock, sink } = this.#deps;
    this.#become({ kind: 'waiting', timer: clock.after(this.#backoff.next(), () => this.open()) });
    sink.broken(this, error);
  }
}

function keyOf({ gateway, firstBoot }: WatchMediaResponse): string {
  return firstBoot === '' ? gateway : gatewayId({ name: nameOf(gateway), boot: firstBoot });
}
