import { type BlockList, createServer, type Server, type Socket } from 'node:net';
import { listenError } from '@spanmesh/runtime/grpc/listen-error';
import type { Logger } from '@spanmesh/runtime/log/logger';
import { type DmsgListen, gatewaySettings } from '../settings.ts';

/**
 * Connections that the kernel may hold until they are accepted: one is accepted in each turn of the event loop, so that
 * a flood leaves time for other work. When it is full, new peers try again after a second or more. It has room for all
 * peers that come back at once after a restart; the kernel may allow less (net.core.somaxconn).
 */
const BACKLOG = 4096;

/**
 * Where to listen, and whether other processes on this host may do so as well: the kernel spreads connections over
 * them.
 */
export type ListenerOptions = DmsgListen & { readonly reusePort: boolean };

/** One address that peers connect to. */
export class Listener {
  readonly #listen: ListenerOptions;
  readonly #server: Server;
  readonly #logger: Logger;

  constructor(listen: ListenerOptions, deps: { logger: Logger; filter: BlockList; accept: (socket: Socket) => void }) {
    this.#listen = listen;
    this.#logger = deps.logger;
    // Half-open: a peer's FIN must not end our side before what is queued is sent.
    this.#server = createServer({ allowHalfOpen: true, blockList: deps.filter }, deps.accept);
  }

  /**
   * Resolves with the port.
   * @throws SettingError: the address cannot be used.
   */
  start(): Promise<number> {
    const { host, port, reusePort } = this.#listen;
    return new Promise((resolve, reject) => {
      const refuse = (error: Error) => reject(listenError(gatewaySettings.dmsgListen.env, { host, port }, error));
      this.#server.once('error', refuse);
      this.#server.listen({ host, port, reusePort, backlog: BACKLOG }, () => {
        this.#server.off('error', refuse);
        // The listener goes on. (A lack of file descriptors is no such error: Node closes the connection. See
        // file-descriptors.ts.)
        this.#server.on('error', (err) => this.#logger.error({ err }, 'listener'));
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  /** Takes no more connections; open ones stay. */
  stop(): void {
    this.#server.close();
  }
}
