import { createCipheriv, randomBytes } from 'node:crypto';
import type { Opener, Sealer } from '@spanmesh/dmsg/crypto/cipher';
import { StreamOpener } from '@spanmesh/dmsg/crypto/stream-opener';
import { StreamSealer } from '@spanmesh/dmsg/crypto/stream-sealer';
import { UntaggedOpener, UntaggedSealer } from '@spanmesh/dmsg/crypto/untagged';
import { count, printTable } from './table.ts';

const SECONDS = 1;
const CHUNK_BYTES = 64;

/** Encryption of a connection's stream, one direction on one core, by how much is sealed or has been read at once. */
export function benchCipher(): void {
  const session = randomBytes(64);
  const rows = [
    ['at once', 'sealed MB/s', 'opened MB/s', 'untagged sealed', 'untagged opened', 'node:crypto by chunk'],
  ];
  for (const bytes of [64, 512, 4096, 16384, 65536]) {
    const plain = randomBytes(bytes);
    rows.push([
      `${count(bytes)} bytes`,
      count(sealRate(new StreamSealer(session), plain)),
      count(openRate(new StreamSealer(session), new StreamOpener(session), plain)),
      count(sealRate(new UntaggedSealer(session), plain)),
      count(openRate(new UntaggedSealer(session), new UntaggedOpener(session), plain)),
      count(nodeRate(session, plain)),
    ]);
  }
  printTable('Cipher: AES-256-GCM with a tag for every 64 bytes; plaintext', rows);
}

function sealRate(sealer: Sealer, plain: Uint8Array): number {
  return rate(plain.length, (times) => {
    for (let i = 0; i < times; i++) sealer.seal(plain);
    return 0;
  });
}

/** Every chunk has a counter of its own, so what is opened has to be sealed first; that is not counted. */
function openRate(sealer: Sealer, opener: Opener, plain: Uint8Array): number {
  const sink = { onPlain() {} };
  const wireBytes = sealer.sealedBytes(plain.length);
  return rate(plain.length, (times) => {
    const began = process.hrtime.bigint();
    const wire = sealer.seal(Buffer.alloc(times * plain.length));
    const sealed = process.hrtime.bigint();
    for (let at = 0; at < wire.length; at += wireBytes) opener.open(wire.subarray(at, at + wireBytes), sink);
    return Number(sealed - began);
  });
}

/** What the specification says literally: a cipher object for every chunk. */
function nodeRate(session: Uint8Array, plain: Uint8Array): number {
  const key = session.subarray(0, 32);
  const iv = Buffer.alloc(12);
  let counter = 0;
  return rate(plain.length, (times) => {
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

/** MB/s. `run` works on so many pieces and returns nanoseconds that do not count. */
function rate(bytes: number, run: (times: number) => number): number {
  const times = Math.max(1, Math.floor((1 << 18) / bytes));
  let [done, nanoseconds] = [0, 0];
  run(times);
  while (nanoseconds < SECONDS * 1e9) {
    const began = process.hrtime.bigint();
    const uncounted = run(times);
    nanoseconds += Number(process.hrtime.bigint() - began) - uncounted;
    done += times;
  }
  return (done * bytes * 1e3) / nanoseconds;
}
