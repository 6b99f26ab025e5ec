import { formatHostPort, type HostPort } from '../address.ts';
import { SettingError } from '../settings/setting.ts';

/** What an operator can do, by the system's error code. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken: stop what listens there, or choose another',
  EACCES: 'this user may not: choose a port from 1024 on, or grant the right',
  EADDRNOTAVAIL: 'this host does not have the address',
  ENOTFOUND: 'the host name is not known',
};

/** The error for an address on which we cannot listen: one line with the setting, the system's code and what to do. */
export function listenError(setting: string, address: HostPort, cause: Error): SettingError {
  // gRPC has the code only in the text.
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  const known = Object.keys(ADVICE).find((name) => code === name || cause.message.includes(name));
  const why = known === undefined ? code || cause.message : `${known}, ${ADVICE[known]}`;
  return new SettingError(setting, `cannot listen on ${formatHostPort(address)}: ${why}`, { cause });
}
