import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { MAX_CALLS_PER_SESSION, MAX_SESSIONS, MAX_STREAMS, MAX_STREAMS_PER_SESSION, Sessions } from './sessions.ts';

const NOBODY = { user: '', role: 'read', token: null } as const;

function sessions(): Sessions {
  return new Sessions({ clock: new FakeClock() });
}

// Limits: console/src/sessions.ts MAX_SESSIONS
it('there is a limited number of sessions; beyond that the one that was used longest ago ends', () => {
  const all = sessions();
  const ids = Array.from({ length: MAX_SESSIONS }, () => all.begin(NOBODY).id);
  const [first = '', second = '', third = ''] = ids;
  expect(all.find(first)).not.toBeNull();
  expect(all.size).toBe(MAX_SESSIONS);
  all.begin(NOBODY);
  expect(all.size).toBe(MAX_SESSIONS);
  expect([first, second, third].map((id) => all.find(id) === null)).toEqual([false, true, false]);
  all.endAll();
});

// Limits: console/src/sessions.ts MAX_STREAMS
it('all sessions together have a limited number of streams: another one can begin when one has ended', () => {
  const all = sessions();
  const releases: ((() => void) | null)[] = [];
  while (releases.length < MAX_STREAMS) {
    const { session } = all.begin(NOBODY);
    const wanted = Math.min(MAX_STREAMS_PER_SESSION, MAX_STREAMS - releases.length);
    for (let n = 0; n < wanted; n++) releases.push(all.take(session, true));
  }
  expect(releases).not.toContain(null);
  const { session } = all.begin(NOBODY);
  expect(all.take(session, true)).toBeNull();
  expect(all.take(session, false)).not.toBeNull();
  releases[0]?.();
  expect(all.take(session, true)).not.toBeNull();
  expect(all.take(session, true)).toBeNull();
  all.endAll();
});

// Limits: console/src/sessions.ts MAX_CALLS_PER_SESSION
it('a session has a limited number of open calls, streams included: another one can begin when one has ended', () => {
  const all = sessions();
  const { session } = all.begin(NOBODY);
  const releases = Array.from({ length: MAX_CALLS_PER_SESSION }, (_, n) => all.take(session, n < 2));
  expect(releases).not.toContain(null);
  expect([all.take(session, false), all.take(session, true)]).toEqual([null, null]);
  expect(all.take(all.begin(NOBODY).session, false)).not.toBeNull();
  releases[0]?.();
  // Counts once, however often it is called.
  releases[0]?.();
  expect(all.take(session, false)).not.toBeNull();
  expect(all.take(session, false)).toBeNull();
  all.endAll();
});
