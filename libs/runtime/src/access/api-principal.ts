import type { Metadata } from '@grpc/grpc-js';
import { addressPrincipal } from '../shares/address-principal.ts';
import { USER_HEADER } from './gate.ts';

/** Whose share a call takes: the user's, by token or certificate; who is not known by a name, the address's. */
export function apiPrincipal(call: { readonly metadata: Metadata; getPeer(): string }): string {
  const [user] = call.metadata.get(USER_HEADER);
  if (typeof user === 'string' && user !== '') return `user:${user}`;
  const host = call.getPeer().replace(/:\d+$/, '');
  return addressPrincipal(host.replace(/^\[(.*)\]$/, '$1'));
}
