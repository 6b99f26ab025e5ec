import * as z from 'zod';
import { MAX_EPOCH } from './epoch.ts';

/** The record in the leases bucket under a role (architecture.md "Lease"). */
export interface LeaseRecord {
  /** Nonce of the holder; '' once the lease was released. */
  readonly holder: string;
  /** Address of the holder, `host:port`. */
  readonly address: string;
  /** Rises with every change of holder, also after a release. */
  readonly epoch: number;
  /** The holder's time to live, ms. */
  readonly ttl: number;
  /**
   * The holder's values of settings that must be equal at all replicas; kept when the lease is released. Empty: not
   * given.
   */
  readonly settings: string;
  /**
   * How often this holder has written the record. So two records of a holder are never equal, even if a restored store
   * gives both the same revision.
   */
  readonly beat: number;
}

/** Longest ttl, ms: nobody could wait out a longer one, so it must be a mistake. */
const MAX_TTL_MS = 3_600_000;
/** Longest `settings`, in characters. */
export const MAX_SETTINGS_CHARS = 256;

const schema = z.object({
  holder: z.string().max(256),
  address: z.string().max(1024),
  epoch: z.int().nonnegative().max(MAX_EPOCH),
  ttl: z.int().positive().max(MAX_TTL_MS),
  settings: z.string().max(MAX_SETTINGS_CHARS).default(''),
  beat: z.int().nonnegative().default(0),
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeLeaseRecord(record: LeaseRecord): Uint8Array {
  return encoder.encode(JSON.stringify(record));
}

/**
 * null for anything that is not a lease record. A record with an epoch too high to rise above counts as none: like an
 * unreadable one it is replaced after a ttl, and the next term has the epoch of its clock.
 */
export function decodeLeaseRecord(value: Uint8Array): LeaseRecord | null {
  try {
    return schema.parse(JSON.parse(decoder.decode(value)));
  } catch {
    return null;
  }
}
