import { addressPrincipal } from '../shares/address-principal.ts';
import { USER_HEADER } from './gate.ts';
import { type CallOfSomebody, callerOf } from './passed-on-caller.ts';

/** Whose share a call takes: the user's, by token or certificate; who is not known by a name, the address's. */
export function apiPrincipal(call: CallOfSomebody): string {
  const [user] = call.metadata.get(USER_HEADER);
  if (typeof user === 'string' && user !== '') return `user:${user}`;
  return addressPrincipal(callerOf(call).address);
}
