import { createPublicKey, type KeyObject } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ownPrivateKey, peerPublicKey } from '@spanmesh/dmsg/crypto/rsa-key';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import { KeysError } from './keys-error.ts';
import { MAX_KEY_FILE_BYTES, MAX_PEER_FILES } from './limits.ts';
import { type PeerFileKind, type PeerFileName, parsePeerFileName } from './peer-file-name.ts';
import { type PeerAccess, PeerRules, type PrefixRule } from './peer-rules.ts';
import { prefixText } from './prefix.ts';

/** The files of the reference (protocol.md, "Crypto"). */
export const PRIVATE_KEY_FILE = 'rsa.prv';
export const PUBLIC_KEY_FILE = 'rsa.pub';
export const PEERS_DIRECTORY = 'remote';

/** Something wrong with one file; what it decides about is refused or unaffected, the others go on. Says nothing of keys. */
export interface KeyProblem {
  /** Relative to the directory. */
  readonly file: string;
  readonly problem: string;
}

/** What a keys directory says. */
export interface KeyFiles {
  readonly rules: PeerRules;
  readonly problems: readonly KeyProblem[];
  /** Peers or prefixes that are named. */
  readonly peers: number;
}

type Read = { readonly key: KeyObject } | { readonly problem: string };

/**
 * Reads a whole keys directory.
 * @throws KeysError the directory, or its remote/, cannot be read; a remote/ that is not there is an empty one.
 */
export async function readKeyFiles(directory: string): Promise<KeyFiles> {
  const problems: KeyProblem[] = [];
  const own = await readKey(directory, PRIVATE_KEY_FILE, ownPrivateKey);
  if ('problem' in own) problems.push({ file: PRIVATE_KEY_FILE, problem: own.problem });
  else problems.push(...(await problemsOfOwn(directory, own.key)));
  const named = await peerFiles(directory, problems);
  const rules: PrefixRule[] = [];
  for (const files of named.values()) rules.push(await ruleOf(directory, files, own, problems));
  return { rules: new PeerRules(rules), problems, peers: rules.length };
}

/**
 * A text that changes when anything in the directory does: names, sizes, times and identities of the files, behind symbolic
 * links too (a mounted Secret is replaced by one).
 * @throws KeysError as readKeyFiles.
 */
export async function keyFilesSignature(directory: string): Promise<string> {
  const names = [
    PRIVATE_KEY_FILE,
    PUBLIC_KEY_FILE,
    ...(await peerNames(directory)).map((name) => join(PEERS_DIRECTORY, name)),
  ];
  const lines: string[] = [];
  for (const name of names) {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs, mode } = await stat(join(directory, name), { bigint: true });
      lines.push(`${name} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs} ${mode}`);
    } catch (error) {
      lines.push(`${name} ${(error as NodeJS.ErrnoException).code}`);
    }
  }
  return lines.join('\n');
}

/** The files of one prefix, by kind. */
interface NamedFiles {
  readonly prefix: PeerFileName['prefix'];
  readonly files: Map<PeerFileKind, string>;
}

async function peerFiles(directory: string, problems: KeyProblem[]): Promise<Map<string, NamedFiles>> {
  const found = new Map<string, NamedFiles>();
  for (const name of await peerNames(directory)) {
    const file = join(PEERS_DIRECTORY, name);
    const parsed = parsePeerFileName(name);
    if (parsed === null) {
      problems.push({ file, problem: 'not named ADDRESS.pub, ADDRESS_BITS.pub, .none or .untagged; it is ignored' });
      continue;
    }
    const key = prefixText(parsed.prefix);
    const known = found.get(key) ?? { prefix: parsed.prefix, files: new Map<PeerFileKind, string>() };
    found.set(key, known);
    const other = known.files.get(parsed.kind);
    if (other === undefined) known.files.set(parsed.kind, file);
    else problems.push({ file, problem: `names the same peers as ${other}, which is used` });
  }
  return found;
}

async function ruleOf(
  directory: string,
  { prefix, files }: NamedFiles,
  own: Read,
  problems: KeyProblem[],
): Promise<PrefixRule> {
  const pub = files.get('pub');
  const none = files.get('none');
  const untagged = files.get('untagged');
  if (untagged !== undefined && pub === undefined) {
    problems.push({ file: untagged, problem: 'has no .pub of the same name beside it; it says nothing' });
  }
  if (pub === undefined) {
    const access: PeerAccess =
      none === undefined
        ? { kind: 'refused', file: untagged!, refusal: 'bad-key', why: 'there is an .untagged file and no .pub' }
        : { kind: 'plaintext', file: none };
    return { prefix, access };
  }
  // protocol.md, "Crypto": .pub comes first.
  const peer = await readKey(directory, pub, peerPublicKey);
  if ('problem' in peer) {
    problems.push({ file: pub, problem: peer.problem });
    return { prefix, access: { kind: 'refused', file: pub, refusal: 'bad-key', why: peer.problem } };
  }
  if ('problem' in own) {
    return { prefix, access: { kind: 'refused', file: PRIVATE_KEY_FILE, refusal: 'no-own-key', why: own.problem } };
  }
  return {
    prefix,
    access: { kind: 'encrypted', file: pub, own: own.key, peer: peer.key, tagged: untagged === undefined },
  };
}

/** rsa.pub is for others to have: it should be that of rsa.prv. */
async function problemsOfOwn(directory: string, own: KeyObject): Promise<KeyProblem[]> {
  const problems: KeyProblem[] = [];
  try {
    const { mode } = await stat(join(directory, PRIVATE_KEY_FILE));
    if ((mode & 0o004) !== 0) problems.push({ file: PRIVATE_KEY_FILE, problem: 'everybody on this host can read it' });
  } catch {
    // Gone since it was read: the next look finds that.
  }
  const shown = await readKey(directory, PUBLIC_KEY_FILE, peerPublicKey);
  if ('problem' in shown) problems.push({ file: PUBLIC_KEY_FILE, problem: shown.problem });
  else if (!createPublicKey(own).equals(shown.key)) {
    problems.push({ file: PUBLIC_KEY_FILE, problem: `is not the public key of ${PRIVATE_KEY_FILE}` });
  }
  return problems;
}

async function readKey(directory: string, file: string, parse: (pem: string | null) => KeyObject): Promise<Read> {
  try {
    return { key: parse(await readSmall(join(directory, file))) };
  } catch (error) {
    if (error instanceof DmsgError) return { problem: `${errorName(error.code)}: ${error.reason}` };
    // The system's code only: its message has the path, and nobody knows what else one day.
    return { problem: `cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}` };
  }
}

/** null: not there. */
async function readSmall(path: string): Promise<string | null> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Not blocking: a pipe without a writer would keep a thread for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    // A device or a pipe would never end.
    if (!(await file.stat()).isFile()) throw new DmsgError(ErrorCode.KEYFMT, 'not a regular file');
    const bytes = Buffer.alloc(MAX_KEY_FILE_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytesRead > MAX_KEY_FILE_BYTES) throw new DmsgError(ErrorCode.KEYFMT, 'too large for a key');
    return bytes.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Names in remote/, sorted; those that begin with a dot belong to editors and to Kubernetes. */
async function peerNames(directory: string): Promise<string[]> {
  await mustBeDirectory(directory);
  let names: string[];
  try {
    names = await readdir(join(directory, PEERS_DIRECTORY));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new KeysError('unreadable', `${PEERS_DIRECTORY}/ cannot be read: ${code}`, { cause });
  }
  const visible = names.filter((name) => !name.startsWith('.')).sort();
  if (visible.length > MAX_PEER_FILES) {
    throw new KeysError('too-many-files', `${PEERS_DIRECTORY}/ has more than ${MAX_PEER_FILES} files`);
  }
  return visible;
}

async function mustBeDirectory(directory: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new KeysError('unreadable', `the keys directory cannot be read: ${code}`, { cause });
  }
  throw new KeysError('missing', 'the keys directory is not there, or is not a directory');
}
