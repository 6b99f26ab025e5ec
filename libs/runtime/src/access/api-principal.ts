import { addressPrincipal } from '../shares/address-principal.ts';
import { USER_HEADER } from './gate.ts';
import { type CallOfSomebody, callerOf } from './passed-on-caller.ts';

/**
 * The principal whose share a call uses: the user, if a token or certificate named one, otherwise the caller's address.
 */
export function apiPrincipal(call: CallOfSomebody): string {
  const [user] = call.metadata.get(USER_HEADER);
  if (typeof user === 'string' && user !== '') return `user:${user}`;
  return addressPrincipal(callerOf(call).address);
}
