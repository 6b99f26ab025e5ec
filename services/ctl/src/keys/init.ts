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

/** Only the owner may read the directory, though the public key in it is public. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/**
 * Makes the key pair of this host, and remote/ for the keys of peers (protocol.md, "Crypto"). Formats: PKCS#1 and SPKI,
 * like the reference's.
 * @throws Failure refused: one of the files exists, or the directory cannot be written.
 */
export async function initKeys(directory: string, terminal: Terminal): Promise<void> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  try {
    await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
    await create(join(directory, PRIVATE_KEY_FILE), privateKey.export({ type: 'pkcs1', format: 'pem' }).toString());
    try {
      await create(join(directory, PUBLIC_KEY_FILE), publicKey.export({ type: 'spki', format: 'pem' }).toString());
    } catch (error) {
      // Removes the private key written a moment ago: without the public one it is useless, and the next attempt would
      // refuse it.
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

/** Creates a file; once it resolves, all of it is on the disk. @throws EEXIST: the file exists. */
async function create(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
