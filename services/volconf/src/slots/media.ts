import type { Dialect } from '@spanmesh/dmsg/dialect';
import { decodeVolconfCopy, VOLCONF_COPY_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import { dialectOf } from '@spanmesh/proto/dialect';
import type { MediaLnkConn, SlotReceived } from '@spanmesh/proto/v1/dial';
import type { Clock } from '@spanmesh/runtime/clock';
import type { TableSizes } from '@spanmesh/runtime/table-sizes';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import { SLOTS_PER_MEDIA } from '../limits.ts';
import { Slot } from './slot.ts';
import { SlotShares } from './slot-shares.ts';

const NIL_MEDIA = '00000000-0000-0000-0000-000000000000';

/** A LNK_CONN of a peer, at any gateway. */
interface LnkConn {
  readonly claim: Claim;
  readonly dialect: Dialect;
}

/** The LNK_CONNs of one principal with one media id, and the slots that it wrote there. */
interface Claim {
  readonly media: Media;
  readonly principal: string;
  /** `<gateway>:<number>` */
  readonly lnkConns: Set<string>;
  readonly slots: Map<number, Slot>;
  /** When the oldest of its LNK_CONNs was opened, by our monotonic clock. */
  since: number;
}

/**
 * A volume that is mounted somewhere: all LNK_CONNs with the same media id. It belongs to the principal that had it
 * first, until that one has left. Slots of other principals are kept, and count when the media is theirs.
 */
interface Media {
  readonly id: string;
  /** The media id; for the nil media id, which names no volume, `id@principal`. */
  readonly key: string;
  readonly claims: Map<string, Claim>;
  owner: Claim;
}

/**
 * Why a LNK_VOLCONF is reported and ignored; with `not-the-owner` it is kept until the media belongs to its principal.
 */
export type SlotFault = 'index' | 'copy' | 'empty-path' | 'unterminated-path' | 'too-many' | 'not-the-owner';

/** Receives the changes of slots. */
export interface MediaSink {
  /** The slot is new, or its copy has changed. */
  slotChanged(slot: Slot): void;
  /** The slot's media is gone, or belongs to another principal now. */
  slotGone(slot: Slot): void;
  ignored(gateway: GatewayKey, fault: SlotFault, principal: string): void;
}

/**
 * Media and their slots, as the gateways report them (protocol.md, "The link layer" 3). A slot is the latest
 * LNK_VOLCONF for it, whichever LNK_CONN of its media and principal carried it. Slots are removed with the last of
 * these LNK_CONNs.
 */
export class MediaTable {
  readonly #sink: MediaSink;
  readonly #clock: Clock;
  readonly #shares: SlotShares;
  /** Media by key. */
  readonly #media = new Map<string, Media>();
  /** LNK_CONNs by gateway (`GatewayLink.key`), then by number. */
  readonly #lnkConns = new Map<string, Map<number, LnkConn>>();
  /** By gateway: LNK_CONNs that its new snapshot has not named yet. */
  readonly #unconfirmed = new Map<string, Set<number>>();

  constructor({ maxSlots }: { maxSlots: number }, { sink, clock }: { sink: MediaSink; clock: Clock }) {
    this.#shares = new SlotShares({ max: maxSlots });
    this.#sink = sink;
    this.#clock = clock;
  }

  get size(): number {
    return this.#media.size;
  }

  tables(): TableSizes {
    let unconfirmed = 0;
    for (const left of this.#unconfirmed.values()) unconfirmed += left.size;
    return {
      media: this.#media.size,
      slots: this.slots,
      principalsOfSlots: this.#shares.principals,
      lnkConns: this.lnkConns,
      gatewaysOfMedia: this.#lnkConns.size,
      unconfirmed,
    };
  }

  /** Slots of all media, including those of claims that do not own their media. */
  get slots(): number {
    return this.#shares.size;
  }

  get lnkConns(): number {
    let count = 0;
    for (const known of this.#lnkConns.values()) count += known.size;
    return count;
  }

  /** The slots of the owners of media; `mediaId` empty: of all media. */
  *all(mediaId = ''): Iterable<Slot> {
    for (const { id, owner } of mediaId === '' || mediaId === NIL_MEDIA ? this.#media.values() : this.#named(mediaId)) {
      if (mediaId === '' || id === mediaId) yield* owner.slots.values();
    }
  }

  /** The slot of a media's owner. `key`: the media id, or for the nil one `id@principal`. */
  slot(key: string, index: number): Slot | undefined {
    return this.#media.get(key)?.owner.slots.get(index);
  }

  /** A LNK_CONN has opened. `clockUs`: when the gateway reported it, by the gateway's monotonic clock. */
  opened(gateway: GatewayKey, { lnkConn, mediaId, dialect, principal, openedUs }: MediaLnkConn, clockUs: number): void {
    this.#unconfirmed.get(gateway)?.delete(lnkConn);
    const known = this.#of(gateway);
    if (known.has(lnkConn)) return;
    const claim = this.#claim(mediaId, principal, this.#when(openedUs, clockUs));
    claim.lnkConns.add(`${gateway}:${lnkConn}`);
    known.set(lnkConn, { claim, dialect: dialectOf(dialect) ?? 'circuit' });
  }

  received(gateway: GatewayKey, { lnkConn, index, copy, receivedUs }: SlotReceived, clockUs: number): void {
    const from = this.#lnkConns.get(gateway)?.get(lnkConn);
    if (from === undefined) return;
    const { claim, dialect } = from;
    const fault = faultOf(index, copy);
    if (fault !== null) {
      this.#sink.ignored(gateway, fault, claim.principal);
      return;
    }
    const isOwner = claim.media.owner === claim;
    if (!isOwner) this.#sink.ignored(gateway, 'not-the-owner', claim.principal);
    const told = { gateway, stamp: receivedUs, at: this.#when(receivedUs, clockUs) };
    const slot = claim.slots.get(index);
    if (slot === undefined) {
      if (!this.#makeRoom(claim.principal)) {
        this.#sink.ignored(gateway, 'too-many', claim.principal);
        return;
      }
      const { id, key } = claim.media;
      const made = new Slot(
        { mediaId: id, key, principal: claim.principal, index },
        decodeVolconfCopy(copy, 0),
        dialect,
        told,
      );
      claim.slots.set(index, made);
      this.#shares.add(made);
      if (isOwner) this.#sink.slotChanged(made);
      return;
    }
    if (!slot.isOlderThan(told)) return;
    slot.told = told;
    if (slot.isSame(copy, dialect)) return;
    slot.change(decodeVolconfCopy(copy, 0), dialect);
    if (isOwner) this.#sink.slotChanged(slot);
  }

  closed(gateway: GatewayKey, lnkConn: number): void {
    const known = this.#lnkConns.get(gateway);
    const one = known?.get(lnkConn);
    if (known === undefined || one === undefined) return;
    known.delete(lnkConn);
    if (known.size === 0) this.#lnkConns.delete(gateway);
    const { claim } = one;
    claim.lnkConns.delete(`${gateway}:${lnkConn}`);
    if (claim.lnkConns.size === 0) this.#left(claim);
  }

  /** A snapshot of a gateway begins. */
  begin(gateway: GatewayKey): void {
    this.#unconfirmed.set(gateway, new Set(this.#lnkConns.get(gateway)?.keys() ?? []));
  }

  /** The snapshot is complete: LNK_CONNs that it does not name are gone. */
  complete(gateway: GatewayKey): void {
    const gone = this.#unconfirmed.get(gateway) ?? [];
    this.#unconfirmed.delete(gateway);
    for (const lnkConn of gone) this.closed(gateway, lnkConn);
  }

  gone(gateway: GatewayKey): void {
    this.#unconfirmed.delete(gateway);
    for (const lnkConn of [...(this.#lnkConns.get(gateway)?.keys() ?? [])]) this.closed(gateway, lnkConn);
  }

  *#named(mediaId: string): Iterable<Media> {
    const media = this.#media.get(mediaId);
    if (media !== undefined) yield media;
  }

  /**
   * Converts a time of a gateway's monotonic clock to ours, by the age that the gateway states. Wall clocks are not
   * used.
   */
  #when(stampUs: number, clockUs: number): number {
    return this.#clock.now() - Math.max(0, clockUs - stampUs) / 1000;
  }

  #claim(mediaId: string, principal: string, since: number): Claim {
    const key = mediaId === NIL_MEDIA ? `${mediaId}@${principal}` : mediaId;
    const media = this.#media.get(key);
    let claim = media?.claims.get(principal);
    if (claim === undefined) {
      claim = this.#newClaim(media, { mediaId, key, principal, since });
    }
    claim.since = Math.min(claim.since, since);
    const { owner } = claim.media;
    // A new leader may hear of the younger claim first, if that claim's gateway was heard first.
    if (owner !== claim && claim.since < owner.since) this.#giveTo(claim);
    return claim;
  }

  #newClaim(
    known: Media | undefined,
    { mediaId, key, principal, since }: { mediaId: string; key: string; principal: string; since: number },
  ): Claim {
    const parts = { principal, lnkConns: new Set<string>(), slots: new Map<number, Slot>(), since };
    if (known !== undefined) {
      const claim: Claim = { media: known, ...parts };
      known.claims.set(principal, claim);
      return claim;
    }
    const claims = new Map<string, Claim>();
    const owner = { ...parts } as Claim & { media: Media };
    owner.media = { id: mediaId, key, claims, owner };
    claims.set(principal, owner);
    this.#media.set(key, owner.media);
    return owner;
  }

  /** Gives the media to this principal. */
  #giveTo(claim: Claim): void {
    const { media } = claim;
    for (const slot of media.owner.slots.values()) this.#rest(slot);
    media.owner = claim;
    for (const slot of claim.slots.values()) this.#sink.slotChanged(slot);
  }

  #left(claim: Claim): void {
    const { media } = claim;
    media.claims.delete(claim.principal);
    const isOwner = media.owner === claim;
    for (const slot of claim.slots.values()) {
      this.#shares.delete(slot);
      if (isOwner) this.#sink.slotGone(slot);
    }
    claim.slots.clear();
    if (media.claims.size === 0) this.#media.delete(media.key);
    else if (isOwner) {
      this.#giveTo([...media.claims.values()].reduce((oldest, one) => (one.since < oldest.since ? one : oldest)));
    }
  }

  /** Takes a slot out of use; when its media is its principal's again, it begins anew. */
  #rest(slot: Slot): void {
    this.#sink.slotGone(slot);
    slot.rest();
  }

  /**
   * Makes room for one more slot: at the limit, the principal with most slots gives one up, unless it is the one that
   * asks.
   */
  #makeRoom(principal: string): boolean {
    const slot = this.#shares.makeRoomFor(principal);
    if (slot === null) return true;
    if (slot === undefined) return false;
    const { owner, claims } = this.#media.get(slot.key)!;
    claims.get(slot.principal)?.slots.delete(slot.index);
    if (owner.principal === slot.principal) this.#sink.slotGone(slot);
    return true;
  }

  #of(gateway: GatewayKey): Map<number, LnkConn> {
    let known = this.#lnkConns.get(gateway);
    if (known === undefined) {
      known = new Map();
      this.#lnkConns.set(gateway, known);
    }
    return known;
  }
}

/**
 * Whether a LNK_VOLCONF is legal (protocol.md, "The link layer" 3): index 0..255, path not empty and its last byte 0.
 * Gateways check it, too.
 */
function faultOf(index: number, copy: Uint8Array): SlotFault | null {
  if (index >= SLOTS_PER_MEDIA) return 'index';
  if (copy.length !== VOLCONF_COPY_BYTES) return 'copy';
  if (copy[VOLCONF_COPY_BYTES / 2] === 0) return 'empty-path';
  return copy[VOLCONF_COPY_BYTES - 1] === 0 ? null : 'unterminated-path';
}
