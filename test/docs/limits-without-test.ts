/** Limits that no test goes up to and past yet. The list only gets shorter: a new limit has a test. */
export const WITHOUT_TEST: readonly string[] = [
  'libs/dmsg-socket/src/keys/limits.ts MAX_KEY_FILE_BYTES',
  'libs/dmsg-socket/src/keys/limits.ts MAX_PEER_FILES',
  'libs/dmsg-socket/src/keys/limits.ts MAX_WITHDRAWN_KEYS',
  'libs/dmsg-socket/src/keys/limits.ts MAX_SEEN_KEYS_BYTES',
  'services/topology/src/events/replica-events.ts MAX_PAGES',
  'services/console/src/bridge.ts MAX_REQUEST_BYTES',
  'services/console/src/console.ts MAX_HEADER_BYTES',
  'services/console/src/console.ts MAX_CONNECTIONS',
  'services/console/src/console.ts MAX_SIGN_IN_BYTES',
  'services/console/src/sessions.ts MAX_SESSIONS',
  'services/console/src/sessions.ts MAX_STREAMS',
  'services/console/src/sessions.ts MAX_CALLS_PER_SESSION',
  'services/link-gateway/src/limits.ts MAX_ROUTES_PER_CONNECTION',
  'services/link-gateway/src/trunk/limits.ts QUEUE_LOW_BYTES',
  'services/link-gateway/src/trunk/limits.ts QUEUE_LIMIT_BYTES',
];
