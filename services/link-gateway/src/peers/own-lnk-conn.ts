import type { Dialect } from '@spanmesh/dmsg/dialect';
import { lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';

/** Size of the mark in bytes. */
export const MARK_BYTES = 16;

// Offsets in the payload: those of protocol.md, "Payloads", less 64.
const PEER_MASK = 48;
const PEER_TYPE = 56;
/** protocol.md, "The link layer" 1: a controller is a ROUTER (linkid: CLUSTER). */
const PEER_TYPE_ROUTER = 1;

/**
 * The LNK_CONN that this router opens on every connection: peer_mask all ones, peer_type 1, the rest 0, as the recorded
 * daemons send it (protocol.md, "The link layer" 1).
 *
 * Its last 16 bytes carry a random mark of this process, by which a connection that leads back to us is recognised.
 * They are padding: a LNK_CONN uses 456 (linkid) or 328 (circuit) of its 512 or 384 bytes, the rest only fills up the
 * header to a multiple of 64. No peer gives these bytes a meaning, because no field is there; they are covered by
 * hdr_crc, so they arrive as sent; LNK_CONNs are not relayed, so they reach the direct peer only. A label or a media id
 * would do as well for us, but peers print, sort and compare those.
 */
export class OwnLnkConn {
  readonly #mark: Uint8Array;
  readonly #payloads = new Map<Dialect, Uint8Array>();

  /** `mark`: 16 random bytes, not all 0. */
  constructor(mark: Uint8Array) {
    this.#mark = mark;
  }

  /** The payload after the core header. Shared by all connections: callers must not change it. */
  payload(dialect: Dialect): Uint8Array {
    const payload = this.#payloads.get(dialect) ?? payloadOf(dialect, this.#mark);
    this.#payloads.set(dialect, payload);
    return payload;
  }

  /** True if the LNK_CONN payload `buf[start .. end)` is one of ours that has come back. */
  isOwn(buf: Uint8Array, start: number, end: number): boolean {
    if (end - start < MARK_BYTES) return false;
    for (let i = 0; i < MARK_BYTES; i++) {
      if (buf[end - MARK_BYTES + i] !== this.#mark[i]) return false;
    }
    return true;
  }
}

function payloadOf(dialect: Dialect, mark: Uint8Array): Uint8Array {
  const payload = new Uint8Array(lnkConnBytes(dialect));
  payload.fill(0xff, PEER_MASK, PEER_MASK + 8);
  payload[PEER_TYPE] = PEER_TYPE_ROUTER;
  payload.set(mark, payload.length - MARK_BYTES);
  return payload;
}
