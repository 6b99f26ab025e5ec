import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { VolconfCopy } from '@spanmesh/dmsg/payload/lnk-volconf';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { Destination, Target } from '../reconciler/target.ts';
import { parseSpanPath, SPAN_PREFIX } from './span-path.ts';

/** Bits of priority (protocol.md, "Payloads", LNK_VOLCONF). */
const ROUND_ROBIN = 0x80;
const MEDIA_ERROR = 0x40;
const PRIORITY = 0x0f;

/** When and where a LNK_VOLCONF came. */
export interface Told {
  /** The gateway that received it, by `GatewayLink.key`. */
  readonly gateway: GatewayKey;
  /**
   * Time of receipt in microseconds, by that gateway's monotonic clock: compared if one gateway received both
   * LNK_VOLCONFs.
   */
  readonly stamp: number;
  /**
   * Time of receipt by our monotonic clock, as far as it is known: compared if different gateways received them.
   */
  readonly at: number;
}

/** Identifies a slot and its principal. */
export interface SlotId {
  readonly mediaId: string;
  /** The media id; for the nil one `id@principal`. */
  readonly key: string;
  readonly principal: string;
  readonly index: number;
}

/** A slot of a media: the copy that the volume has written, and the destination that follows from it. */
export class Slot implements SlotId {
  readonly mediaId: string;
  readonly key: string;
  readonly principal: string;
  readonly index: number;
  /** The copy in force. A new copy replaces it when the connection of the old one is gone. null: none yet. */
  running: VolconfCopy | null = null;
  /** The copy that was received and is not in force yet; null: the running one is the latest. */
  pending: VolconfCopy | null;
  /** Dialect of the LNK_CONN that carried it: the target is dialled in this dialect (protocol.md, introduction). */
  dialect: Dialect;
  told: Told;
  /** Where the copy wants a connection, whatever the policy chooses; null: nowhere. */
  destination: Destination | null = null;
  /** Why the copy's path cannot be used; empty: it can, or it names nothing. */
  problem = '';
  heldBack = false;
  /** The target that keeps the slot connected; set by Term. */
  target: Target | null = null;
  /** Index among the slots of its principal; for SlotShares only. */
  place = 0;

  constructor({ mediaId, key, principal, index }: SlotId, copy: VolconfCopy, dialect: Dialect, told: Told) {
    this.mediaId = mediaId;
    this.key = key;
    this.principal = principal;
    this.index = index;
    this.pending = copy;
    this.dialect = dialect;
    this.told = told;
  }

  /** The latest copy. */
  get copy(): VolconfCopy {
    return (this.pending ?? this.running)!;
  }

  get name(): string {
    return `${this.key}/${this.index}`;
  }

  /** The owner of the slot's connection (types.proto, Connection.wanted_by). */
  get owner(): string {
    return `media ${this.key}/slot ${this.index}`;
  }

  get label(): string {
    const { label } = this.copy;
    return label === '' ? this.owner : `${this.owner} (${label})`;
  }

  get roundRobin(): boolean {
    return (this.copy.priority & ROUND_ROBIN) !== 0;
  }

  /** The higher, the better; a copy whose media has errors ranks below all others. */
  get rank(): number {
    const { priority } = this.copy;
    return (priority & PRIORITY) + ((priority & MEDIA_ERROR) !== 0 ? 0 : PRIORITY + 1);
  }

  /**
   * Whether the slot's latest copy is older than this one. If two seem simultaneous, the one reported first is kept.
   */
  isOlderThan(told: Told): boolean {
    return told.gateway === this.told.gateway ? told.stamp > this.told.stamp : told.at > this.told.at;
  }

  /**
   * Whether the bytes and the dialect are those of the slot's copy: such a LNK_VOLCONF changes nothing (protocol.md,
   * "The link layer" 3).
   */
  isSame(bytes: Uint8Array, dialect: Dialect): boolean {
    return dialect === this.dialect && Buffer.compare(bytes, this.copy.raw) === 0;
  }

  change(copy: VolconfCopy, dialect: Dialect): void {
    this.pending = copy;
    this.dialect = dialect;
  }

  /** Takes the slot out of use: it has no target and no running copy any more. */
  rest(): void {
    this.pending = this.copy;
    this.running = null;
    this.target = null;
    this.heldBack = false;
  }

  /** Makes the pending copy the running one: no connection of the old copy is left. */
  settle(): void {
    if (this.pending === null) return;
    this.running = this.pending;
    this.pending = null;
  }

  /**
   * Derives destination and problem from the copy (protocol.md, "The link layer" 3: copyid not 0, and a path that
   * begins with `span:`).
   */
  interpret(defaultPort: number): void {
    const { copyId, path } = this.copy;
    this.destination = null;
    this.problem = '';
    if (copyId === 0 || !path.startsWith(SPAN_PREFIX)) return;
    const address = parseSpanPath(path, defaultPort);
    if (address === null) this.problem = 'the path names neither a host nor an address';
    else this.destination = { ...address, dialect: this.dialect };
  }
}
