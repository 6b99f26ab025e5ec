import { LivePeer } from '../peer/live-peer.ts';
import { testUuid } from '../peer/payloads.ts';
import { RawPeer } from '../peer/raw-peer.ts';
import type { Dialect } from '../peer/wire.ts';
import type { Kernel, SimProcess } from './kernel.ts';
import { SimServer } from './socket.ts';

export const TARGET_PORT = 9900;
const TARGET_NODE = 0x2000;
/** How often the target checks that the router still answers, ms. */
const PROBE_MS = 5000;

/** A connection that has ended: the gateway that had dialled it, and when it was established. */
export interface Lost {
  readonly gateway: string;
  readonly since: number;
}

/** A peer that accepts connections: a target that volconf is asked to keep connected. */
export class SimTarget {
  readonly name: string;
  readonly dialect: Dialect;
  readonly process: SimProcess;
  readonly faults: string[] = [];
  readonly #kernel: Kernel;
  readonly #lost: (target: SimTarget, connection: Lost) => void;
  readonly #live = new Set<LivePeer>();

  /** `lost`: called for each connection that has ended. */
  constructor(
    kernel: Kernel,
    { n, host, dialect }: { n: number; host: string; dialect: Dialect },
    lost: (target: SimTarget, connection: Lost) => void,
  ) {
    this.#kernel = kernel;
    this.#lost = lost;
    this.name = `target-${n}`;
    this.dialect = dialect;
    this.process = kernel.process(this.name, host);
    kernel.next(this.process, () => {
      const server = new SimServer(kernel.network, { allowHalfOpen: true }, (socket) => {
        void this.#accept(new RawPeer(socket as never, dialect, this.name), n);
      });
      server.listen({ host, port: TARGET_PORT }, () => {});
    });
  }

  get path(): string {
    return `span:${this.process.host}:${TARGET_PORT}`;
  }

  /** Established connections. */
  get live(): readonly LivePeer[] {
    return [...this.#live];
  }

  async #accept(raw: RawPeer, n: number): Promise<void> {
    const peer = LivePeer.over(raw);
    this.#live.add(peer);
    const since = this.#kernel.now;
    const gateway = raw.socket.remoteAddress ?? '';
    void raw.ended.then(() => {
      this.#lost(this, { gateway, since });
      if (raw.fault !== null) this.faults.push(String(raw.fault));
      this.#live.delete(peer);
      raw.destroy();
    });
    this.#probe(peer);
    try {
      await peer.openConn({ label: this.name, cluster: testUuid(TARGET_NODE + n) });
    } catch {
      raw.destroy();
    }
  }

  #probe(peer: LivePeer): void {
    this.process.clock.after(PROBE_MS, () => {
      if (!this.#live.has(peer)) return;
      peer.barrier().catch(() => {});
      this.#probe(peer);
    });
  }
}
