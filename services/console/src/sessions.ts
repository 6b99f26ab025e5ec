import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { ApiRole } from '@spanmesh/runtime/access/api-tokens';
import type { Clock, Timer } from '@spanmesh/runtime/clock';

/** Sessions at one time; past it the one that was used longest ago ends. */
export const MAX_SESSIONS = 1000;
/** Sessions of one user: past it the user's own session used longest ago ends. Without tokens all sessions are of one user. */
export const MAX_SESSIONS_PER_USER = 32;
/** Streams that a session may have open: a page has three. */
export const MAX_STREAMS_PER_SESSION = 32;
/** Streams of all sessions together. */
export const MAX_STREAMS = 1000;
/** Calls that a session may have under way, streams included. */
export const MAX_CALLS_PER_SESSION = 96;
/** A session that was not used for so long ends, ms. */
export const SESSION_IDLE_MS = 60 * 60_000;
/** A session ends after this at the latest, ms: the token is asked for again. */
export const SESSION_LIFE_MS = 12 * 60 * 60_000;
/** Random bytes of a session's id and of its CSRF token. */
const SECRET_BYTES = 32;

/** A browser that has signed in, or one of an API that asks nobody. */
export interface Session {
  /** Who it is, for people; empty: the API asks nobody. */
  readonly user: string;
  readonly role: ApiRole;
  /** The token that was typed: shown to the API with each call, so that it counts for as long as the API takes it. null: none is needed. */
  readonly token: string | null;
  /** What the page must send along with each call; a page elsewhere cannot read it. */
  readonly csrf: string;
  readonly began: number;
  used: number;
  calls: number;
  streams: number;
  /** Called when it ends: cuts what is under way. */
  readonly onEnd: Set<() => void>;
}

/** Who has signed in. Ids are kept as hashes: they cannot be compared byte by byte from outside, nor read from a dump. */
export class Sessions {
  readonly #clock: Clock;
  /** The one used longest ago comes first. */
  readonly #sessions = new Map<string, Session>();
  /** Ends each at the end of its life, whatever it has open. */
  readonly #lives = new Map<string, Timer>();
  #streams = 0;

  constructor({ clock }: { readonly clock: Clock }) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Begins one. @returns its id, for the cookie */
  begin({ user, role, token }: Pick<Session, 'user' | 'role' | 'token'>): {
    readonly id: string;
    readonly session: Session;
  } {
    this.#makeRoom(user);
    const id = randomBytes(SECRET_BYTES).toString('base64url');
    const now = this.#clock.now();
    const csrf = randomBytes(SECRET_BYTES).toString('base64url');
    const session: Session = { user, role, token, csrf, began: now, used: now, calls: 0, streams: 0, onEnd: new Set() };
    const key = keyOf(id);
    this.#sessions.set(key, session);
    // A stream that nothing else is asked beside would go on for ever.
    this.#lives.set(
      key,
      this.#clock.after(SESSION_LIFE_MS, () => this.#end(key)),
    );
    return { id, session };
  }

  /** The session of an id from a cookie; null: there is none, or it is over. */
  find(id: string): Session | null {
    const key = keyOf(id);
    const session = this.#sessions.get(key);
    if (session === undefined) return null;
    const now = this.#clock.now();
    // A page that follows something is in use.
    const idle = session.streams > 0 ? 0 : now - session.used;
    if (idle >= SESSION_IDLE_MS) {
      this.#end(key);
      return null;
    }
    session.used = now;
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    return session;
  }

  end(id: string): void {
    this.#end(keyOf(id));
  }

  endAll(): void {
    for (const key of [...this.#sessions.keys()]) this.#end(key);
  }

  /** Takes a call on; null: there are too many. @returns what is to be called once it is over */
  take(session: Session, isStream: boolean): (() => void) | null {
    if (session.calls >= MAX_CALLS_PER_SESSION) return null;
    if (isStream && (session.streams >= MAX_STREAMS_PER_SESSION || this.#streams >= MAX_STREAMS)) return null;
    const streams = isStream ? 1 : 0;
    session.calls++;
    session.streams += streams;
    this.#streams += streams;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      session.calls--;
      session.streams -= streams;
      this.#streams -= streams;
      session.used = this.#clock.now();
    };
  }

  #makeRoom(user: string): void {
    const own = user === '' ? [] : [...this.#sessions].filter(([, session]) => session.user === user);
    if (own.length >= MAX_SESSIONS_PER_USER) this.#end(own[0]?.[0] ?? '');
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_SESSIONS && oldest !== undefined) this.#end(oldest);
  }

  #end(key: string): void {
    const session = this.#sessions.get(key);
    if (session === undefined) return;
    this.#sessions.delete(key);
    this.#lives.get(key)?.cancel();
    this.#lives.delete(key);
    for (const end of [...session.onEnd]) end();
  }
}

/** Whether a request shows its session's CSRF token; takes the same time however much of it is right. */
export function showsCsrf({ csrf }: Session, shown: string | string[] | undefined): boolean {
  if (typeof shown !== 'string') return false;
  return timingSafeEqual(hash(shown), hash(csrf));
}

function keyOf(id: string): string {
  return hash(id).toString('base64');
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
