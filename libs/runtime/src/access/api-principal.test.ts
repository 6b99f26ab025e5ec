import { Metadata } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { apiPrincipal } from './api-principal.ts';
import { USER_HEADER } from './gate.ts';

function call(peer: string, user?: string) {
  const metadata = new Metadata();
  if (user !== undefined) metadata.set(USER_HEADER, user);
  return { metadata, getPeer: () => peer };
}

it.each([
  [call('192.0.2.1:4711', 'alice'), 'user:alice'],
  [call('192.0.2.1:4711'), '192.0.2.1'],
  [call('[2001:db8:1:2::3]:4711'), '2001:db8:1:2::'],
])('is the user, or the address of a caller without a name', (made, principal) => {
  expect(apiPrincipal(made)).toBe(principal);
});
