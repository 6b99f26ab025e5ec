import { signal } from '@preact/signals';

/** What the server says of this browser's session. */
export interface SessionInfo {
  readonly signedIn: boolean;
  /** The API wants a token. */
  readonly asksForUsers: boolean;
  readonly user: string;
  readonly role: string;
  /** Token to be shown with each call. */
  readonly csrf: string;
  readonly version: string;
}

/** null: not known yet. */
export const session = signal<SessionInfo | null>(null);
/** Why the server does not say; empty: it does. */
export const sessionTrouble = signal('');

/** Whether what changes something is offered; the API decides all the same. */
export function mayOperate(): boolean {
  return session.value?.role === 'operate';
}

/** Asks who this browser is. */
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

/** Exchanges a token for a session. @returns why not, empty: it is done */
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
  // What was shown is not for the next user.
  location.reload();
}
