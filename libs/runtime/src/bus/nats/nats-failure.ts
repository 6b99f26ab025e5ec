/** The library's codes for a refused login. */
const REFUSED = new Set([
  'AUTHORIZATION_VIOLATION',
  'AUTHENTICATION_EXPIRED',
  'PERMISSIONS_VIOLATION',
  // A file of credentials does not hold credentials.
  'BAD_CREDS',
  'BAD_AUTHENTICATION',
]);

/** Node's errors when the server ends TLS because our certificate is missing or not accepted. */
const NOT_WANTED = /ALERT_(\w*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/;
/** Node's errors for a server's certificate that is not accepted, however often it is tried. */
const NOT_TRUSTED =
  /CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|HOSTNAME_MISMATCH|ALTNAME_INVALID|unable to verify|self.signed certificate/i;
/** What an operator can do, by the library's text. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    NOT_WANTED,
    'the server wants a certificate that it knows: SPANMESH_NATS_TLS_CERT and _KEY must be one that its CA has signed',
  ],
  [
    NOT_TRUSTED,
    'SPANMESH_NATS_TLS_CA must be the CA that has signed the certificate of the servers, which must name their host',
  ],
  [
    /^(AUTH|BAD_|PERMISSIONS)|Authorization/i,
    'look at SPANMESH_NATS_USER and _PASSWORD or _PASSWORD_FILE, _TOKEN, _NKEY_FILE, _CREDS_FILE or _TLS_CERT',
  ],
  [/CONNECTION_REFUSED|ECONNREFUSED/, 'nobody listens there: is the server up, and SPANMESH_NATS_URL right?'],
  [/NOT_NATS/, 'something else listens there: look at SPANMESH_NATS_URL'],
  [/ENOTFOUND|EAI_AGAIN/, 'there is no such host: look at SPANMESH_NATS_URL'],
  [
    /TIMEOUT|DISCONNECT|ECONNRESET|CONNECTION_CLOSED|socket hang up/i,
    'no NATS server, or one that asks for TLS (tls://) or for a certificate that it knows (SPANMESH_NATS_TLS_CERT and _KEY)',
  ],
];

/** How an attempt to connect has failed. */
export interface NatsFailure {
  readonly why: string;
  /** What to do about it; empty: unknown. */
  readonly advice: string;
  /** Whether it will not change by itself: the server refuses our login, or we refuse its certificate. */
  readonly refused: boolean;
}

/** What the error of a failed attempt to connect means. */
export function failureOf(error: Error & { code?: string }): NatsFailure {
  const why = reason(error);
  const advice = ADVICE.find(([said]) => said.test(why))?.[1] ?? '';
  const refused = REFUSED.has(error.code ?? '') || NOT_WANTED.test(why) || NOT_TRUSTED.test(why);
  return { why, advice, refused };
}

/** The text of a library's error, safe to show. */
export function reason({ code, message }: Error & { code?: string }): string {
  const said = message.trim();
  return code !== undefined && !said.includes(code) ? `${code}: ${said}` : said;
}
