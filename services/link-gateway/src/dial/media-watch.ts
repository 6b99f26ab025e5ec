import { decodeLnkConnPayload } from '@spanmesh/dmsg/payload/lnk-conn';
import { apiDialect } from '@spanmesh/proto/dialect';
import {
  type DialledDown,
  type DialledUp,
  type MediaLnkConn,
  type SlotReceived,
  WatchMediaResponse,
} from '@spanmesh/proto/v1/dial';
import { Dialect as ApiDialect } from '@spanmesh/proto/v1/types';
import type { Clock } from '@spanmesh/runtime/clock';
import { Turn } from '@spanmesh/runtime/turn';
import type { CloseReason } from '../connection/close-reason.ts';
import { MAX_MEDIA_CHANGES, MEDIA_PART_ENTRIES } from '../limits.ts';
import type { LnkConn } from '../peers/peer.ts';
import type { DialledConnection } from './dialled-connection.ts';
import type { MediaListener } from './media-events.ts';

/** The part of the server's stream of WatchMedia that is needed here. */
export interface MediaStream {
  write(response: WatchMediaResponse): boolean;
  on(event: 'drain' | 'cancelled', fn: () => void): unknown;
}

/** What a watch begins with. */
export interface MediaSnapshot {
  /** The gateway's id, and the boot id that its process began with. */
  readonly gateway: string;
  readonly firstBoot: string;
  readonly lnkConns: Iterable<LnkConn>;
  readonly dialled: Iterable<DialledConnection>;
}

export interface MediaWatchDependencies {
  readonly stream: MediaStream;
  readonly clock: Clock;
  /** The watcher does not read: the owner of the watch is to end it. */
  readonly tooSlow: () => void;
}

/**
 * One call of WatchMedia: the snapshot, then changes, written as fast as the stream takes them. The queue of changes is
 * bounded: of several LNK_VOLCONFs for one slot only the last is kept, and a watch whose client leaves too much unread
 * is ended. The client then opens a new watch, which begins with a snapshot.
 */
export class MediaWatch implements MediaListener {
  readonly #deps: MediaWatchDependencies;
  readonly #turn: Turn;
  #snapshot: WatchMediaResponse[];
  #changes = WatchMediaResponse.create();
  /** The index of a slot's entry in `#changes.slots`, by LNK_CONN and slot. */
  #slots = new Map<number, Map<number, number>>();
  #count = 0;
  #blocked = false;
  #ended = false;

  /** `lnkConns` and `dialled` are read within this call: everything that changes later is sent as a change. */
  constructor(open: MediaSnapshot, deps: MediaWatchDependencies) {
    this.#deps = deps;
    this.#turn = new Turn(() => this.#pump());
    this.#snapshot = cut(open);
    deps.stream.on('drain', () => {
      this.#blocked = false;
      this.#pump();
    });
    this.#turn.request();
  }

  /** Writes nothing any more. */
  end(): void {
    this.#ended = true;
    this.#snapshot = [];
  }

  lnkConnOpened(lnkConn: LnkConn): void {
    this.#changes.opened.push(openedOf(lnkConn));
    this.#changed();
  }

  lnkConnClosed({ id }: LnkConn): void {
    this.#changes.closed.push(id);
    this.#changed();
  }

  slotReceived(lnkConn: LnkConn, index: number): void {
    const { slots } = this.#changes;
    let waiting = this.#slots.get(lnkConn.id);
    if (waiting === undefined) {
      waiting = new Map();
      this.#slots.set(lnkConn.id, waiting);
    }
    const at = waiting.get(index);
    if (at !== undefined) {
      slots[at] = slotOf(lnkConn, index);
      return;
    }
    waiting.set(index, slots.length);
    slots.push(slotOf(lnkConn, index));
    this.#changed();
  }

  up(dialled: DialledConnection): void {
    this.#changes.up.push(upOf(dialled));
    this.#changed();
  }

  down({ order: { owner, epoch, generation } }: DialledConnection, reason: CloseReason): void {
    const gatewayStops = reason === 'stopping';
    this.#changes.down.push({ owner, epoch, generation, reason, gatewayStops } satisfies DialledDown);
    this.#changed();
  }

  #changed(): void {
    if (this.#ended) return;
    this.#count++;
    if (this.#count > MAX_MEDIA_CHANGES) this.#deps.tooSlow();
    else if (!this.#blocked) this.#turn.request();
  }

  #pump(): void {
    while (!this.#blocked && !this.#ended) {
      const part = this.#snapshot.shift();
      if (part !== undefined) {
        this.#write(part);
        continue;
      }
      if (this.#count === 0) return;
      const changes = this.#changes;
      this.#changes = WatchMediaResponse.create();
      this.#slots = new Map();
      this.#count = 0;
      this.#snapshot = inParts(changes);
    }
  }

  #write(response: WatchMediaResponse): void {
    response.clockUs = this.#deps.clock.now() * 1000;
    this.#blocked = !this.#deps.stream.write(response);
  }
}

/** The snapshot in messages, the last of which says that it is complete. */
function cut({ gateway, firstBoot, lnkConns, dialled }: MediaSnapshot): WatchMediaResponse[] {
  const all = WatchMediaResponse.create();
  for (const lnkConn of lnkConns) {
    all.opened.push(openedOf(lnkConn));
    if (lnkConn.volconfs === null) continue;
    for (const index of lnkConn.volconfs.keys()) all.slots.push(slotOf(lnkConn, index));
  }
  for (const one of dialled) all.up.push(upOf(one));
  const parts = inParts(all);
  parts.push(WatchMediaResponse.create({ snapshotEnd: true, gateway, firstBoot }));
  return parts;
}

/**
 * The entries of one message in messages of MEDIA_PART_ENTRIES at most, in the order that dial.proto (WatchMedia) gives
 * the lists of one message.
 */
function inParts(all: WatchMediaResponse): WatchMediaResponse[] {
  const { opened, slots, closed, up, down } = all;
  if (opened.length + slots.length + closed.length + up.length + down.length <= MEDIA_PART_ENTRIES) return [all];
  const parts: WatchMediaResponse[] = [];
  const put = <T>(from: T[], into: (part: WatchMediaResponse) => T[]) => {
    for (let at = 0; at < from.length; at += MEDIA_PART_ENTRIES) {
      const part = WatchMediaResponse.create();
      into(part).push(...from.slice(at, at + MEDIA_PART_ENTRIES));
      parts.push(part);
    }
  };
  put(opened, (part) => part.opened);
  put(slots, (part) => part.slots);
  put(closed, (part) => part.closed);
  put(up, (part) => part.up);
  put(down, (part) => part.down);
  return parts;
}

function openedOf({ id, connection, payload, tx, openedUs }: LnkConn): MediaLnkConn {
  const { dialect } = tx.endpoint.rules;
  const { mediaId, label } = decodeLnkConnPayload(dialect, payload, 0);
  return {
    lnkConn: id,
    mediaId,
    dialect: apiDialect(dialect),
    remoteAddress: connection.remote,
    label,
    principal: connection.principal,
    openedUs,
  };
}

function slotOf(lnkConn: LnkConn, index: number): SlotReceived {
  const { copy, receivedUs } = lnkConn.volconfs!.get(index)!;
  return { lnkConn: lnkConn.id, index, copy, receivedUs };
}

function upOf({ order, peer: { connection } }: DialledConnection): DialledUp {
  const { owner, epoch, generation, host, port, dialect } = order;
  return {
    owner,
    epoch,
    generation,
    connection: connection.id,
    remoteAddress: connection.remote,
    host,
    port,
    dialect: dialect === 'auto' ? ApiDialect.DIALECT_UNSPECIFIED : apiDialect(dialect),
  };
}
