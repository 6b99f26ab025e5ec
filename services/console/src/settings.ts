import type { HostPort } from '@spanmesh/runtime/address';
import { setting } from '@spanmesh/runtime/settings/setting';
import { listenAddress, optional, text } from '@spanmesh/runtime/settings/setting-types';

/** Default address of the console. */
export const DEFAULT_CONSOLE_LISTEN = '127.0.0.1:7980';

/** The settings of the console, in each process that serves it. */
export const consoleSettings = {
  consoleListen: setting<HostPort | null>({
    env: 'SPANMESH_CONSOLE_LISTEN',
    flag: '--console-listen',
    default: DEFAULT_CONSOLE_LISTEN,
    describe:
      'Where the console, a web page, listens: host:port; empty: nowhere. TLS as the API has it; without it loopback only.',
    parse: optional(listenAddress()),
  }),
  consoleHosts: setting({
    env: 'SPANMESH_CONSOLE_HOSTS',
    flag: '--console-hosts',
    default: '',
    describe:
      "Host names, separated by commas, that browsers may reach the console under besides addresses, localhost and its certificate's names.",
    parse: text({ max: 2000 }),
  }),
} as const;

export interface ConsoleOptions {
  readonly consoleListen: HostPort | null;
  readonly consoleHosts: string;
}
