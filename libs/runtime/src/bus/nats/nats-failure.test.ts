import { expect, it } from 'vitest';
import { failureOf, reason } from './nats-failure.ts';

/** An error as Node and the library make them. */
const failing = (code: string, message: string) => Object.assign(new Error(message), { code });

it.each([
  [failing('AUTHORIZATION_VIOLATION', "'Authorization Violation'"), true, /_PASSWORD or _PASSWORD_FILE/],
  [failing('BAD_CREDS', 'unable to parse credentials'), true, /_CREDS_FILE/],
  [failing('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'), true, /SPANMESH_NATS_TLS_CA/],
  [failing('ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'SSL alert number 42\n'), true, /_TLS_CERT and _KEY must/],
  [failing('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'SSL alert number 116\n'), true, /_TLS_CERT and _KEY must/],
  [failing('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'SSL alert number 48\n'), true, /_TLS_CERT and _KEY must/],
  [failing('ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'SSL alert number 80\n'), false, /^$/],
  [failing('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:4222'), false, /nobody listens there/],
  [failing('ENOTFOUND', 'getaddrinfo ENOTFOUND nats'), false, /no such host/],
  [failing('NOT_NATS', 'what answers is no NATS server'), false, /something else listens/],
  [failing('TIMEOUT', 'TIMEOUT'), false, /tls:\/\//],
  [failing('CONNECTION_CLOSED', 'closed by the server'), false, /_TLS_CERT and _KEY/],
  [failing('NATS_PROTOCOL_ERR', "'maximum connections exceeded'"), false, /^$/],
])('%s', (error, refused, advice) => {
  const failure = failureOf(error);
  expect(failure.refused).toBe(refused);
  expect(failure.advice).toMatch(advice);
  expect(failure.why).toContain(error.code);
  expect(failure.why).not.toMatch(/\s$/);
});

it('an error is told with its code, unless its words say that already', () => {
  expect(reason(new Error(' it is away\n'))).toBe('it is away');
  expect(reason(failing('ECONNREFUSED', 'connect ECONNREFUSED'))).toBe('connect ECONNREFUSED');
  expect(reason(failing('TIMEOUT', 'too late'))).toBe('TIMEOUT: too late');
  expect(failureOf(new Error('it is away'))).toEqual({ why: 'it is away', advice: '', refused: false });
});
