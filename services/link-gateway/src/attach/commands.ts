import { LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import type { Commands, LinkRef, RelayCommand, RemoteLink } from '@spanmesh/proto/v1/gateway_control';
import type { Core } from '../core.ts';
import type { Drains } from '../drain/drains.ts';
import type { Prober } from '../peers/prober.ts';
import type { RelaySource } from '../peers/relay-source.ts';
import { dialectOf } from '../peers/wire-dialect.ts';

/**
 * Does what topology says (gateway_control.proto, Commands). Everything is idempotent; what names something that is gone is
 * counted and skipped.
 */
export class CommandRunner {
  readonly #core: Core;
  readonly #prober: Prober;
  readonly #drains: Pick<Drains, 'close' | 'order'>;

  constructor(core: Core, deps: { readonly prober: Prober; readonly drains: Pick<Drains, 'close' | 'order'> }) {
    this.#core = core;
    this.#prober = deps.prober;
    this.#drains = deps.drains;
  }

  run(commands: Commands): void {
    const { tables, metrics } = this.#core;
    for (const link of commands.links) this.#learn(link);
    for (const gone of commands.linksGone) this.#forget(gone);
    for (const relays of commands.relays) this.#relay(relays, commands.n);
    for (const id of commands.probe) {
      const connection = tables.connections.get(id);
      if (connection === undefined) metrics.commandsStale++;
      else this.#prober.probe(connection);
    }
    for (const { connection: id, reason, inOrder } of commands.close) {
      const connection = tables.connections.get(id);
      if (connection === undefined) metrics.commandsStale++;
      else if (inOrder) this.#drains.close(connection, reason);
      else connection.close('command', { why: reason });
    }
    for (const order of commands.drains) this.#drains.order(order);
  }

  #learn({ gateway, link, dialect, payload }: RemoteLink): void {
    const known = dialectOf(dialect);
    // Not believed blindly: a leader of another version must not make us throw at every relay.
    if (gateway === '' || known === null || payload.length < LNK_SPAN_BYTES) {
      this.#core.metrics.commandsStale++;
      return;
    }
    this.#core.tables.learnRemote(gateway, link, known, payload).leaderKnows = true;
  }

  /** Everything that is known of another gateway's links goes: their relays, and the ways back to them. */
  forgetGateway(gateway: string): void {
    const links = this.#core.tables.remoteLinks.get(gateway);
    if (links !== undefined) for (const source of [...links.values()]) this.#forgetSource(source);
  }

  #forget({ gateway, link }: LinkRef): void {
    const source = this.#core.tables.source(gateway, link);
    if (gateway !== '' && source !== undefined) this.#forgetSource(source);
  }

  #forgetSource(source: RelaySource): void {
    const { tables, relays } = this.#core;
    source.leaderKnows = false;
    relays.closeAllOf(source);
    tables.forgetRemote(source);
  }

  #relay({ gateway, link, open, close }: RelayCommand, n: number): void {
    const { tables, relays, metrics } = this.#core;
    const source = tables.source(gateway, link);
    if (source === undefined) {
      metrics.commandsStale++;
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
  }
}
