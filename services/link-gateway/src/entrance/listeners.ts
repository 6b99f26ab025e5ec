import type { Dialect } from '@spanmesh/dmsg/dialect';
import type { Logger } from '@spanmesh/runtime/log/logger';
import type { GatewayOptions } from '../settings.ts';
import { accept } from './accept.ts';
import { AcceptFilter } from './accept-filter.ts';
import { Listener } from './listener.ts';
import type { EntryDependencies } from './upgrade.ts';

/** A port that peers connect to. */
export interface ListenPort {
  readonly address: string;
  readonly port: number;
  readonly dialect: Dialect | null;
}

export interface ListenersDependencies {
  readonly entry: EntryDependencies;
  readonly logger: Logger;
}

/** All addresses that peers connect to. */
export class Listeners {
  /** Filled by `start`, in the order of the setting. */
  readonly ports: ListenPort[] = [];
  readonly #options: Pick<GatewayOptions, 'dmsgListen' | 'reusePort'>;
  readonly #deps: ListenersDependencies;
  readonly #listeners: Listener[] = [];

  constructor(options: Pick<GatewayOptions, 'dmsgListen' | 'reusePort'>, deps: ListenersDependencies) {
    this.#options = options;
    this.#deps = deps;
  }

  /** @throws SettingError: an address cannot be listened on; `stop` then closes the others. */
  async start(): Promise<void> {
    const { entry, logger } = this.#deps;
    const filter = new AcceptFilter(entry);
    const { dmsgListen, reusePort } = this.#options;
    for (const { host, port, dialect } of dmsgListen) {
      const listener = new Listener(
        { host, port, dialect, reusePort },
        { logger, filter, accept: (socket) => accept(entry, socket, dialect) },
      );
      this.ports.push({ address: host, port: await listener.start(), dialect });
      this.#listeners.push(listener);
    }
  }

  /** Takes no more connections; open ones stay. */
  stop(): void {
    for (const listener of this.#listeners) listener.stop();
  }
}
