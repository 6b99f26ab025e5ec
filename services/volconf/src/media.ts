import type { Dialect } from '@spanmesh/dmsg/dialect';
import { decodeVolconfCopy, VOLCONF_COPY_BYTES } from '@spanmesh/dmsg/payload/lnk-volconf';
import type { MediaLnkConn, SlotReceived } from '@spanmesh/proto/v1/dial';
import { dialectOf } from './dialect.ts';
import { SLOTS_PER_MEDIA } from './limits.ts';
import { Slot } from './slot.ts';

/** A LNK_CONN of a peer, at whatever gateway. */
interface LnkConn {
  readonly media: Media;
  readonly dialect: Dialect;
}

/** Volumes that are mounted somewhere: all LNK_CONNs with the same media id. */
interface Media {
  readonly id: string;
  /** `<gateway id>:<number>` */
  readonly lnkConns: Set<string>;
  readonly slots: Map<number, Slot>;
}

/** Why a LNK_VOLCONF is reported and ignored. */
export type SlotFault = 'index' | 'copy' | 'empty-path' | 'unterminated-path' | 'too-many';

/** What becomes of slots. */
export interface MediaSink {
  /** It says something else than before, or is new. */
  slotChanged(slot: Slot): void;
  /** Its media is gone. */
  slotGone(slot: Slot): void;
  ignored(gateway: string, fault: SlotFault): void;
}

/**
 * Media and their slots, from what gateways tell (protocol.md, "The link layer" 3). A slot is the latest LNK_VOLCONF for it,
 * whichever LNK_CONN of its media it came in; slots go with the last LNK_CONN of their media.
 */
export class MediaTable {
  readonly #sink: MediaSink;
  readonly #maxSlots: number;
  readonly #media = new Map<string, Media>();
  /** By gateway id, then number. */
  readonly #lnkConns = new Map<string, Map<number, LnkConn>>();
  /** LNK_CONNs of a gateway that its new snapshot has not named yet. */
  readonly #unconfirmed = new Map<string, Set<number>>();
  /** Slots of all media. */
  slots = 0;

  constructor({ maxSlots }: { maxSlots: number }, sink: MediaSink) {
    this.#maxSlots = maxSlots;
    this.#sink = sink;
  }

  get size(): number {
    return this.#media.size;
  }

  get lnkConns(): number {
    let count = 0;
    for (const known of this.#lnkConns.values()) count += known.size;
    return count;
  }

  *all(mediaId = ''): Iterable<Slot> {
    if (mediaId !== '') {
      yield* this.#media.get(mediaId)?.slots.values() ?? [];
      return;
    }
    for (const { slots } of this.#media.values()) yield* slots.values();
  }

  slot(mediaId: string, index: number): Slot | undefined {
    return this.#media.get(mediaId)?.slots.get(index);
  }

  opened(gateway: string, { lnkConn, mediaId, dialect }: MediaLnkConn): void {
    this.#unconfirmed.get(gateway)?.delete(lnkConn);
    const known = this.#of(gateway);
    if (known.has(lnkConn)) return;
    let media = this.#media.get(mediaId);
    if (media === undefined) {
      media = { id: mediaId, lnkConns: new Set(), slots: new Map() };
      this.#media.set(mediaId, media);
    }
    media.lnkConns.add(`${gateway}:${lnkConn}`);
    known.set(lnkConn, { media, dialect: dialectOf(dialect) ?? 'circuit' });
  }

  received(gateway: string, { lnkConn, index, copy, receivedUs }: SlotReceived): void {
    const from = this.#lnkConns.get(gateway)?.get(lnkConn);
    if (from === undefined) return;
    const fault = faultOf(index, copy);
    if (fault !== null) {
      this.#sink.ignored(gateway, fault);
      return;
    }
    const { media, dialect } = from;
    const slot = media.slots.get(index);
    if (slot === undefined) {
      if (this.slots >= this.#maxSlots) {
        this.#sink.ignored(gateway, 'too-many');
        return;
      }
      const made = new Slot(media.id, index, decodeVolconfCopy(copy, 0), dialect, receivedUs);
      media.slots.set(index, made);
      this.slots++;
      this.#sink.slotChanged(made);
      return;
    }
    // Clocks of gateways differ a little: of two that seem to have come at once, the one that is told first stays.
    if (receivedUs <= slot.receivedUs) return;
    slot.receivedUs = receivedUs;
    if (slot.isSame(copy, dialect)) return;
    slot.change(decodeVolconfCopy(copy, 0), dialect);
    this.#sink.slotChanged(slot);
  }

  closed(gateway: string, lnkConn: number): void {
    const known = this.#lnkConns.get(gateway);
    const one = known?.get(lnkConn);
    if (known === undefined || one === undefined) return;
    known.delete(lnkConn);
    if (known.size === 0) this.#lnkConns.delete(gateway);
    const { media } = one;
    media.lnkConns.delete(`${gateway}:${lnkConn}`);
    if (media.lnkConns.size > 0) return;
    this.#media.delete(media.id);
    this.slots -= media.slots.size;
    for (const slot of media.slots.values()) this.#sink.slotGone(slot);
  }

  /** A snapshot of a gateway begins. */
  begin(gateway: string): void {
    this.#unconfirmed.set(gateway, new Set(this.#lnkConns.get(gateway)?.keys() ?? []));
  }

  /** It is complete: what it does not name is gone. */
  complete(gateway: string): void {
    const gone = this.#unconfirmed.get(gateway) ?? [];
    this.#unconfirmed.delete(gateway);
    for (const lnkConn of gone) this.closed(gateway, lnkConn);
  }

  gone(gateway: string): void {
    this.#unconfirmed.delete(gateway);
    for (const lnkConn of [...(this.#lnkConns.get(gateway)?.keys() ?? [])]) this.closed(gateway, lnkConn);
  }

  #of(gateway: string): Map<number, LnkConn> {
    let known = this.#lnkConns.get(gateway);
    if (known === undefined) {
      known = new Map();
      this.#lnkConns.set(gateway, known);
    }
    return known;
  }
}

/** protocol.md, "The link layer" 3: index 0..255, path not empty and its last byte 0. Gateways check it, too. */
function faultOf(index: number, copy: Uint8Array): SlotFault | null {
  if (index >= SLOTS_PER_MEDIA) return 'index';
  if (copy.length !== VOLCONF_COPY_BYTES) return 'copy';
  if (copy[VOLCONF_COPY_BYTES / 2] === 0) return 'empty-path';
  return copy[VOLCONF_COPY_BYTES - 1] === 0 ? null : 'unterminated-path';
}
