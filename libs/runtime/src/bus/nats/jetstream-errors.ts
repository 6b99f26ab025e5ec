import { NatsError } from 'nats';

/**
 * What an error of JetStream means to us.
 *   passing    ends by itself, or once there is room or a server again: wait
 *   settings   lasts until an operator changes something: report it
 *   conflict   somebody else was faster
 *   invalid    larger than JetStream takes
 *   no-stream  there is no such bucket
 *   no-message there is no such key
 */
export type JetStreamMeaning = 'passing' | 'settings' | 'conflict' | 'invalid' | 'no-stream' | 'no-message';

export interface JetStreamError {
  /** JetStream's number of the error (`err_code`), or the library's name for it when JetStream has not answered. */
  readonly code: number | string;
  readonly meaning: JetStreamMeaning;
  /** What to do about it; empty: nothing, or unknown. */
  readonly advice: string;
  /** With `settings`: the setting. */
  readonly setting: string;
}

const URL = 'SPANMESH_NATS_URL';
const REPLICAS = 'SPANMESH_NATS_REPLICAS';
const INSTALLATION = 'SPANMESH_INSTALLATION';

const FORMING = 'servers of the cluster are missing, or elect a leader';
const TOO_FEW =
  'SPANMESH_NATS_REPLICAS copies need as many NATS servers that run JetStream: they are not all there yet, or have no room';
const FULL = 'JetStream has no more room: look at the disks of the NATS servers, and at the limits of the account';
const SILENT = 'nobody answers: is JetStream on at the NATS servers, and has it a leader?';

/**
 * Every error that our calls can get (nats-server 2.9 to 2.12, `server/errors.json`). An error that is missing here
 * counts as passing: it costs less to wait for an error that stays than to end because of one that passes.
 */
export const JETSTREAM_ERRORS: readonly JetStreamError[] = [
  // The cluster is incomplete.
  passing(10004, FORMING), // incomplete results
  passing(10005, TOO_FEW), // no suitable peers for placement
  passing(10006, FORMING), // not in clustered mode (a server that joins)
  passing(10007, FORMING), // cluster not assigned to this server
  passing(10008, FORMING), // JetStream system temporarily unavailable
  passing(10009, FORMING), // cluster can not handle request
  passing(10035, ''), // account not found: the server has not been told of it yet
  passing(10040, FORMING), // peer not a member
  passing(10041, FORMING), // RAFT
  passing(10044, FORMING), // server is not a member of the cluster
  passing(10048, FORMING), // stream assignment
  passing(10075, FORMING), // peer remap failed
  passing(10118, FORMING), // stream is offline
  passing(10119, FORMING), // consumer is offline
  passing(10194, FORMING), // stream is offline, with a reason
  passing(10195, FORMING), // consumer is offline, with a reason
  passing(10202, FORMING), // cluster member change is in progress
  // There is no room, or too much to do.
  passing(10002, FULL), // resource limits exceeded for account
  passing(10023, TOO_FEW), // insufficient resources
  passing(10026, FULL), // maximum consumers limit: those of watchers that are gone are removed after a while
  passing(10028, FULL), // insufficient memory resources
  passing(10047, FULL), // insufficient storage resources
  passing(10053, FULL), // stream limits exceeded
  passing(10077, FULL), // storing a message failed
  passing(10104, FULL), // no store for a consumer
  passing(10158, ''), // duplicate message id is in process
  passing(10163, ''), // expected last sequence per subject temporarily unavailable
  passing(10167, ''), // too many requests
  // A fault within JetStream; the text says which.
  passing(10012, ''), // consumer create
  passing(10014, ''), // consumer not found
  passing(10049, ''), // stream create
  passing(10051, ''), // stream general
  passing(10096, ''), // stream not valid
  // No server has answered.
  passing('503', SILENT), // no responders
  passing('TIMEOUT', SILENT),
  passing('408', SILENT),
  passing('CONNECTION_CLOSED', ''),
  passing('CONNECTION_DRAINING', ''),
  passing('DISCONNECT', ''),

  settings(10010, REPLICAS, 'the NATS servers are no cluster, and keep one copy: set 1, or make them a cluster'),
  settings(10074, REPLICAS, 'the NATS servers are no cluster, and keep one copy: set 1, or make them a cluster'),
  settings(10120, REPLICAS, 'the account of our user has no room for that number of copies: give it a limit for it'),
  settings(10027, URL, 'the account of our user may have no more streams, and three are needed: raise its limit'),
  settings(10036, URL, 'the NATS servers cannot do this in a cluster: are they 2.9 or later?'),
  settings(10039, URL, 'the account of our user has no JetStream: switch it on for the account, or use another user'),
  settings(10052, URL, 'the NATS servers do not take such a bucket: are they 2.9 or later?'),
  settings(10076, URL, 'JetStream is off at the NATS servers: switch it on'),
  settings(10113, URL, 'the account of our user wants a size for each stream, and a bucket has none: lift that rule'),
  settings('PERMISSIONS_VIOLATION', URL, 'our user may not do this: docs/tls.md, "NATS", says what it needs'),
  settings(10058, INSTALLATION, 'another stream has the name: remove it, or give the installation another name'),
  settings(10065, INSTALLATION, 'another stream has the subjects: remove it, or give the installation another name'),
  settings(10109, INSTALLATION, 'the bucket is sealed: remove it, or give the installation another name'),

  plain(10071, 'conflict'), // wrong last sequence: N
  plain(10164, 'conflict'), // wrong last sequence (2.11 and later, in a cluster)
  plain(10054, 'invalid'), // message size exceeds maximum allowed
  plain('MAX_PAYLOAD_EXCEEDED', 'invalid'),
  plain(10059, 'no-stream'), // stream not found
  plain(10037, 'no-message'), // no message found
];

const BY_CODE = new Map(JETSTREAM_ERRORS.map((row) => [row.code, row]));

/** What an error of the library, from a call of JetStream, means. */
export function jetStreamError(error: unknown): JetStreamError {
  // An error of JetStream has a number of its own; the library's code is then only that of HTTP.
  const code = error instanceof NatsError ? (error.api_error?.err_code ?? error.code) : '';
  return BY_CODE.get(code) ?? passing(code, '');
}

function passing(code: number | string, advice: string): JetStreamError {
  return { code, meaning: 'passing', advice, setting: '' };
}

function settings(code: number | string, setting: string, advice: string): JetStreamError {
  return { code, meaning: 'settings', advice, setting };
}

function plain(code: number | string, meaning: JetStreamMeaning): JetStreamError {
  return { code, meaning, advice: '', setting: '' };
}
