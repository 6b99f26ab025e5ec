import { z } from 'zod';
import { MAX_EPOCH } from './epoch.ts';

/** The record in the leases bucket under a role (architecture.md "Lease"). */
export interface LeaseRecord {
  /** Nonce of the holder, '' when it was released. */
  readonly holder: string;
  /** Where the holder is reached, `host:port`. */
  readonly address: string;
  /** Rises with every change of holder, also over a release. */
  readonly epoch: number;
  /** The holder's time to live, ms. */
  readonly ttl: number;
  /** What must be equal at all replicas, as the holder has it; kept when it is released. Empty: nothing is said. */
  readonly settings: string;
  /** How often this holder has written it: two records of a holder are never the same, even if a store that was restored gives both one revision. */
  readonly beat: number;
}

/** A longer one would be a mistake that nobody can wait out, ms. */
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
 * null for anything that is not a lease record. An epoch from which nobody could rise is none: it is replaced like what cannot be read,
 * after a ttl, and the next term has the epoch of its clock.
 */
export function decodeLeaseRecord(value: Uint8Array): LeaseRecord | null {
  try {
    return schema.parse(JSON.parse(decoder.decode(value)));
  } catch {
    return null;
  }
}
