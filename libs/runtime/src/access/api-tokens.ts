import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import type { Logger } from '../log/logger.ts';
import { TlsError } from '../secrets/tls-error.ts';
import { WatchedFiles } from '../tls/watched-files.ts';

/** What a user of the API may do. `read`: look; `operate`: also send messages, set targets and give orders. */
export const API_ROLES = ['read', 'operate'] as const;
export type ApiRole = (typeof API_ROLES)[number];

/** A user of the API. */
export interface ApiUser {
  /** The user's name, shown to people and in logs. */
  readonly name: string;
  readonly role: ApiRole;
}

/** Most tokens in a file. Each is compared at every call that shows a token. */
export const MAX_API_TOKENS = 1000;
/** Longest token that is compared, characters; our own have 47. */
export const MAX_TOKEN_CHARS = 512;
/** Random bytes of a token. They cannot be guessed, so a plain hash protects them as well as a slow one would. */
const TOKEN_BYTES = 32;
/** Lets people, and scanners for leaked secrets, recognise a token. */
const TOKEN_PREFIX = 'spm_';

const LINE = /^(\S+)\s+(\S+)\s+sha256:([0-9a-f]{64})$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

/** A user with the hash of one of the user's tokens. */
interface Known extends ApiUser {
  readonly hash: Buffer;
}

/** The users that a tokens file names, by the hashes of their tokens. */
export class ApiTokens {
  readonly #known: readonly Known[];

  constructor(known: readonly Known[]) {
    this.#known = known;
  }

  get size(): number {
    return this.#known.length;
  }

  /**
   * The user with this token; null: nobody. Takes the same time whichever user it is, and however many characters are
   * right.
   */
  userOf(token: string): ApiUser | null {
    if (token.length > MAX_TOKEN_CHARS) return null;
    const hash = sha256(token);
    let user: ApiUser | null = null;
    for (const known of this.#known) {
      if (timingSafeEqual(hash, known.hash)) user = known;
    }
    return user;
  }
}

/**
 * Reads lines `NAME ROLE sha256:HEX`; empty lines and lines that begin with # are skipped. A name may have several
 * lines, so that a token can be replaced without a gap.
 * @throws TlsError bad-tokens: names the line, and repeats nothing of it.
 */
export function parseApiTokens(file: string, content: Buffer): ApiTokens {
  const known: Known[] = [];
  const seen = new Set<string>();
  for (const [i, text] of content.toString('utf8').split('\n').entries()) {
    const line = text.trim();
    if (line === '' || line.startsWith('#')) continue;
    const bad = (why: string) => new TlsError('bad-tokens', file, `line ${i + 1}: ${why}`);
    const [, name, role = '', hex = ''] = LINE.exec(line) ?? [];
    if (name === undefined) throw bad('must be NAME ROLE sha256:HEX, as `spanmesh tokens new` prints it');
    if (!NAME.test(name)) throw bad('the name must be made of letters, digits and . _ @ -, at most 63');
    if (!isApiRole(role)) throw bad(`the role must be one of ${API_ROLES.join(', ')}`);
    if (seen.has(hex)) throw bad('this token stands there twice');
    if (known.length === MAX_API_TOKENS) throw bad(`more than ${MAX_API_TOKENS} tokens`);
    seen.add(hex);
    known.push({ name, role, hash: Buffer.from(hex, 'hex') });
  }
  return new ApiTokens(known);
}

/** A tokens file, read again whenever it changes, once started. @throws TlsError */
export function watchApiTokens(
  file: string,
  deps: { readonly clock: Clock; readonly logger: Logger; readonly events?: EventTeller },
): WatchedFiles<ApiTokens> {
  return new WatchedFiles(
    { files: [file], parse: ([content = Buffer.alloc(0)]) => parseApiTokens(file, content) },
    deps,
  );
}

/** A new token and its line for the file. @throws TypeError for a name that the file cannot hold. */
export function createApiToken({ name, role }: ApiUser): { readonly token: string; readonly line: string } {
  if (!NAME.test(name)) throw new TypeError('the name must be made of letters, digits and . _ @ -, at most 63');
  const token = TOKEN_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
  return { token, line: `${name} ${role} sha256:${sha256(token).toString('hex')}` };
}

function isApiRole(word: string): word is ApiRole {
  return (API_ROLES as readonly string[]).includes(word);
}

function sha256(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}
