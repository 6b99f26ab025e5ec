import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { VolconfCopy } from '@spanmesh/dmsg/payload/lnk-volconf';
import type { GatewayKey } from '@spanmesh/spantree/ids';
import type { Destination, Target } from '../reconciler/target.ts';
import { parseSpanPath, SPAN_PREFIX } from './span-path.ts';

/** Bits of priority (protocol.md, "Payloads", LNK_VOLCONF). */
const ROUND_ROBIN = 0x80;
const MEDIA_ERROR = 0x40;
const PRIORITY = 0x0f;

/** When a LNK_VOLCONF came. */
export interface Told {
  /** The gateway that it came in at, by `GatewayLink.key`. */
  readonly gateway: GatewayKey;
  /** By that gateway's monotonic clock, microseconds: of two that came in there, the later one has the higher stamp. */
  readonly stamp: number;
  /** When it came, on our monotonic clock, as far as can be told: for two that came in at different gateways. */
  readonly at: number;
}

/** Which slot it is, and whose. */
export interface SlotId {
  readonly mediaId: string;
  /** The media id, and for the nil one `id@principal`. */
  readonly key: string;
  readonly principal: string;
  readonly index: number;
}

/** A slot of a media: what the volume says, and what follows from it. */
export class Slot implements SlotId {
  readonly mediaId: string;
  readonly key: string;
  readonly principal: string;
  readonly index: number;
  /** The copy in force: it changes when the connection of the copy before is gone. null: none yet. */
  running: VolconfCopy | null = null;
  /** The copy that has come and is not in force yet. */
  pending: VolconfCopy | null;
  /** Dialect of the LNK_CONN that it came in: the target is spoken to in it (protocol.md, introduction). */
  dialect: Dialect;
  told: Told;
  /** Where it wants to be connected to, whatever the policy says; null: nowhere. */
  destination: Destination | null = null;
  /** Why it cannot be connected to although it wants something; empty: it can. */
  problem = '';
  heldBack = false;
  /** Set by Term, which has it connected. */
  target: Target | null = null;
  /** Among the slots of its principal; for SlotShares only. */
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

  /** What the volume said last. */
  get copy(): VolconfCopy {
    return (this.pending ?? this.running)!;
  }

  get name(): string {
    return `${this.key}/${this.index}`;
  }

  /** types.proto, Connection.wanted_by. */
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

  /** The higher, the better; a copy whose media has errors is the last resort. */
  get rank(): number {
    const { priority } = this.copy;
    return (priority & PRIORITY) + ((priority & MEDIA_ERROR) !== 0 ? 0 : PRIORITY + 1);
  }

  /** If two seem to have come at once, the one that is told first stays. */
  isOlderThan(told: Told): boolean {
    return told.gateway === this.told.gateway ? told.stamp > this.told.stamp : told.at > this.told.at;
  }

  /** Whether it says the same 128 bytes in the same dialect (protocol.md, "The link layer" 3: nothing happens then). */
  isSame(bytes: Uint8Array, dialect: Dialect): boolean {
    return dialect === this.dialect && Buffer.compare(bytes, this.copy.raw) === 0;
  }

  change(copy: VolconfCopy, dialect: Dialect): void {
    this.pending = copy;
    this.dialect = dialect;
  }

  /** Nobody keeps it connected any more, and nothing runs. */
  rest(): void {
    this.pending = this.copy;
    this.running = null;
    this.target = null;
    this.heldBack = false;
  }

  /** Nothing of the copy before is left. */
  settle(): void {
    if (this.pending === null) return;
    this.running = this.pending;
    this.pending = null;
  }

  /** Reads what the copy says (protocol.md, "The link layer" 3: copyid not 0, and a path that begins with `span:`). */
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
