import { createCipheriv, randomBytes } from 'node:crypto';
import type { Opener, Sealer } from '@spanmesh/dmsg/crypto/cipher';
import { StreamOpener } from '@spanmesh/dmsg/crypto/stream-opener';
import { StreamSealer } from '@spanmesh/dmsg/crypto/stream-sealer';
import { UntaggedOpener, UntaggedSealer } from '@spanmesh/dmsg/crypto/untagged';
import type { Figure } from './figure.ts';
import { threadSeconds } from './thread-time.ts';

const CHUNK_BYTES = 64;

/**
 * Encryption of a connection's stream, one direction on one core, for different numbers of bytes sealed or read at
 * once.
 */
export function cipherFigures(seconds: number): Figure[] {
  const session = randomBytes(64);
  return [64, 512, 4096, 16384, 65536].flatMap((bytes) => {
    const plain = randomBytes(bytes);
    const figure = (what: string, value: number) => ({ row: `${what}, ${bytes} bytes at once`, value, unit: 'MB/s' });
    return [
      figure('sealed', sealRate(new StreamSealer(session), plain, seconds)),
      figure('opened', openRate(new StreamSealer(session), new StreamOpener(session), plain, seconds)),
      figure('sealed untagged', sealRate(new UntaggedSealer(session), plain, seconds)),
      figure('opened untagged', openRate(new UntaggedSealer(session), new UntaggedOpener(session), plain, seconds)),
      figure('node:crypto by chunk', nodeRate(session, plain, seconds)),
    ];
  });
}

/** As a connection seals what it sends. */
function sealRate(sealer: Sealer, plain: Uint8Array, seconds: number): number {
  const slices = [plain];
  return rate(plain.length, seconds, (times) => {
    for (let i = 0; i < times; i++) sealer.sealSlices(slices);
    return 0;
  });
}

/**
 * Each chunk has its own counter, so everything that is opened must be sealed before; the time for that is not counted.
 */
function openRate(sealer: Sealer, opener: Opener, plain: Uint8Array, seconds: number): number {
  const sink = { onPlain() {} };
  const wireBytes = sealer.sealedBytes(plain.length);
  return rate(plain.length, seconds, (times) => {
    const began = threadSeconds();
    const wire = sealer.seal(Buffer.alloc(times * plain.length));
    const sealed = threadSeconds();
    for (let at = 0; at < wire.length; at += wireBytes) opener.open(wire.subarray(at, at + wireBytes), sink);
    return sealed - began;
  });
}

/** Follows the specification literally: a new cipher object for every chunk. */
function nodeRate(session: Uint8Array, plain: Uint8Array, seconds: number): number {
  const key = session.subarray(0, 32);
  const iv = Buffer.alloc(12);
  let counter = 0;
  return rate(plain.length, seconds, (times) => {
    for (let i = 0; i < times; i++) {
      for (let at = 0; at < plain.length; at += CHUNK_BYTES) {
        iv.writeUInt32BE(counter++, 8);
        const cipher = createCipheriv('aes-256-gcm', key, iv);
        cipher.update(plain.subarray(at, at + CHUNK_BYTES));
        cipher.final();
        cipher.getAuthTag();
      }
    }
    return 0;
  });
}

/** MB/s. `run` works on `times` pieces and returns the seconds that must not be counted. */
function rate(bytes: number, seconds: number, run: (times: number) => number): number {
  const times = Math.max(1, Math.floor((1 << 18) / bytes));
  let [done, used] = [0, 0];
  run(times);
  while (used < seconds) {
    const began = threadSeconds();
    const uncounted = run(times);
    used += threadSeconds() - began - uncounted;
    done += times;
  }
  return (done * bytes) / 1e6 / used;
}
