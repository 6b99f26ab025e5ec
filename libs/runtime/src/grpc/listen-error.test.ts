import { expect, it } from 'vitest';
import { listenError } from './listen-error.ts';

it.each([
  [{ code: 'EADDRINUSE', message: 'x' }, 'EADDRINUSE, the port is taken: stop what listens there, or choose another'],
  [
    { message: 'No address added: EACCES' },
    'EACCES, this user may not: choose a port from 1024 on, or grant the right',
  ],
  [{ code: 'EADDRNOTAVAIL', message: '' }, 'EADDRNOTAVAIL, this host does not have the address'],
  [{ code: 'ENOTFOUND', message: '' }, 'ENOTFOUND, the host name is not known'],
  [{ code: 'EMFILE', message: 'too many files' }, 'EMFILE'],
  [{ message: 'it does not work' }, 'it does not work'],
])('%j: %s', (parts, words) => {
  const cause = Object.assign(new Error(parts.message), parts);
  const error = listenError('SPANMESH_X', { host: '::1', port: 7 }, cause);
  expect(error).toMatchObject({
    setting: 'SPANMESH_X',
    message: `SPANMESH_X: cannot listen on [::1]:7: ${words}`,
    cause,
  });
});
