import { proxyHeader } from '@spanmesh/link-gateway/entrance/proxy/proxy.fixture';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CryptSide } from '../peer/crypt.ts';
import { KeysDir } from '../peer/keys-dir.ts';
import { connBody, connFields } from '../peer/payloads.ts';
import type { RawPeer } from '../peer/raw-peer.ts';
import {
  CREATE,
  DBG_SHELL,
  type Dialect,
  ERROR,
  encode,
  isCmd,
  LNK_CONN,
  LNK_ERROR,
  REPLY,
  textAux,
} from '../peer/wire.ts';
import { World } from '../peer/world.ts';

const BALANCER = '127.0.0.2';

describe('connections through a load balancer', () => {
  let keys: KeysDir;
  let world: World;
  beforeAll(async () => {
    keys = new KeysDir();
    keys.write('remote/192.0.2.1.none', '');
    keys.write('remote/2001-db8--_32.pub', keys.peer.pub);
    world = await World.start({
      markers: 'linkid',
      settings: {
        SPANMESH_KEYS_DIR: keys.path,
        SPANMESH_PROXY_PROTOCOL_FROM: `${BALANCER}, 192.0.2.128/25`,
        SPANMESH_HANDSHAKE_TIMEOUT: '3s',
        SPANMESH_MAX_CONNECTIONS_PER_ADDRESS: '3',
      },
    });
  });
  afterEach(() => world.clear());
  afterAll(async () => {
    await world?.stop();
    keys?.remove();
  });

  async function refused(reason: string): Promise<number> {
    return (await world.metrics()).get(`spanmesh_gateway_connections_refused_total{reason="${reason}"}`)!;
  }

  async function through(header: Uint8Array): Promise<RawPeer> {
    const peer = await world.raw('circuit', { localAddress: BALANCER });
    peer.sendBytes(header);
    return peer;
  }

  it('have the address in the header: for keys, for limits and in the tree', async () => {
    const lines = Array.from({ length: 3 }, () => world.live('circuit', { localAddress: BALANCER }));
    const peers = await Promise.all(lines);
    for (const [n, { raw }] of peers.entries()) {
      // In two pieces; the second also contains the first message.
      const header = proxyHeader('192.0.2.1', 4000 + n);
      raw.sendBytes(header.subarray(0, 9));
      await new Promise((resolve) => setImmediate(resolve));
      const conn = { cmd: CREATE | LNK_CONN.circuit, msgid: 1n, body: connBody('circuit', connFields({})) };
      raw.sendBytes(Buffer.concat([header.subarray(9), encode('circuit', conn, raw.nextSalt())]));
      await raw.expectCmd(CREATE | REPLY | 0x08000000 | LNK_ERROR, 1n);
    }
    peers[0]!.openSpan({ nodeLabel: 'behind' });
    await peers[1]!.relay(({ nodeLabel }) => nodeLabel === 'behind');
    const before = await refused('too-many-from-address');
    await (await through(proxyHeader('192.0.2.1', 5000))).untilEnded();
    expect(await refused('too-many-from-address')).toBe(before + 1);
  });

  it('are encrypted as the key of the address in the header says', async () => {
    const side = new CryptSide(keys.crypt);
    const { socket } = await through(proxyHeader('2001:db8::77', 4000));
    socket.removeAllListeners('data');
    let plain = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      plain = Buffer.concat([plain, side.push(chunk)]);
    });
    socket.write(side.handshake);
    await until(
      () => plain.length >= 384,
      () => `${plain.length} bytes of our LNK_CONN`,
    );
    expect(plain.readUInt32LE(32)).toBe((CREATE | LNK_CONN.circuit) >>> 0);
  });

  it.each([
    ['no header', Buffer.alloc(600, 'x')],
    ['half a header', proxyHeader('192.0.2.1', 1).subarray(0, 20)],
    ['nothing', Buffer.alloc(0)],
  ])('are closed with %s', async (_what, bytes) => {
    const before = await refused('proxy-header');
    await (await through(bytes)).untilEnded();
    expect(await refused('proxy-header')).toBe(before + 1);
  });

  it('are closed when the balancer only checks that the port is open', async () => {
    const before = await refused('proxy-header');
    const look = await through(Buffer.alloc(0));
    look.end();
    await look.untilEnded();
    expect(await refused('proxy-header')).toBe(before + 1);
  });

  it('are closed when no key file names the address in the header', async () => {
    const before = await refused('no-key');
    await (await through(proxyHeader('192.0.2.2', 1))).untilEnded();
    // The balancer's own address is not enough either: no key file names it.
    await (await through(proxyHeader('192.0.2.1', 1, { command: 0x20 }))).untilEnded();
    expect(await refused('no-key')).toBe(before + 2);
  });

  it('have a header only from balancers: from other peers it counts as bytes of the protocol', async () => {
    const stranger = await world.raw('circuit', { localAddress: '127.0.0.253' });
    stranger.sendBytes(Buffer.concat([proxyHeader('192.0.2.1', 1), Buffer.alloc(64)]));
    await stranger.untilEnded();
    expect((await world.metrics()).get('spanmesh_gateway_protocol_errors_total{error="SYNC"}')).toBe(1);
  });
});

describe.each(['linkid', 'circuit'] as Dialect[])('limits, %s', (dialect) => {
  let world: World;
  beforeAll(async () => {
    world = await World.start({
      markers: dialect === 'linkid' ? 'circuit' : 'linkid',
      settings: { SPANMESH_MESSAGE_TIMEOUT: '400ms', SPANMESH_MAX_TRANSACTIONS: '4' },
    });
  });
  afterEach(() => world.clear());
  afterAll(() => world?.stop());

  async function closed(reason: string): Promise<number> {
    return (await world.metrics()).get(`spanmesh_gateway_connections_closed_total{reason="${reason}"}`)!;
  }

  it('a message that is begun and not finished ends its connection, and the peer is told', async () => {
    const before = await closed('message-timeout');
    const other = await world.live(dialect);
    await other.openConn({ label: 'other' });
    const peer = await world.live(dialect);
    await peer.openConn({ label: 'peer' });
    const message = encode(dialect, { cmd: DBG_SHELL, aux: textAux('x'.repeat(900)) }, peer.raw.nextSalt());
    // Sending byte by byte does not help.
    let at = 0;
    const drip = setInterval(() => peer.raw.sendBytes(message.subarray(at, ++at)), 5);
    const told = await peer.raw.expect((one) => isCmd(one, LNK_ERROR), 'why');
    expect([told.msgid, told.error]).toEqual([0n, ERROR.PARAM]);
    await peer.raw.untilEnded();
    clearInterval(drip);
    expect(await closed('message-timeout')).toBe(before + 1);
    await other.barrier();
  });

  it('a peer that opens too many transactions is told, and closed', async () => {
    const before = await closed('transaction-limit');
    const peer = await world.live(dialect);
    await peer.openConn({ label: 'peer' });
    for (let n = 0; n < 4; n++) peer.openSpan({ node: `0000000${n}-0a0b-11e4-8a21-01a2b3c4d5e6` });
    const told = await peer.raw.expect((one) => isCmd(one, LNK_ERROR) && one.msgid === 0n, 'why');
    expect(told.error).toBe(ERROR.PARAM);
    await peer.raw.untilEnded();
    expect(await closed('transaction-limit')).toBe(before + 1);
  });
});
