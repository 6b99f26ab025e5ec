import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { dialectOf } from '@spanmesh/proto/dialect';
import type { Commands, RelayCommand, RemoteLink } from '@spanmesh/proto/v1/gateway_control';
import { type Job, UNITS_PER_TURN } from '@spanmesh/runtime/grpc/slices';
import type { Step, Tracer } from '@spanmesh/runtime/trace/step';
import { readTraceContext } from '@spanmesh/runtime/trace/trace-context';
import type { Tracing } from '@spanmesh/runtime/trace/tracing';
import type { GatewayId } from '@spanmesh/spantree/ids';
import type { Drains } from '../drain/drains.ts';
import type { GatewayMetrics } from '../metrics.ts';
import type { OpenTables } from '../peers/open-tables.ts';
import type { RelaySource } from '../peers/peer.ts';
import type { Prober } from '../peers/prober.ts';
import type { Relays } from '../peers/relays.ts';
import type { RemoteOfferers } from '../peers/remote-offerers.ts';
import type { GatewayShares } from '../shares/gateway-shares.ts';

export interface CommandRunnerDependencies {
  readonly tables: OpenTables;
  readonly relays: Pick<Relays, 'open' | 'closePair' | 'closingAllOf'>;
  readonly metrics: Pick<GatewayMetrics, 'commandsStale'>;
  readonly shares: Pick<GatewayShares, 'enforceRelays' | 'isOverRelays'>;
  readonly offerers: Pick<RemoteOfferers, 'learn'>;
  readonly prober: Pick<Prober, 'probe'>;
  readonly drains: Pick<Drains, 'close' | 'order'>;
  readonly tracing: Pick<Tracing, 'tracer'>;
}

/** Units of work (Job) between two `yield`s, or a few more: a relay that is opened or closed is one. */
const SLICE_UNITS = 256;

/**
 * Obeys the Commands of topology (gateway_control.proto). All of them are idempotent. One that names an object that is
 * gone is counted (`commandsStale`) and skipped.
 */
export class CommandRunner {
  readonly #deps: CommandRunnerDependencies;

  constructor(deps: CommandRunnerDependencies) {
    this.#deps = deps;
  }

  /**
   * In slices: a command looks up its objects when its slice comes, so a change before that counts as made before it.
   */
  *running(commands: Commands): Job<void> {
    const { tables, metrics, shares, prober, drains } = this.#deps;
    for (const link of commands.links) this.#learn(link);
    yield commands.links.length;
    yield* this.#forgetting(commands.linksGone.map(({ gateway, link }) => tables.source(gateway, link)));
    let units = 0;
    for (const relays of commands.relays) {
      while (shares.isOverRelays) yield UNITS_PER_TURN;
      this.#relay(relays, commands.n);
      units += 1 + relays.open.length + relays.close.length;
      if (units < SLICE_UNITS) continue;
      yield units;
      units = 0;
    }
    if (commands.relays.length > 0) shares.enforceRelays();
    for (const id of commands.probe) {
      const peer = tables.connections.get(id);
      if (peer === undefined) metrics.commandsStale++;
      else prober.probe(peer);
    }
    for (const { connection: id, reason, inOrder } of commands.close) {
      const peer = tables.connections.get(id);
      if (peer === undefined) metrics.commandsStale++;
      else if (inOrder) drains.close(peer, reason);
      else peer.connection.close('command', { why: reason });
    }
    for (const order of commands.drains) drains.order(order);
  }

  #learn({ gateway, link, dialect, payload, principal }: RemoteLink): void {
    const known = dialectOf(dialect);
    // A bad link from a leader of another version is refused here, as every relay of it would throw later.
    if (gateway === '' || known === null || payload.length < LNK_SPAN_BYTES) {
      this.#deps.metrics.commandsStale++;
      return;
    }
    const source = this.#deps.tables.learnRemote(gateway, link, known, payload);
    source.leaderKnows = true;
    this.#deps.offerers.learn(source, principal);
  }

  /** Forgets all links of another gateway and closes their relays here, in slices. */
  forgettingGateway(gateway: GatewayId): Job<void> {
    return this.#forgetting([...(this.#deps.tables.remoteLinks.get(gateway)?.values() ?? [])]);
  }

  *#forgetting(sources: readonly (RelaySource | undefined)[]): Job<void> {
    let units = 0;
    for (const source of sources) {
      if (source === undefined || source.gateway === '') continue;
      units += 1 + (yield* this.#forgettingSource(source));
      if (units < SLICE_UNITS) continue;
      yield units;
      units = 0;
    }
    yield units;
  }

  *#forgettingSource(source: RelaySource): Job<number> {
    const { tables, relays } = this.#deps;
    source.leaderKnows = false;
    const units = yield* relays.closingAllOf(source);
    tables.forgetRemote(source);
    return units;
  }

  #relay({ gateway, link, open, close, trace }: RelayCommand, n: number): void {
    const { tables, relays, metrics, tracing } = this.#deps;
    const step = tracing.tracer === null ? null : begun(tracing.tracer, { gateway, link, open, trace });
    const source = tables.source(gateway, link);
    if (source === undefined || source.isClosing) {
      metrics.commandsStale++;
      step?.end('the link is gone');
      return;
    }
    for (const id of open) {
      const lnkConn = tables.lnkConns.get(id);
      if (lnkConn?.connection.dialect === source.dialect) relays.open(source, lnkConn, n);
      else metrics.commandsStale++;
    }
    for (const id of close) {
      const lnkConn = tables.lnkConns.get(id);
      if (lnkConn === undefined) metrics.commandsStale++;
      else relays.closePair(source, lnkConn);
    }
    step?.end();
  }
}

/** Begins a step in the trace that the command carries; null: it carries none. */
function begun(
  tracer: Tracer,
  { gateway, link, open, trace }: Pick<RelayCommand, 'gateway' | 'link' | 'open' | 'trace'>,
): Step | null {
  const parent = readTraceContext(trace);
  if (parent === null) return null;
  const attributes = { 'spanmesh.link': link, 'spanmesh.link_gateway': gateway, 'spanmesh.relays': open.length };
  return tracer.begin('relays opened', { parent, attributes });
}
