import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ownPrivateKey, peerPublicKey } from '@spanmesh/dmsg/crypto/rsa-key';
import { DmsgError } from '@spanmesh/dmsg/dmsg-error';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import { prefixText } from '../address/prefix.ts';
import { KeysError } from './keys-error.ts';
import { MAX_KEY_FILE_BYTES, MAX_PEER_FILES } from './limits.ts';
import { PEER_OPTION_KINDS, type PeerFileKind, type PeerFileName, parsePeerFileName } from './peer-file-name.ts';
import type { PeerAccess, PrefixRule } from './peer-rules.ts';

/** The names of the files, those of the reference (protocol.md, "Crypto"). */
export const PRIVATE_KEY_FILE = 'rsa.prv';
export const PUBLIC_KEY_FILE = 'rsa.pub';
export const PEERS_DIRECTORY = 'remote';

const NOT_NAMED =
  'not named ADDRESS.pub, ADDRESS_BITS.pub, .none, .refused, .untagged, .bound or .exponent; it is ignored';

/**
 * A problem with one file. The peers that the file decides about, if any, are refused; other peers are not affected.
 * The text contains nothing of keys.
 */
export interface KeyProblem {
  /** Relative to the directory. */
  readonly file: string;
  readonly problem: string;
}

/** The rule that the files of one prefix make, and which files exist. */
export interface PeerFiles extends PrefixRule {
  /** The .pub file, valid or not: its name, relative to the directory. null: there is none. */
  readonly pub: string | null;
  /** The .none file: its name, relative to the directory. null: there is none. */
  readonly none: string | null;
}

/** What is in a keys directory. */
export interface KeyFiles {
  readonly peers: readonly PeerFiles[];
  readonly problems: readonly KeyProblem[];
}

type Read = { readonly key: KeyObject } | { readonly problem: string };

/**
 * Reads a whole keys directory.
 * @throws KeysError the directory, or its remote/, cannot be read; a missing remote/ counts as empty.
 */
export async function readKeyFiles(directory: string): Promise<KeyFiles> {
  const problems: KeyProblem[] = [];
  const own = await readKey(directory, PRIVATE_KEY_FILE, ownPrivateKey, privateToItsOwner);
  if ('problem' in own) problems.push({ file: PRIVATE_KEY_FILE, problem: own.problem });
  else problems.push(...(await problemsOfOwn(directory, own.key)));
  const named = await peerFiles(directory, problems);
  const peers: PeerFiles[] = [];
  for (const { prefix, files } of named.values()) {
    const access = await accessOf(directory, files, own, problems);
    peers.push({ prefix, access, pub: files.get('pub') ?? null, none: files.get('none') ?? null });
  }
  return { peers, problems };
}

/**
 * A text that changes when anything in the directory does: names, sizes, times and identities of the files, also behind
 * symbolic links (a mounted Secret is replaced by changing one).
 * @throws KeysError as readKeyFiles.
 */
export async function keyFilesSignature(directory: string): Promise<string> {
  const lines: string[] = [];
  for (const name of await fileNames(directory)) {
    try {
      const { dev, ino, size, mtimeNs, ctimeNs, mode } = await stat(join(directory, name), { bigint: true });
      lines.push(`${name} ${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs} ${mode}`);
    } catch (error) {
      lines.push(`${name} ${(error as NodeJS.ErrnoException).code}`);
    }
  }
  return lines.join('\n');
}

/**
 * A text that changes when the content of a file does, or who may read it. It does not change when the same content is
 * written anew, as it is in a mounted Secret.
 * @throws KeysError as readKeyFiles.
 */
export async function keyFilesDigest(directory: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of await fileNames(directory)) {
    hash.update(`${name}\n`);
    try {
      const file = await open(join(directory, name), constants.O_RDONLY | constants.O_NONBLOCK);
      try {
        const { mode, uid, gid, size } = await file.stat();
        hash.update(`${mode} ${uid} ${gid} ${size}\n`);
        // A larger file is refused, whatever it contains.
        if (size <= MAX_KEY_FILE_BYTES) hash.update(await file.readFile());
      } finally {
        await file.close();
      }
    } catch (error) {
      hash.update(`${(error as NodeJS.ErrnoException).code}\n`);
    }
  }
  return hash.digest('hex');
}

/** The names of the reference's own files, whether they exist or not, and of all files in remote/. */
async function fileNames(directory: string): Promise<string[]> {
  const peers = await peerNames(directory);
  return [PRIVATE_KEY_FILE, PUBLIC_KEY_FILE, ...peers.map((name) => join(PEERS_DIRECTORY, name))];
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
      problems.push({ file, problem: NOT_NAMED });
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

async function accessOf(
  directory: string,
  files: NamedFiles['files'],
  own: Read,
  problems: KeyProblem[],
): Promise<PeerAccess> {
  const pub = files.get('pub');
  const none = files.get('none');
  const refused = files.get('refused');
  const options = PEER_OPTION_KINDS.flatMap((kind) => {
    const file = files.get(kind);
    return file === undefined ? [] : [{ kind, file }];
  });
  if (pub === undefined) {
    for (const { file } of options) {
      problems.push({ file, problem: 'has no .pub of the same name beside it; it says nothing' });
    }
  }
  if (refused !== undefined) return { kind: 'refused', file: refused, refusal: 'revoked', why: 'it says so' };
  if (pub === undefined) {
    if (none !== undefined) return { kind: 'plaintext', file: none };
    const [option] = options;
    const why = `there is an .${option?.kind} file and no .pub`;
    return { kind: 'refused', file: option?.file ?? null, refusal: 'bad-key', why };
  }
  // protocol.md, "Crypto": .pub comes first.
  const peer = await readKey(directory, pub, (pem) => peerPublicKey(pem, files.has('exponent')));
  if ('problem' in peer) {
    problems.push({ file: pub, problem: peer.problem });
    return { kind: 'refused', file: pub, refusal: 'bad-key', why: peer.problem };
  }
  if ('problem' in own) return { kind: 'refused', file: PRIVATE_KEY_FILE, refusal: 'no-own-key', why: own.problem };
  const [tagged, bound] = [!files.has('untagged'), files.has('bound')];
  return { kind: 'encrypted', file: pub, own: own.key, peer: peer.key, tagged, bound };
}

/**
 * Refuses a private key that others on this host can read. A file of root may be readable by its group: so a Secret is
 * mounted for a process that is not root.
 */
function privateToItsOwner({ mode, uid }: Stats, path: string): void {
  const mayGroup = uid === 0 && process.getuid?.() !== 0;
  if ((mode & (mayGroup ? 0o007 : 0o077)) === 0) return;
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  throw new DmsgError(ErrorCode.KEYFMT, `others on this host may use it (mode ${octal}): chmod 0600 ${path}`);
}

/** Checks rsa.pub, which the operator gives to others: it should be the public key of rsa.prv. */
async function problemsOfOwn(directory: string, own: KeyObject): Promise<KeyProblem[]> {
  const shown = await readKey(directory, PUBLIC_KEY_FILE, peerPublicKey);
  if ('problem' in shown) return [{ file: PUBLIC_KEY_FILE, problem: shown.problem }];
  if (createPublicKey(own).equals(shown.key)) return [];
  return [{ file: PUBLIC_KEY_FILE, problem: `is not the public key of ${PRIVATE_KEY_FILE}` }];
}

async function readKey(
  directory: string,
  file: string,
  parse: (pem: string | null) => KeyObject,
  check?: (stats: Stats, path: string) => void,
): Promise<Read> {
  try {
    return { key: parse(await readSmall(join(directory, file), check)) };
  } catch (error) {
    if (error instanceof DmsgError) return { problem: `${errorName(error.code)}: ${error.reason}` };
    // Only the system's error code: the message contains the path, and perhaps more in a later version.
    return { problem: `cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown error'}` };
  }
}

/** The content of a small file; null: it does not exist. */
async function readSmall(path: string, check?: (stats: Stats, path: string) => void): Promise<string | null> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    // Non-blocking: opening a pipe that has no writer would keep a thread for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    // Reading a device or a pipe would perhaps never end.
    const stats = await file.stat();
    if (!stats.isFile()) throw new DmsgError(ErrorCode.KEYFMT, 'not a regular file');
    check?.(stats, path);
    const bytes = Buffer.alloc(MAX_KEY_FILE_BYTES + 1);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
    if (bytesRead > MAX_KEY_FILE_BYTES) throw new DmsgError(ErrorCode.KEYFMT, 'too large for a key');
    return bytes.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The names in remote/ that count, sorted. */
async function peerNames(directory: string): Promise<string[]> {
  await mustBeDirectory(directory);
  let names: string[];
  try {
    names = await readdir(join(directory, PEERS_DIRECTORY));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    throw new KeysError('unreadable', `${PEERS_DIRECTORY}/ cannot be read: ${code}`, { system: code }, { cause });
  }
  return countedNames(names);
}

/**
 * The names in remote/ that count, sorted. Names that begin with a dot do not count: they belong to editors and to
 * Kubernetes.
 * @throws KeysError too-many-files
 */
export function countedNames(names: readonly string[]): string[] {
  const visible = names.filter((name) => !name.startsWith('.')).sort();
  if (visible.length > MAX_PEER_FILES) {
    throw new KeysError('too-many-files', `${PEERS_DIRECTORY}/ has more than ${MAX_PEER_FILES} files`, {
      limit: MAX_PEER_FILES,
    });
  }
  return visible;
}

async function mustBeDirectory(directory: string): Promise<void> {
  try {
    if ((await stat(directory)).isDirectory()) return;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT') {
      throw new KeysError('unreadable', `the keys directory cannot be read: ${code}`, { system: code }, { cause });
    }
  }
  throw new KeysError('missing', 'the keys directory is not there, or is not a directory');
}
