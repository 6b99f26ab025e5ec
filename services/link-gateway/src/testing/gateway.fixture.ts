import type { Dialect } from '@spanmesh/dmsg/dialect';
import { encodeLnkConn, lnkConnBytes } from '@spanmesh/dmsg/payload/lnk-conn';
import { encodeLnkSpan, LNK_SPAN_BYTES } from '@spanmesh/dmsg/payload/lnk-span';
import { InProcessBus } from '@spanmesh/runtime/bus/in-process/in-process-bus';
import type { Happened } from '@spanmesh/runtime/events/event-teller';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { Metrics } from '@spanmesh/runtime/metrics';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { leftIn } from '@spanmesh/runtime/table-sizes';
import { LinkGatewayError } from '../gateway-error.ts';
import { Gateway, KEPT } from '../gateway-service.ts';
import { gatewaySettings } from '../settings.ts';
import type { EndingsOptions } from '../shares/endings.ts';
import type { TreeSource } from '../shell/shell.ts';
import { GatewayTrunks, type TrunkHost } from '../trunk/gateway-trunks.ts';
import { FakeAttach } from './fake-attach.fixture.ts';
import { RawPeer } from './raw-peer.fixture.ts';

const CLUSTER = '0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6';
const NIL = '00000000-0000-0000-0000-000000000000';

/** A gateway with a listener of each dialect and one without a dialect, a fake clock and a fake topology. */
export class TestGateway {
  readonly clock: FakeClock;
  readonly metrics = new Metrics();
  readonly bus = new InProcessBus({
    onError: (error) => {
      throw error;
    },
  });
  readonly gateway: Gateway;
  readonly log: Record<string, unknown>[] = [];
  /** Events that the gateway has told. */
  readonly told: Happened[] = [];
  readonly attach: FakeAttach;
  readonly #peers: RawPeer[] = [];

  /** The next number that the gateway's random source returns. */
  random = 0.5;
  /** The gateway that its OpenTrunk calls go to; null: they fail. */
  other: TestGateway | null = null;
  /** What its trunks got from the gateway. */
  trunkHost: TrunkHost | null = null;

  private constructor(env: Record<string, string>, treeSource: TreeSource, clock: FakeClock, endings: EndingsOptions) {
    this.clock = clock;
    let attach: FakeAttach | undefined;
    this.gateway = new Gateway(
      readSettings(gatewaySettings, {
        env: {
          SPANMESH_GATEWAY_NAME: 'gw',
          SPANMESH_DMSG_LISTEN: 'linkid://127.0.0.1:0, circuit://127.0.0.1:0, 127.0.0.1:0',
          // All peers and targets of the tests are on this host.
          SPANMESH_DIAL_ALLOW: '127.0.0.0/8:*',
          ...env,
        },
        flags: {},
      }),
      {
        bus: this.bus,
        events: { tell: (happened) => void this.told.push(happened) },
        clock: this.clock,
        logger: createLogger({
          level: 'trace',
          service: 'test',
          destination: { write: (line: string) => void this.log.push(JSON.parse(line)) },
        }),
        metrics: this.metrics,
        random: () => this.random,
        treeSource,
        serviceAddress: () => '',
        endings,
        makeTrunks: (self, host) => this.#makeTrunks(self, host),
        makeAttach: (host, reports) => {
          attach = new FakeAttach(host, reports);
          return attach;
        },
      },
    );
    this.attach = attach!;
  }

  static async start({
    env = {},
    // biome-ignore lint/correctness/useYield: a topology that is away.
    treeSource = async function* () {
      throw new Error('away');
    },
    clock = new FakeClock(),
    endings = {},
  }: {
    env?: Record<string, string>;
    treeSource?: TreeSource;
    clock?: FakeClock;
    endings?: EndingsOptions;
  } = {}): Promise<TestGateway> {
    const made = new TestGateway(env, treeSource, clock, endings);
    await made.gateway.start();
    return made;
  }

  port(kind: Dialect | 'auto'): number {
    return this.gateway.ports.find(({ dialect }) => (dialect ?? 'auto') === kind)!.port;
  }

  /** Connects a peer that the test drives. */
  async peer(dialect: Dialect, listener: Dialect | 'auto' = dialect, address?: string): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.port(listener), dialect, address);
    this.#peers.push(peer);
    return peer;
  }

  /**
   * Connects a peer and opens its LNK_CONN. Returns both. `address`: where the peer connects from; default 127.0.0.1.
   */
  async established(dialect: Dialect, address?: string): Promise<{ peer: RawPeer; lnkConn: number }> {
    const peer = await this.peer(dialect, dialect, address);
    await peer.next();
    const known = this.attach.delta.lnkConnsOpened.length;
    peer.say({ cmd: openConn(dialect), msgid: CONN, payload: lnkConnPayload(dialect) });
    await peer.next();
    const { lnkConnsOpened } = await this.attach.until((delta) => delta.lnkConnsOpened.length > known);
    return { peer, lnkConn: lnkConnsOpened[known]!.id };
  }

  /** Opens a span. Returns the number of its link. */
  async span(peer: RawPeer, dialect: Dialect, msgid = SPAN, peerType = 3): Promise<number> {
    const known = this.attach.delta.linksOpened.length;
    peer.say({ cmd: 0x80001207, msgid, payload: spanPayload(dialect, peerType) });
    if (dialect === 'circuit') await peer.next();
    const { linksOpened } = await this.attach.until((delta) => delta.linksOpened.length > known);
    return linksOpened[known]!.id;
  }

  #makeTrunks(self: () => string, host: TrunkHost): GatewayTrunks {
    this.trunkHost = host;
    return new GatewayTrunks(
      { self, listen: { host: '127.0.0.1', port: 0 }, setting: 'SPANMESH_TRUNK_LISTEN' },
      {
        ...host,
        clock: this.clock,
        logger: createLogger({ level: 'silent', service: 'test' }),
        random: () => 0.5,
        ask: async (_address, request) => {
          const trunks = this.other?.gateway.trunks ?? null;
          if (trunks === null) throw new LinkGatewayError('trunk', { why: 'unreachable' });
          return trunks.openTrunk(request);
        },
      },
    );
  }

  async stop(): Promise<void> {
    for (const peer of this.#peers) peer.destroy();
    const stopped = this.gateway.stop();
    this.clock.advance(60_000);
    await stopped;
    const left = leftIn(this.gateway.tables(), KEPT);
    if (left.length > 0) throw new Error(`left in tables of a gateway that has stopped: ${left.join(', ')}`);
  }
}

/** msgids with both 32-bit halves in use, as kernel pointers have. */
export const CONN = { lo: 0x12345640, hi: 0xfffff800 };
export const SPAN = { lo: 0x12345680, hi: 0xfffff800 };

/** The command word that opens a LNK_CONN in this dialect. */
export function openConn(dialect: Dialect): number {
  return dialect === 'linkid' ? 0x80001108 : 0x80001106;
}

/** The payload of a peer's LNK_CONN that asks for all spans, with the label `probe`. */
export function lnkConnPayload(dialect: Dialect, peerType = 1): Uint8Array {
  const payload = new Uint8Array(lnkConnBytes(dialect));
  encodeLnkConn(
    {
      dialect,
      mediaId: NIL,
      clusterId: NIL,
      peerMaskLo: 0xffffffff,
      peerMaskHi: 0xffffffff,
      peerType,
      pfsType: 0,
      protoVersion: 1,
      status: 0,
      label: 'probe',
    },
    payload,
    0,
  );
  return payload;
}

/** The payload of a peer's LNK_SPAN, with the label `vol0`. */
export function spanPayload(dialect: Dialect, peerType = 3, dist = 1): Uint8Array {
  const payload = new Uint8Array(LNK_SPAN_BYTES);
  encodeLnkSpan(
    {
      dialect,
      clusterId: CLUSTER,
      nodeId: '1c9e2b63-7d4e-11e4-8a21-01a2b3c4d5e7',
      pfsType: 8,
      peerType,
      protoVersion: 1,
      status: 0,
      dist,
      rnss: dialect === 'circuit' ? 100 : 0,
      mediaBlksize: 0,
      peerLabel: dialect === 'circuit' ? 'host/dev0' : '',
      label: 'vol0',
    },
    payload,
    0,
  );
  return payload;
}
