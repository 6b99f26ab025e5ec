import type { Socket } from 'node:net';
import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { EndingJob } from '@spanmesh/dmsg/transaction';
import { Backoff } from '@spanmesh/runtime/backoff';
import type { Timer } from '@spanmesh/runtime/clock';
import type { ProtocolRule } from '@spanmesh/runtime/grpc/protocol-version';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import type { Random } from '@spanmesh/runtime/random';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import type { GatewayId, LinkId } from '@spanmesh/spantree/ids';
import type { TrafficCounts } from '../connection/traffic-counts.ts';
import { isFailed, LinkGatewayError } from '../gateway-error.ts';
import type { RouteSource, RouteTransaction } from '../routing/trunks.ts';
import {
  FIRST_BACKOFF_MS,
  LOG_INTERVAL_MS,
  LOST_BACKOFF_MS,
  MAX_BACKOFF_MS,
  OPEN_TIMEOUT_MS,
  UNREACHABLE_AFTER_MS,
} from './limits.ts';
import { type AskForTrunk, type OpenedTrunk, openTrunk } from './open-trunk.ts';
import type { Tokens } from './tokens.ts';
import { TrunkEnd, type TrunkEndDependencies } from './trunk-end.ts';
import { GREETING } from './trunk-listener.ts';
import type { TrunkLossReason } from './trunk-metrics.ts';

export interface PeerTrunkDependencies extends Omit<TrunkEndDependencies, 'ended' | 'self' | 'inSlices'> {
  /**
   * Runs the job, which ends things on the trunk to `gateway`: some at once, the rest in later turns of the event
   * loop.
   */
  readonly inSlices: (gateway: GatewayId, job: EndingJob) => void;
  /** Id of this gateway, `<name>.<boot>`; read at each use. */
  readonly self: () => string;
  readonly logger: Logger;
  readonly random: Random;
  readonly tokens: Tokens;
  readonly ask: AskForTrunk;
  /** This gateway's certificate; null: plain TCP. */
  readonly tls: TlsFiles | null;
  /** Which versions of the other side are accepted. */
  readonly protocol: ProtocolRule;
  /** The trunk was established or lost, or the other gateway has become unreachable or reachable. */
  readonly changed: () => void;
  /** The other side says that this gateway's id was declared dead. */
  readonly declaredDead: () => void;
  /** Nothing is open on the trunk any more; a gateway that topology has not named can be forgotten. */
  readonly down: (trunk: PeerTrunk) => void;
}

/**
 * The state of the one trunk to another gateway; changed in `#become` only.
 *
 * * idle: not needed so far. From the start; from expecting when the other side did not connect and no route waits; and
 *   when this gateway has another id. A route leads to opening, an OpenTrunk of the other side to expecting.
 * * opening: we ask and connect. From idle, and from down as a retry. Leads to established; to expecting if both sides
 *   open at once and the other side's id is smaller; to down if it fails.
 * * expecting: the other side has a token and should connect. From idle, opening and down. Leads to established, or
 *   down.
 * * established: bytes flow. From anywhere but closed, by a connection of either side. Leads to down when the trunk is
 *   lost, and to established again if the other side, which has lost it without our noticing, connects anew.
 * * down: lost, or could not be opened. Routes are refused until a retry succeeds or the other side connects.
 * * closed: the other gateway is dead, or this one stops. From anywhere.
 *
 * `waits`: messages may be queued before the trunk is established; not while it is being opened again.
 */
type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening'; readonly end: TrunkEnd; readonly waits: boolean; readonly abort: AbortController }
  | { readonly kind: 'expecting'; readonly end: TrunkEnd; readonly waits: boolean; readonly deadline: Timer }
  | { readonly kind: 'established'; readonly end: TrunkEnd; readonly sinceMs: number }
  | { readonly kind: 'down'; readonly retry: Timer | null }
  | { readonly kind: 'closed' };

/** The trunk to one other gateway: opened on first use, opened again when it is lost. */
export class PeerTrunk {
  /** Id of the other gateway, `<name>.<boot>`. */
  readonly gateway: GatewayId;
  /** The other gateway counts as unreachable: topology selects no relays of its links on this gateway. */
  isUnreachable = false;
  readonly #deps: PeerTrunkDependencies;
  readonly #throttle: Throttle;
  /** The other gateway's service port, `host:port`; empty: it cannot be called; null: topology has not named it. */
  #address: string | null = null;
  #state: State = { kind: 'idle' };
  readonly #backoff: Backoff;
  #isFinishing = false;
  #unreachableTimer: Timer | null = null;

  constructor(gateway: GatewayId, deps: PeerTrunkDependencies) {
    this.gateway = gateway;
    this.#deps = deps;
    this.#backoff = new Backoff({ firstMs: FIRST_BACKOFF_MS, maxMs: MAX_BACKOFF_MS }, deps);
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock: deps.clock });
  }

  get kind(): State['kind'] {
    return this.#state.kind;
  }

  /** The trunk is established: bytes flow. */
  get isEstablished(): boolean {
    return this.#state.kind === 'established';
  }

  /** Topology has named the other gateway. */
  get isListed(): boolean {
    return this.#address !== null;
  }

  /** Number of transactions open on the trunk, route transactions included. */
  get openCount(): number {
    return this.#end?.openCount ?? 0;
  }

  get queuedBytes(): number {
    return this.#end?.queuedBytes ?? 0;
  }

  /** Counts of the messages and bytes so far; null unless the trunk is established. */
  get traffic(): TrafficCounts | null {
    return this.#state.kind === 'established' ? this.#state.end.traffic : null;
  }

  /** This turn of the event loop is long (Flow). */
  longTurn(): void {
    if (this.#state.kind === 'established') this.#state.end.longTurn();
  }

  /** Topology names the other gateway's address. If it has changed and the trunk is down, opening is tried at once. */
  listed(address: string): void {
    if (address === this.#address) return;
    this.#address = address;
    if (this.#state.kind !== 'down' || address === '') return;
    this.#state.retry?.cancel();
    this.#backoff.reset();
    this.#open(false);
  }

  /**
   * The route transaction to a link of the other gateway, opened if there is none; the trunk is opened if needed. null:
   * the other gateway cannot be reached, or too much waits already.
   */
  route(link: LinkId, dialect: Dialect, source: RouteSource | null, destination: number): RouteTransaction | null {
    if (this.#state.kind === 'idle') {
      if (this.#address === null) return null;
      if (this.#address === '') this.#goDown();
      else this.#open(true);
    }
    const state = this.#state;
    const usable =
      state.kind === 'established' || ((state.kind === 'opening' || state.kind === 'expecting') && state.waits);
    if (!usable || !state.end.hasRoom) return null;
    return state.end.route(link, dialect, source, destination);
  }

  /**
   * The other side asks for a trunk: issues a token for it.
   * @throws LinkGatewayError trunk already-exists: we open one, too, and ours stays; stopping; too-many.
   */
  asked(): Uint8Array {
    const state = this.#state;
    if (state.kind === 'closed') throw new LinkGatewayError('trunk', { why: 'stopping' });
    // trunk.proto, OpenTrunk: if both sides open a trunk at once, the attempt of the gateway with the smaller id stays.
    if (state.kind === 'opening' && this.#deps.self() < this.gateway)
      throw new LinkGatewayError('trunk', { why: 'already-exists' });
    const token = this.#deps.tokens.issue(this.gateway);
    if (token === null) throw new LinkGatewayError('trunk', { why: 'too-many' });
    switch (state.kind) {
      case 'opening':
        this.#expect(state.end, state.waits);
        state.abort.abort();
        break;
      case 'expecting':
        this.#expect(state.end, state.waits);
        break;
      case 'idle':
      case 'down':
        this.#expect(this.#makeEnd(), state.kind === 'idle');
        break;
      case 'established':
        // The other side may have lost the trunk. Then it will connect with this token.
        break;
    }
    return token;
  }

  /** The other side has connected with a good token. `rest`: bytes after the token. */
  accepted(socket: Socket, rest: Uint8Array): void {
    const state = this.#state;
    if (state.kind === 'closed') {
      socket.destroy();
      return;
    }
    const end = state.kind === 'opening' || state.kind === 'expecting' ? state.end : this.#makeEnd();
    this.#establish(end, { socket, rest }, GREETING);
    if (state.kind === 'opening') state.abort.abort();
  }

  /** Ends all transactions on the trunk with LOSTLINK; it is not opened again. */
  close(reason: TrunkLossReason): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#deps.tokens.revoke(this.gateway);
    this.#address = null;
    this.#unreachableTimer?.cancel();
    this.isUnreachable = false;
    this.#become({ kind: 'closed' });
    if (state.kind === 'opening') state.abort.abort();
    if ('end' in state) state.end.lose(reason);
  }

  /** Ends all routes in order and still sends the queued messages. The other side then closes the connection. */
  finish(): void {
    this.#isFinishing = true;
    if (this.#state.kind === 'established') this.#state.end.finish();
    else this.close('stopping');
  }

  /** This gateway has another id: a trunk under the former id is closed. */
  renamed(): void {
    const state = this.#state;
    if (!('end' in state)) return;
    this.#backoff.reset();
    // Counts as reachable again: whether the other gateway can be reached shows at the next use, and an unreachable one
    // is not used.
    this.#unreachableTimer?.cancel();
    this.#unreachableTimer = null;
    this.isUnreachable = false;
    this.#become({ kind: 'idle' });
    this.#deps.changed();
    if (state.kind === 'opening') state.abort.abort();
    state.end.lose('renamed');
    this.#left();
  }

  get #end(): TrunkEnd | null {
    return 'end' in this.#state ? this.#state.end : null;
  }

  #become(state: State): void {
    const before = this.#state;
    if (before.kind === 'expecting') before.deadline.cancel();
    if (before.kind === 'down') before.retry?.cancel();
    if (before.kind === 'established') this.#deps.metrics.established--;
    if (state.kind === 'established') this.#deps.metrics.established++;
    this.#state = state;
    if (before.kind === 'established' || state.kind === 'established') this.#deps.changed();
  }

  #makeEnd(): TrunkEnd {
    return new TrunkEnd({
      ...this.#deps,
      self: this.#deps.self(),
      inSlices: (job) => this.#deps.inSlices(this.gateway, job),
      ended: (end, reason, detail) => this.#ended(end, reason, detail),
    });
  }

  #open(waits: boolean): void {
    const end = this.#makeEnd();
    const abort = new AbortController();
    const { clock, tokens, self, ask, tls, protocol } = this.#deps;
    // A token that we issued before could lead to a second trunk.
    tokens.revoke(this.gateway);
    this.#become({ kind: 'opening', end, waits, abort });
    const deadline = clock.after(OPEN_TIMEOUT_MS, () => abort.abort());
    const request = { from: self(), to: this.gateway, version: protocol.own };
    openTrunk(this.#address!, request, { ask, tls, protocol }, abort.signal)
      .then(
        (opened) => this.#opened(abort, opened),
        (error: unknown) => this.#notOpened(abort, error),
      )
      .finally(() => deadline.cancel());
  }

  #opened(attempt: AbortController, opened: OpenedTrunk): void {
    const state = this.#state;
    if (state.kind === 'opening' && state.abort === attempt) this.#establish(state.end, opened);
    else opened.socket.destroy();
  }

  #notOpened(attempt: AbortController, error: unknown): void {
    const state = this.#state;
    if (state.kind !== 'opening' || state.abort !== attempt) return;
    if (isFailed(error, 'trunk') && error.data.why === 'already-exists') {
      this.#expect(state.end, state.waits);
      return;
    }
    const detail = isFailed(error, 'trunk') ? { error: error.data.why, why: error.message } : { err: error };
    state.end.lose('not-opened', detail);
    if (isFailed(error, 'trunk') && error.data.why === 'declared-dead') this.#deps.declaredDead();
  }

  #expect(end: TrunkEnd, waits: boolean): void {
    const deadline = this.#deps.clock.after(OPEN_TIMEOUT_MS, () => {
      if (waits && end.openCount === 0) {
        this.#become({ kind: 'idle' });
        this.#left();
      } else {
        end.lose('not-opened', { error: 'timeout', why: 'the other side did not connect' });
      }
    });
    this.#become({ kind: 'expecting', end, waits, deadline });
  }

  #establish(end: TrunkEnd, { socket, rest }: OpenedTrunk, greeting: Uint8Array | null = null): void {
    const { clock, metrics, logger } = this.#deps;
    this.#deps.tokens.revoke(this.gateway);
    const before = this.#state;
    this.isUnreachable = false;
    this.#become({ kind: 'established', end, sinceMs: clock.now() });
    if (before.kind === 'established') before.end.lose('replaced');
    metrics.opened++;
    this.#unreachableTimer?.cancel();
    this.#unreachableTimer = null;
    logger.info({ peer: this.gateway }, 'trunk established');
    end.attach(socket, rest, greeting);
  }

  #ended(end: TrunkEnd, reason: TrunkLossReason, detail: Readonly<Record<string, unknown>>): void {
    const why = this.#isFinishing ? 'stopping' : reason;
    this.#deps.metrics.lost[why]++;
    this.#log(why, detail);
    if (this.#end !== end) return;
    const state = this.#state;
    if (state.kind === 'established' && this.#deps.clock.now() - state.sinceMs >= MAX_BACKOFF_MS) {
      this.#backoff.reset();
    }
    this.#goDown();
  }

  #goDown(): void {
    const { clock } = this.#deps;
    let retry: Timer | null = null;
    if (this.#address !== null && this.#address !== '' && !this.#isFinishing) {
      const pause = this.#backoff.next();
      // While the other gateway does not count as unreachable yet, pauses are short, so that the trunk is back before
      // it does.
      const soon = this.isUnreachable ? pause : Math.min(pause, LOST_BACKOFF_MS);
      retry = clock.after(soon, () => this.#open(false));
    }
    this.#become({ kind: 'down', retry });
    if (this.#unreachableTimer === null && !this.isUnreachable) {
      this.#unreachableTimer = clock.after(UNREACHABLE_AFTER_MS, () => this.#outOfReach());
    }
    this.#left();
  }

  #outOfReach(): void {
    this.#unreachableTimer = null;
    this.isUnreachable = true;
    this.#deps.changed();
  }

  #left(): void {
    if (this.#address === null) {
      // Topology has not named the other gateway to us: it is not reported as unreachable.
      this.#unreachableTimer?.cancel();
      this.#unreachableTimer = null;
    }
    this.#deps.down(this);
  }

  #log(reason: TrunkLossReason, detail: Readonly<Record<string, unknown>>): void {
    const { logger } = this.#deps;
    const { log, suppressed } = this.#throttle.admit(reason);
    if (!log) return;
    const line = { peer: this.gateway, reason, ...detail, suppressed };
    if (reason === 'internal') logger.error(line, 'trunk lost');
    else if (reason === 'stopping' || reason === 'gone' || reason === 'renamed') logger.info(line, 'trunk closed');
    else logger.warn(line, reason === 'not-opened' ? 'trunk cannot be opened' : 'trunk lost');
  }
}
