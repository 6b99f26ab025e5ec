import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock } from '@spanmesh/runtime/clock';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { advance } from '@spanmesh/runtime/fake-time.fixture';
import { createLogger } from '@spanmesh/runtime/log/logger';
import { readSettings } from '@spanmesh/runtime/settings/setting';
import { afterEach, describe, expect, it } from 'vitest';
import { ANY_PORTS } from '../any-ports.fixture.ts';
import { settings } from '../settings.ts';
import { Standalone } from '../standalone.ts';
import { privateStandalone, type Rehearsed, rehearse } from './rehearsal.ts';

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly relays?: number;
  readonly err?: { readonly message: string };
}

function recorder() {
  const lines: Line[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  return { lines, logger: createLogger({ level: 'debug', service: 'test', destination }) };
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A standalone in whose place `serve` gets each connection, and what was called. */
async function inPlaceOf(serve: (socket: Socket) => void): Promise<Rehearsed & { readonly calls: string[] }> {
  const server = createServer(serve).listen(0, '127.0.0.1');
  servers.push(server);
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const calls: string[] = [];
  return {
    calls,
    start: async () => void calls.push('start'),
    stop: async () => void calls.push('stop'),
    dmsgPorts: [{ address: '127.0.0.1', port, dialect: 'circuit' }],
  };
}

describe('a rehearsal', () => {
  it('has spans of its peers relayed and closed, and stops what it has started', async () => {
    const { lines, logger } = recorder();
    const quiet = createLogger({ level: 'fatal', service: 'test', destination: { write: () => {} } });
    const standalone = new Standalone(readSettings(settings, { env: ANY_PORTS, flags: {} }), quiet, { env: {} });
    let port = 0;
    const { stop } = standalone;
    standalone.stop = async () => {
      port = standalone.dmsgPorts[0]!.port;
      await stop.call(standalone);
    };
    await rehearse({ logger, clock: systemClock }, () => standalone);
    const metrics = await standalone.metrics.text();
    expect(metrics).toContain('\nspanmesh_gateway_links_opened_total 320\n');
    expect(metrics).toContain('\nspanmesh_gateway_relays_opened_total 2560\n');
    expect(metrics).toContain('\nspanmesh_gateway_relays_closed_total{reason="link"} 2560\n');
    expect(lines).toMatchObject([{ level: 'debug', msg: 'rehearsed', relays: 2560 }]);
    await expect(once(connect({ port, host: '127.0.0.1' }), 'connect')).rejects.toThrow('ECONNREFUSED');
  });

  it('leaves no socket, no port and no line of a log but its own', async () => {
    const { lines, logger } = recorder();
    const open = () => process.getActiveResourcesInfo().filter((name) => /^TCP|^Pipe/.test(name)).length;
    const before = open();
    await rehearse({ logger, clock: systemClock });
    expect(lines).toMatchObject([{ level: 'debug', msg: 'rehearsed', relays: 2560 }]);
    // A test before this one may have left some that close meanwhile, but not as many as a rehearsal opens.
    await expect.poll(open).toBeLessThanOrEqual(before);
  });

  it('is in a standalone of which only this host can find a port, and which keeps nothing and waits for nobody', async () => {
    const standalone = privateStandalone();
    const { options } = standalone;
    const { dmsgListen, grpcListen, serviceListen, httpListen, trunkListen } = options;
    for (const { host, port } of [...dmsgListen, grpcListen, serviceListen, httpListen, trunkListen]) {
      expect([host, port]).toEqual(['127.0.0.1', 0]);
    }
    expect(options).toMatchObject({ consoleListen: null, dataDir: '', keysDir: '', stopTimeout: 100 });
    await standalone.stop();
  });

  it('that a gateway does not answer is over after a second, and the process is told to go on', async () => {
    const { lines, logger } = recorder();
    const silent = await inPlaceOf(() => {});
    const clock = new FakeClock();
    const rehearsed = rehearse({ logger, clock }, () => silent);
    await expect.poll(() => clock.nextAt()).toBe(1000);
    await advance(clock, 999);
    expect(lines).toEqual([]);
    await advance(clock, 1);
    await rehearsed;
    expect(lines).toMatchObject([
      {
        level: 'warn',
        msg: 'the rehearsal before the start failed: the first second is slower',
        err: { message: 'not over after 1000 ms' },
      },
    ]);
    expect(silent.calls).toEqual(['start', 'stop']);
  });

  // Causes: line the rehearsal before the start failed: the first second is slower
  it('whose gateway closes a connection says so', async () => {
    const { lines, logger } = recorder();
    const closing = await inPlaceOf((socket) => socket.end());
    await rehearse({ logger, clock: systemClock }, () => closing);
    expect(lines).toMatchObject([{ level: 'warn', err: { message: 'the gateway has closed the connection' } }]);
    expect(closing.calls).toEqual(['start', 'stop']);
  });

  it('that cannot connect says so', async () => {
    const { lines, logger } = recorder();
    const gone = await inPlaceOf(() => {});
    await new Promise((resolve) => servers.pop()!.close(resolve));
    await rehearse({ logger, clock: systemClock }, () => gone);
    expect(lines).toMatchObject([{ level: 'warn', err: { message: expect.stringContaining('ECONNREFUSED') } }]);
    expect(gone.calls).toEqual(['start', 'stop']);
  });

  it('that cannot start leaves the stop to who failed', async () => {
    const { lines, logger } = recorder();
    const calls: string[] = [];
    const broken: Rehearsed = {
      start: () => Promise.reject(new Error('no memory')),
      stop: async () => void calls.push('stop'),
      dmsgPorts: [],
    };
    await rehearse({ logger, clock: systemClock }, () => broken);
    expect(lines).toMatchObject([{ level: 'warn', err: { message: 'no memory' } }]);
    expect(calls).toEqual([]);
  });
});
