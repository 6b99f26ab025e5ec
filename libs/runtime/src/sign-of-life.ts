import { z } from 'zod';

/** What gateways and topology replicas publish on ALIVE (bus-names.ts). */
export interface SignOfLife {
  readonly kind: 'gateway' | 'topology';
  /** `<name>.<boot>` of a gateway, service address of a replica. */
  readonly id: string;
}

/** How often it is published, ms. */
export const SIGN_OF_LIFE_MS = 1000;
/** Longest id, in characters. */
const MAX_ID = 300;

const schema = z.object({ kind: z.enum(['gateway', 'topology']), id: z.string().min(1).max(MAX_ID) });
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeSignOfLife({ kind, id }: SignOfLife): Uint8Array {
  return encoder.encode(JSON.stringify({ kind, id }));
}

/** null for anything that is no sign of life. */
export function decodeSignOfLife(data: Uint8Array): SignOfLife | null {
  try {
    return schema.parse(JSON.parse(decoder.decode(data)));
  } catch {
    return null;
  }
}
