import { z } from 'zod';

/** What stands in the leases bucket under a role (architecture.md "Lease"). */
export interface LeaseRecord {
  /** Nonce of the holder, '' when it was released. */
  readonly holder: string;
  /** Where the holder is reached, `host:port`. */
  readonly address: string;
  /** Rises with every change of holder, also over a release. */
  readonly epoch: number;
  /** The holder's time to live, ms. */
  readonly ttl: number;
}

/** A longer one would be a mistake that nobody can wait out, ms. */
const MAX_TTL_MS = 3_600_000;

const schema = z.object({
  holder: z.string().max(256),
  address: z.string().max(1024),
  epoch: z.int().nonnegative(),
  ttl: z.int().positive().max(MAX_TTL_MS),
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeLeaseRecord(record: LeaseRecord): Uint8Array {
  return encoder.encode(JSON.stringify(record));
}

/** null for anything that is not a lease record. */
export function decodeLeaseRecord(value: Uint8Array): LeaseRecord | null {
  try {
    return schema.parse(JSON.parse(decoder.decode(value)));
  } catch {
    return null;
  }
}
