import { bytesOf, type Entry, type ListName, StateChangeParts } from '@spanmesh/proto/state-change';
import { type DrainProgress, type GatewayTrunks, type RelaySet, StateChange } from '@spanmesh/proto/v1/gateway_control';
import type { Step } from '@spanmesh/runtime/trace/step';
import type { Link, Peer, Relay, RelaySource } from '../peers/peer.ts';
import type { PeerReports } from '../peers/peer-reports.ts';
import { ReportPressure } from './report-pressure.ts';
import { linkOpened, linkRef } from './snapshot.ts';

/** Upper bound of the encoded bytes of one on-demand pair (link, LNK_CONN), the name of its link included. */
const PAIR_BYTES = 110;
/** Bytes that `trunks` and `stopping` each count for while they wait. */
const WHOLE_BYTES = 1024;

/**
 * What has changed on this gateway since topology was last told: the only writer of state changes
 * (gateway_control.proto, StateChange). While no leader listens no change is kept: the next snapshot has it.
 */
export class Reports implements PeerReports {
  #delta = StateChange.create();
  #bytes = 0;
  /** Return paths that were opened (true) or closed: the last change of each pair, by source and LNK_CONN. */
  #onDemand = new Map<RelaySource, Map<number, boolean>>();
  /** The last progress of each drain, by order. */
  #drains = new Map<string, DrainProgress>();
  /** Reads which other gateways have a trunk with this one, and which are unreachable; null: as told last. */
  #trunks: (() => GatewayTrunks) | null = null;
  /** Reads whose links at other gateways are not relayed here; null: as before. */
  #withheld: (() => readonly string[]) | null = null;
  #isHeard = false;
  /** The snapshot is being cut, so no command of this Attach was obeyed: every relay was opened before it. */
  #isCutting = false;
  /** Trace steps that end when the waiting changes are taken. */
  #steps: Step[] = [];
  /** Back-pressure on connections that bring changes. */
  readonly pressure = new ReportPressure(() => this.#bytes);
  #onChange: () => void = () => {};

  /** Called at each change while a leader listens. */
  set onChange(fn: () => void) {
    this.#onChange = fn;
  }

  /** A leader listens: it has been given, or is being given, the snapshot that the reports follow. */
  get isHeard(): boolean {
    return this.#isHeard;
  }

  /** Encoded bytes of the changes that wait, estimated from above. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Entries that wait in tables beside the delta: links with changed return paths, and drains. */
  get waiting(): number {
    return this.#onDemand.size + this.#drains.size;
  }

  /** From here on changes are kept: they follow a snapshot that is begun in the same turn of the event loop. */
  begin(): void {
    this.#clear();
    this.#isHeard = true;
    this.#isCutting = true;
  }

  /** The snapshot is cut: commands are obeyed from now on. */
  cut(): void {
    this.#isCutting = false;
  }

  /** No leader listens any more: what waits is dropped. */
  end(): void {
    this.#clear();
    this.#isHeard = false;
  }

  /** Takes out the changes that wait, in parts of at most `maxBytes` encoded bytes; empty: none wait. */
  take(maxBytes: number): StateChange[] {
    const delta = this.#delta;
    for (const [source, pairs] of this.#onDemand) this.#putPairs(delta, source, pairs);
    delta.drains.push(...this.#drains.values());
    delta.trunks = this.#trunks?.();
    if (this.#withheld !== null) delta.withheld = { principals: [...this.#withheld()] };
    const bytes = this.#bytes;
    const isWhole = delta.trunks !== undefined || delta.withheld !== undefined;
    this.#clear();
    if (bytes === 0) return [];
    // What is told whole is as long as there are gateways, or principals: its size is known only now.
    if (bytes <= maxBytes && !isWhole) return [delta];
    const parts = new StateChangeParts(maxBytes);
    parts.putAll(delta);
    return parts.all;
  }

  tell<Name extends ListName>(name: Name, entry: Entry<Name>): void {
    if (!this.#isHeard) return;
    this.pressure.reported++;
    (this.#delta[name] as Entry<Name>[]).push(entry);
    this.#bytes += bytesOf(name, entry);
    this.#onChange();
  }

  connectionOpened(peer: Peer): void {
    this.tell('connectionsOpened', peer.described());
  }

  linkOpened(link: Link, step: Step | null = null): void {
    const entry = linkOpened(link);
    if (step !== null) {
      entry.trace = step.context;
      // While no leader listens the link is left to the next snapshot, and its trace ends here.
      if (this.#isHeard) this.#steps.push(step);
      else step.end('no leader listens');
    }
    this.tell('linksOpened', entry);
  }

  /**
   * A link of another gateway is known here now. Not told if the leader knows that, nor of a gateway's own span, which
   * topology does not know.
   */
  linkKnown(source: RelaySource): void {
    if (!this.#isHeard || source.gateway === '' || source.isOwnSpan || source.leaderKnows) return;
    source.leaderKnows = true;
    this.tell('linksKnown', linkRef(source));
  }

  /** A peer has closed a relay that topology had opened. */
  relayRefused({ source, lnkConn, n }: Relay): void {
    const opened = this.#isCutting ? 0 : n;
    this.tell('refusals', { lnkConn: lnkConn.id, linkGateway: source.gateway, link: source.link, n: opened });
  }

  /** A relay is open on demand from now on. */
  onDemandOpened(relay: Relay): void {
    this.#pair(relay, true);
  }

  /** A relay that was open on demand is closed, or is now wanted by topology. */
  onDemandClosed(relay: Relay): void {
    this.#pair(relay, false);
  }

  /** A trunk came up or was lost, or reachability has changed; `read` is called when that is told. */
  trunks(read: () => GatewayTrunks): void {
    if (!this.#isHeard) return;
    if (this.#trunks === null) this.#bytes += WHOLE_BYTES;
    this.#trunks = read;
    this.#onChange();
  }

  offerersWithheld(read: () => readonly string[]): void {
    if (!this.#isHeard) return;
    if (this.#withheld === null) this.#bytes += WHOLE_BYTES;
    this.#withheld = read;
    this.#onChange();
  }

  drain(progress: DrainProgress): void {
    if (!this.#isHeard) return;
    if (!this.#drains.has(progress.order)) this.#bytes += bytesOf('drains', progress);
    this.#drains.set(progress.order, progress);
    this.#onChange();
  }

  /** The gateway is going to stop. */
  stopping(): void {
    if (!this.#isHeard) return;
    this.#bytes += WHOLE_BYTES;
    this.#delta.stopping = true;
    this.#onChange();
  }

  /** Of several changes of a pair only the last is told: the entries of one message have no order. */
  #pair({ source, lnkConn }: Relay, isOpen: boolean): void {
    if (!this.#isHeard || source.isOwnSpan) return;
    let pairs = this.#onDemand.get(source);
    if (pairs === undefined) {
      pairs = new Map();
      this.#onDemand.set(source, pairs);
    }
    if (!pairs.has(lnkConn.id)) this.#bytes += PAIR_BYTES;
    pairs.set(lnkConn.id, isOpen);
    this.#onChange();
  }

  #putPairs(delta: StateChange, { gateway, link }: RelaySource, pairs: ReadonlyMap<number, boolean>): void {
    const opened: RelaySet = { linkGateway: gateway, link, lnkConns: [] };
    const closed: RelaySet = { linkGateway: gateway, link, lnkConns: [] };
    for (const [lnkConn, isOpen] of pairs) (isOpen ? opened : closed).lnkConns.push(lnkConn);
    if (opened.lnkConns.length > 0) delta.onDemandOpened.push(opened);
    if (closed.lnkConns.length > 0) delta.onDemandClosed.push(closed);
  }

  #clear(): void {
    for (const step of this.#steps) step.end();
    if (this.#steps.length > 0) this.#steps = [];
    this.#delta = StateChange.create();
    this.#bytes = 0;
    this.#onDemand = new Map();
    this.#drains = new Map();
    this.#trunks = null;
    this.#withheld = null;
    this.pressure.eased();
  }
}
