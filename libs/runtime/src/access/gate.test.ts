import { Metadata, type ServerInterceptingCall, status } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { type GateCaller, type GateDependencies, gateInterceptor, USER_HEADER } from './gate.ts';
import { callerOf, passingOn } from './passed-on-caller.ts';

type Listener = Parameters<ServerInterceptingCall['start']>[0];

/** A port with a gate: calls it with headers; what the handler and the caller see. */
function gated(more: Partial<GateDependencies> = {}) {
  const { lines, logger } = recordingLogger();
  const clock = new FakeClock();
  const asked: [string, GateCaller][] = [];
  let refused = 0;
  const interceptor = gateInterceptor({
    gate: (path, caller) => {
      asked.push([path, caller]);
      return path === '/a/Refused' ? { code: status.PERMISSION_DENIED, details: 'No.' } : null;
    },
    clock,
    logger,
    refused: () => refused++,
    ...more,
  });
  const call = (path: string, headers: Metadata | Record<string, string> = {}, peer = '192.0.2.1:7') => {
    let under: Listener | null = null;
    const sent: object[] = [];
    const fake = {
      start: (listener: Listener) => {
        under = listener;
      },
      getPeer: () => peer,
      getAuthContext: () => ({}),
      sendStatus: (one: object) => sent.push(one),
      startRead: () => {},
    };
    const seen: Metadata[] = [];
    interceptor({ path } as never, fake as never).start({
      onReceiveMetadata: (metadata) => seen.push(metadata),
      onReceiveMessage: () => {},
      onReceiveHalfClose: () => {},
      onCancel: () => {},
    });
    const metadata = headers instanceof Metadata ? headers : Metadata.fromHttp2Headers(headers);
    (under as Listener | null)?.onReceiveMetadata(metadata);
    return { sent, seen };
  };
  return { call, lines, clock, asked, refusals: () => refused };
}

it('a call that is let in goes on without its token and without a name that the caller has made up', () => {
  const { call, asked, refusals } = gated();
  const { sent, seen } = call('/a/B', { authorization: 'Bearer spm_x', [USER_HEADER]: 'root', other: '1' });
  expect(asked).toEqual([['/a/B', { certificate: null, token: 'spm_x', onBehalf: null }]]);
  expect(seen.map((metadata) => metadata.getMap())).toEqual([{ other: '1' }]);
  expect([sent, refusals()]).toEqual([[], 0]);
});

it('a call that is let in has the name of its user, in characters that a header may have', () => {
  const { call } = gated({ userOf: ({ token }) => (token === null ? null : 'Zoë\n') });
  const names = (headers: Record<string, string>) => call('/a/B', headers).seen.map((one) => one.get(USER_HEADER));
  expect([names({ authorization: 'Bearer spm_x' }), names({})]).toEqual([[['Zo??']], [[]]]);
});

it('a call that is refused does not reach its handler, and is logged once in ten seconds for a host or a user', () => {
  const { call, lines, clock, refusals } = gated({ userOf: ({ token }) => token });
  expect(call('/a/Refused')).toEqual({ sent: [{ code: status.PERMISSION_DENIED, details: 'No.' }], seen: [] });
  const logged = () => lines.splice(0).map((line) => JSON.parse(line));
  expect(logged()).toMatchObject([
    {
      level: 'warn',
      msg: 'call refused',
      peer: '192.0.2.1',
      method: '/a/Refused',
      code: 'PERMISSION_DENIED',
      why: 'No.',
      suppressed: 0,
    },
  ]);
  // Of the same host, from another port.
  call('/a/Refused', {}, '192.0.2.1:8');
  expect(logged()).toEqual([]);
  call('/a/Refused', { authorization: 'Bearer ann' });
  call('/a/Refused', { authorization: 'Bearer bob' });
  call('/a/Refused', { authorization: 'Bearer bob' }, '192.0.2.9:1');
  expect(logged().map(({ user }) => user)).toEqual(['ann', 'bob']);
  clock.advance(9999);
  call('/a/Refused');
  expect(logged()).toEqual([]);
  clock.advance(1);
  call('/a/Refused');
  expect(logged()).toMatchObject([{ peer: '192.0.2.1', suppressed: 2 }]);
  expect(refusals()).toBe(7);
});

it('a call is passed on for somebody only where other services may say so', () => {
  const user = { certificate: null, token: 'spm_ann', address: '198.51.100.1' };
  const [believes, ignores] = [gated({ takesPassedOn: true }), gated()];
  const callers = [believes, ignores].map(({ call }) =>
    call('/a/B', passingOn(user)).seen.map((one) => callerOf({ metadata: one } as never)),
  );
  expect(believes.asked[0]?.[1].onBehalf).toMatchObject(user);
  expect(ignores.asked[0]?.[1].onBehalf).toBeNull();
  expect(callers).toMatchObject([
    [{ token: 'spm_ann', address: '198.51.100.1' }],
    [{ token: null, address: '192.0.2.1' }],
  ]);
});
