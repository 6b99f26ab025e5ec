import { getEventListeners, once } from 'node:events';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { until } from '@spanmesh/runtime/patience.fixture';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connectTrunk, isTrunkOf, listenTrunk, mayListenPlain } from './transport.ts';

const GATEWAY = 'b.00000002';

afterEach(() => {
  vi.restoreAllMocks();
});

/** The other side of the connection is on another host. */
function fromElsewhere(socket: Socket): void {
  Object.defineProperty(socket, 'remoteAddress', { value: '192.0.2.1' });
}

describe('a connection to another gateway, without certificates', () => {
  let server: Server;
  let port: number;
  let came: Socket[];
  let given: AbortController;
  beforeEach(async () => {
    came = [];
    given = new AbortController();
    server = createServer((socket) => {
      came.push(socket);
      socket.on('error', () => {}).resume();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    for (const socket of came) socket.destroy();
    server.close();
  });

  const connect = () => connectTrunk({ host: '127.0.0.1', port, gateway: GATEWAY }, null, given.signal);

  it("is the caller's alone: open to one side, without delay, and with nothing left of the attempt", async () => {
    const setNoDelay = vi.spyOn(Socket.prototype, 'setNoDelay');
    const socket = await connect();
    expect(socket.allowHalfOpen).toBe(true);
    expect(setNoDelay).toHaveBeenCalledWith(true);
    expect([socket.listenerCount('error'), getEventListeners(given.signal, 'abort')]).toEqual([0, []]);
    given.abort();
    expect(socket.destroyed).toBe(false);
    expect(isTrunkOf(socket, GATEWAY)).toBe(true);
    socket.destroy();
  });

  it('is not made when nobody waits for it any more', async () => {
    given.abort();
    await expect(connect()).rejects.toMatchObject({ code: 'trunk', data: { why: 'timeout' } });
    expect(came).toEqual([]);
  });

  it('is given up when its time is over', async () => {
    const destroy = vi.spyOn(Socket.prototype, 'destroy');
    const connecting = connect();
    given.abort();
    await expect(connecting).rejects.toMatchObject({ data: { why: 'timeout' } });
    expect(destroy).toHaveBeenCalled();
    expect(getEventListeners(given.signal, 'abort')).toEqual([]);
  });

  it('cannot be made where nobody listens: the error says why', async () => {
    server.close();
    const cause = expect.objectContaining({ code: 'ECONNREFUSED' });
    await expect(connect()).rejects.toMatchObject({
      ...{ data: { why: 'unreachable' }, message: expect.stringContaining('ECONNREFUSED'), cause },
    });
    expect(getEventListeners(given.signal, 'abort')).toEqual([]);
  });

  it('is made with gateways on this host only', async () => {
    const { connect: connectAny } = Socket.prototype;
    vi.spyOn(Socket.prototype, 'connect').mockImplementation(function (this: Socket, ...to: unknown[]) {
      fromElsewhere(this);
      return Reflect.apply(connectAny, this, to);
    });
    await expect(connect()).rejects.toMatchObject({ data: { why: 'not-loopback' } });
    await until(() => came.length === 1 && came[0]?.destroyed === true);
  });
});

describe('a port for trunks, without certificates', () => {
  let server: Server;
  let accepted: Socket[];
  let refused: number;
  let caller: Socket;
  beforeEach(async () => {
    accepted = [];
    refused = 0;
    server = listenTrunk(null, { accept: (socket) => void accepted.push(socket), refused: () => refused++ });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterEach(() => {
    for (const socket of [caller, ...accepted]) socket.destroy();
    server.close();
  });

  function call(): void {
    caller = new Socket().on('error', () => {}).resume();
    caller.connect((server.address() as AddressInfo).port, '127.0.0.1');
  }

  it('takes connections of this host, which may close one side', async () => {
    call();
    await until(() => accepted.length === 1);
    expect([accepted[0]?.allowHalfOpen, accepted[0]?.destroyed, refused]).toEqual([true, false, 0]);
  });

  it('closes and counts all others', async () => {
    server.prependListener('connection', fromElsewhere);
    call();
    await once(caller, 'close');
    expect([accepted, refused]).toEqual([[], 1]);
  });

  it('is on the loopback', () => {
    expect(['127.0.0.1', '::1', 'localhost', '192.0.2.1', '0.0.0.0'].map(mayListenPlain)).toEqual([
      ...[true, true, true],
      ...[false, false],
    ]);
  });
});
