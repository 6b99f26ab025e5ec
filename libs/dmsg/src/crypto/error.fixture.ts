import { inspect } from 'node:util';
import { expect } from 'vitest';
import { DmsgError } from '../dmsg-error.ts';
import type { ErrorCode } from '../error-code.ts';

/** Expects `run` to throw a DmsgError of this code, and returns the error. */
export function errorOf(code: ErrorCode, run: () => unknown): DmsgError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(DmsgError);
    expect((error as DmsgError).code).toBe(code);
    return error as DmsgError;
  }
  throw new Error('nothing was thrown');
}

/** Expects that no printable form of the error contains eight consecutive bytes of a secret, in any usual encoding. */
export function expectNoSecrets(error: Error, secrets: readonly Uint8Array[]): void {
  const printed = inspect(error, { depth: null, showHidden: true, maxArrayLength: null, maxStringLength: null });
  for (const secret of secrets) {
    for (let at = 0; at + 8 <= secret.length; at++) {
      const bytes = Buffer.from(secret.subarray(at, at + 8));
      expect(printed).not.toContain(bytes.toString('hex'));
      expect(printed).not.toContain(bytes.toString('latin1'));
      expect(printed).not.toContain([...bytes].join(', '));
      if (at + 9 <= secret.length)
        expect(printed).not.toContain(Buffer.from(secret.subarray(at, at + 9)).toString('base64'));
    }
  }
}
