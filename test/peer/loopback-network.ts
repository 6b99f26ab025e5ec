import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { pid } from 'node:process';

/**
 * The state of all connections between two hosts.
 * * open: bytes pass.
 * * cut: connections are reset, new ones too.
 * * silent: connections stay and are accepted, but nothing passes in either direction, not even their end. What was
 *   sent arrives once the network is healed.
 */
export type Way = 'open' | 'cut' | 'silent';

/** The name of every host that has none, such as the peers of a test. */
export const OUTSIDE = 'outside';

const FROM_ADDRESS = new URL('from-address.js', import.meta.url).href;
/** The address on which the processes really listen. */
const REAL = '127.0.0.1';

/** A connection through the network: `near` was accepted here, `far` leads on to its destination. */
interface Passage {
  readonly from: string;
  readonly to: string;
  readonly near: Socket;
  /** null: the connection came while it could not be passed on (silent). */
  far: Socket | null;
  readonly open: () => void;
}

/**
 * A network between processes of one host, which can be cut. Each process has a loopback address of its own, from which
 * it connects to others, and under which others reach the ports that it really has on 127.0.0.1. Every connection is
 * passed on by this object.
 */
export class LoopbackNetwork {
  readonly #names = new Map<string, string>();
  readonly #ways = new Map<string, Way>();
  readonly #servers: Server[] = [];
  readonly #passages = new Set<Passage>();

  /** The address of a host, as seen by the others. */
  address(name: string): string {
    for (const [address, known] of this.#names) if (known === name) return address;
    // In 127.100.0.0/10, apart from the addresses that tests use for peers; different for each test process.
    const address = `127.${100 + (pid % 100)}.${Math.floor(pid / 100) % 250}.${this.#names.size + 1}`;
    this.#names.set(address, name);
    return address;
  }

  /** Environment with which a service's process must be started in order to be this host. */
  env(name: string): Record<string, string> {
    return { NODE_OPTIONS: `--import=${FROM_ADDRESS}`, TEST_FROM_ADDRESS: this.address(name) };
  }

  /** Makes these ports of the host reachable for the others. */
  async serve(name: string, ports: readonly number[]): Promise<void> {
    const address = this.address(name);
    for (const port of ports) {
      const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (socket) => {
        this.#accept(socket, name, port);
      });
      server.listen(port, address);
      await once(server, 'listening');
      this.#servers.push(server);
    }
  }

  /** Changes the state between two hosts from now on, in both directions. `b` null: between `a` and all others. */
  set(a: string, b: string | null, way: Way): void {
    for (const other of b === null ? [...this.#names.values(), OUTSIDE] : [b]) {
      if (other !== a) this.#ways.set(pairOf(a, other), way);
    }
    this.#apply();
  }

  /** Opens the way between all hosts. */
  heal(): void {
    this.#ways.clear();
    this.#apply();
  }

  /** Number of connections that came while their way was silent, and wait for it to be healed. */
  get held(): number {
    return [...this.#passages].filter(({ far }) => far === null).length;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const { near, far } of this.#passages) {
      near.destroy();
      far?.destroy();
    }
    this.#passages.clear();
  }

  #way(from: string, to: string): Way {
    return this.#ways.get(pairOf(from, to)) ?? 'open';
  }

  #accept(near: Socket, to: string, port: number): void {
    const localAddress = near.remoteAddress;
    const passage: Passage = {
      from: this.#names.get(localAddress ?? '') ?? OUTSIDE,
      to,
      near,
      far: null,
      open: () => {
        const far = connect({ host: REAL, port, localAddress, allowHalfOpen: true, noDelay: true });
        passage.far = far;
        this.#carry(passage, near, far);
        this.#carry(passage, far, near);
      },
    };
    this.#passages.add(passage);
    near.on('error', () => {});
    this.#move(passage);
  }

  #apply(): void {
    for (const passage of [...this.#passages]) this.#move(passage);
  }

  /** Makes a connection follow the present state between its hosts. */
  #move(passage: Passage): void {
    const { near, far } = passage;
    const way = this.#way(passage.from, passage.to);
    if (way === 'cut') {
      this.#passages.delete(passage);
      near.resetAndDestroy();
      far?.resetAndDestroy();
    } else if (way === 'silent') {
      near.pause();
      far?.pause();
    } else if (far === null) {
      if (near.destroyed) this.#passages.delete(passage);
      else passage.open();
    } else if (near.destroyed || far.destroyed) {
      this.#end(passage);
    } else {
      near.resume();
      far.resume();
    }
  }

  #carry(passage: Passage, source: Socket, sink: Socket): void {
    const isSilent = () => this.#way(passage.from, passage.to) === 'silent';
    source.on('data', (chunk) => {
      if (!sink.write(chunk)) source.pause();
    });
    sink.on('drain', () => {
      if (!isSilent()) source.resume();
    });
    source.on('end', () => sink.end());
    source.on('error', () => {});
    // On a silent way the other side must not notice even the end.
    source.on('close', () => {
      if (!isSilent()) this.#end(passage);
    });
    source.resume();
  }

  /** One side is closed: closes the other, too, once it has received what was sent. */
  #end(passage: Passage): void {
    this.#passages.delete(passage);
    for (const [one, other] of [
      [passage.near, passage.far],
      [passage.far, passage.near],
    ] as const) {
      if (one === null || other === null || !one.destroyed || other.destroyed) continue;
      if (one.errored || !one.readableEnded) other.resetAndDestroy();
      else other.destroySoon();
    }
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
