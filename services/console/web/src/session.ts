import { signal } from '@preact/signals';

/** The server's answer about this browser's session. */
export interface SessionInfo {
  readonly signedIn: boolean;
  /** Whether the API asks for a token. */
  readonly asksForUsers: boolean;
  readonly user: string;
  readonly role: string;
  /** Token that each call must carry. */
  readonly csrf: string;
  readonly version: string;
}

/** The session; null: not known yet. */
export const session = signal<SessionInfo | null>(null);
/** Why the server did not answer; empty: it did. */
export const sessionTrouble = signal('');

/** Whether the page offers changes and orders; the API decides anyway. */
export function mayOperate(): boolean {
  return session.value?.role === 'operate';
}

/** Asks the server who this browser's user is. */
export async function loadSession(): Promise<void> {
  try {
    const response = await fetch('session', { cache: 'no-store' });
    if (!response.ok) throw new Error((await response.text()).trim());
    session.value = (await response.json()) as SessionInfo;
    sessionTrouble.value = '';
  } catch (error) {
    sessionTrouble.value = error instanceof Error ? error.message : String(error);
  }
}

/** Exchanges a token for a session. @returns why that failed; empty: it succeeded */
export async function signIn(token: string): Promise<string> {
  const headers = { 'Content-Type': 'application/json' };
  try {
    const response = await fetch('session', { method: 'POST', headers, body: JSON.stringify({ token }) });
    if (!response.ok) return (await response.text()).trim();
    session.value = (await response.json()) as SessionInfo;
    return '';
  } catch {
    return 'The server does not answer.';
  }
}

export async function signOut(): Promise<void> {
  const headers = { 'spanmesh-csrf': session.value?.csrf ?? '' };
  await fetch('session/end', { method: 'POST', headers }).catch(() => {});
  // The next user must not see what was shown before.
  location.reload();
}
