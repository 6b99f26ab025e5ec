import { generateKeyPair } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { RSA_BITS } from '@spanmesh/dmsg/crypto/rsa-key';
import { PEERS_DIRECTORY, PRIVATE_KEY_FILE, PUBLIC_KEY_FILE } from '@spanmesh/dmsg-socket/keys/key-files';
import { Failure } from '../failure.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { fingerprint } from './fingerprint.ts';

/** For this host only; the public key is public, and its directory is not. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * Makes the key pair of this host, and remote/ for the keys of peers (protocol.md, "Crypto"). PKCS#1 and SPKI, as the reference has them.
 * @throws Failure refused: one of the files is there already, or the directory cannot be written.
 */
export async function initKeys(directory: string, terminal: Terminal): Promise<void> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    await create(join(directory, PRIVATE_KEY_FILE), privateKey.export({ type: 'pkcs1', format: 'pem' }).toString());
    try {
      await create(join(directory, PUBLIC_KEY_FILE), publicKey.export({ type: 'spki', format: 'pem' }).toString());
    } catch (error) {
      // Ours, made a moment ago: half a pair is of no use, and would be in the way of the next attempt.
      await rm(join(directory, PRIVATE_KEY_FILE));
      throw error;
    }
    await mkdir(join(directory, PEERS_DIRECTORY), { recursive: true, mode: DIRECTORY_MODE });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const where = printable(directory);
    if (code === 'EEXIST') throw new Failure('refused', `${where} has a key already; nothing was changed`);
    throw new Failure('refused', `cannot write keys to ${where}: ${fileTrouble(error)}`, { cause: error });
  }
  await write(
    terminal.out,
    [
      `${printable(directory)}: key pair made, ${fingerprint(publicKey)}`,
      `  give ${PUBLIC_KEY_FILE} to the peers, and put each peer's as ${PEERS_DIRECTORY}/ADDRESS.pub`,
      '',
    ].join('\n'),
  );
}

/** Whole on disk, or an error. @throws EEXIST: it is there. */
async function create(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
