import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PEERS_DIRECTORY, PRIVATE_KEY_FILE, PUBLIC_KEY_FILE } from '@spanmesh/dmsg-socket/keys/key-files';
import { MAX_KEY_FILE_BYTES, MAX_PEER_FILES } from '@spanmesh/dmsg-socket/keys/limits';
import { parseAutoconn } from '@spanmesh/volconf/targets/autoconn-file';
import { Failure } from '../failure.ts';
import { readFiles } from '../keys/check.ts';
import { fileTrouble } from '../output/file-trouble.ts';
import { printable } from '../output/printable.ts';

/** A file that is copied unchanged. */
export interface Copy {
  readonly from: string;
  readonly to: string;
  readonly content: Buffer;
}

/** Which of the reference's files go where. */
export interface MigrationPlan {
  readonly from: string;
  readonly to: string;
  readonly copies: readonly Copy[];
  readonly settingsFile: string;
  readonly settings: readonly (readonly [string, string])[];
  /** Number of files in remote/. */
  readonly peers: number;
  /** Number of hosts in the autoconn file. */
  readonly hosts: number;
  /** Parts of files that cannot be taken over as they are. */
  readonly problems: readonly { readonly file: string; readonly problem: string }[];
  /** Files that would be written but exist already. */
  readonly inTheWay: readonly string[];
}

const AUTOCONN_FILE = 'autoconn';
/** The reference's port, on all addresses. */
const LISTEN = '[::]:987';

/** @throws Failure refused: `from` cannot be read, or has no key of its own */
export async function planMigration(from: string, to: string): Promise<MigrationPlan> {
  const keys = join(to, 'keys');
  const names = [PRIVATE_KEY_FILE, PUBLIC_KEY_FILE, ...(await peerFiles(from))];
  const copies = await Promise.all(
    names.map(async (name) => ({ from: join(from, name), to: join(keys, name), content: await content(from, name) })),
  );
  const { problems } = await readFiles(from);
  const autoconn = join(from, AUTOCONN_FILE);
  const text = await textOf(autoconn);
  const { hosts, problems: lines } = parseAutoconn(text ?? '');
  const settingsFile = join(to, 'migrated.env');
  const settings = [
    ['SPANMESH_DMSG_LISTEN', LISTEN],
    ['SPANMESH_KEYS_DIR', keys],
    ...(text === null ? [] : [['SPANMESH_AUTOCONN_FILE', autoconn] as const]),
  ] as const;
  const there = await Promise.all([...copies.map((copy) => copy.to), settingsFile].map(isThere));
  return {
    from,
    to,
    copies,
    settingsFile,
    settings,
    peers: names.length - 2,
    hosts: hosts.length,
    problems: [
      ...problems,
      ...lines.map(({ line, problem }) => ({ file: AUTOCONN_FILE, problem: `line ${line} ${problem}` })),
    ],
    inTheWay: there.flatMap((path) => path ?? []),
  };
}

/** Paths of the peers' files, relative to the directory; none without remote/. */
async function peerFiles(from: string): Promise<string[]> {
  const names = await readdir(join(from, PEERS_DIRECTORY)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw unreadable(join(from, PEERS_DIRECTORY), error);
  });
  if (names.length > MAX_PEER_FILES) {
    throw new Failure('refused', `${printable(from)}: more than ${MAX_PEER_FILES} files of peers`);
  }
  return names.toSorted().map((name) => join(PEERS_DIRECTORY, name));
}

async function content(from: string, name: string): Promise<Buffer> {
  const path = join(from, name);
  const read = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error);
  });
  if (read.length <= MAX_KEY_FILE_BYTES) return read;
  throw new Failure('refused', `${printable(path)} is larger than ${MAX_KEY_FILE_BYTES} bytes: it is no key`);
}

/** The text of a file; null: it does not exist. */
async function textOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw unreadable(path, error);
  });
}

/** The path if something exists there, otherwise null. */
async function isThere(path: string): Promise<string | null> {
  return access(path).then(
    () => path,
    () => null,
  );
}

function unreadable(path: string, error: NodeJS.ErrnoException): Failure {
  return new Failure('refused', `cannot read ${printable(path)}: ${fileTrouble(error)}`, { cause: error });
}
