import { status } from '@grpc/grpc-js';
import { LNK_ERROR, LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode } from '@spanmesh/dmsg/error-code';
import { Dialect } from '@spanmesh/proto/v1/types';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { FakeMessaging } from '../messaging.fixture.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

const CLUSTER = '0b8f1a52-6c3d-11e4-8a21-01a2b3c4d5e6';

let node: FakeMessaging;
let terminal: RecordingTerminal;

beforeEach(async () => {
  node = new FakeMessaging();
  await node.server.start();
  terminal = new RecordingTerminal();
});

afterEach(() => node.server.stop());

function ping(...args: string[]): Promise<number> {
  return main(['ping', 'DATA', '--interval', '1ms', '--address', node.server.address, ...args], terminal);
}

/** The printed lines, with T in place of times, which always differ. */
function lines(): string[] {
  return terminal.printed.replace(/\d+\.\d\d/g, 'T').split('\n');
}

describe('spanmesh ping', () => {
  it('sums up what was sent and answered when it is interrupted', async () => {
    node.onMessage = ({ transaction, command }, route) => {
      if (command === LNK_PING) route.say({ transaction, command: LNK_PING, create: true, delete: true });
    };
    const done = ping('--count', '1000', '--interval', '10s');
    await terminal.until(() => terminal.printed.includes('1: LNK_PING'));
    process.emit('SIGINT');
    expect(await done).toBe(0);
    expect(lines().at(-2)).toBe('DATA: 1 sent, 1 answered, round trip min/avg/max T/T/T ms');
  });

  it('pings over the circuit, a transaction each, and sums up', async () => {
    node.onMessage = ({ transaction, command }, route) => {
      if (command === LNK_PING) route.say({ transaction, command: LNK_PING, create: true, delete: true });
    };
    expect(await ping('--count', '2', '--dialect', 'circuit', '--cluster', CLUSTER.toUpperCase())).toBe(0);
    expect(lines()).toEqual([
      'PING DATA: circuit, link gw.1:41',
      '1: LNK_PING|CREATE|DELETE|REPLY in T ms',
      '2: LNK_PING|CREATE|DELETE|REPLY in T ms',
      'DATA: 2 sent, 2 answered, round trip min/avg/max T/T/T ms',
      '',
    ]);
    expect(node.opens).toMatchObject([
      { node: { node: 'DATA', dialect: Dialect.DIALECT_CIRCUIT, clusterId: CLUSTER }, waitMs: 10_000 },
    ]);
    expect(node.heard).toMatchObject([
      { transaction: 1, command: LNK_PING, create: true, delete: true, openedByNode: false },
      { transaction: 2 },
    ]);
  });

  it('counts NOSUPP as an answer, and says so', async () => {
    node.dialect = Dialect.DIALECT_LINKID;
    node.onMessage = ({ transaction }, route) =>
      route.say({ transaction, command: LNK_ERROR, create: true, delete: true, error: ErrorCode.NOSUPP });
    expect(await ping('--count', '1')).toBe(0);
    expect(lines()[1]).toBe('1: LNK_ERROR|CREATE|DELETE|REPLY NOSUPP in T ms (it does not know PING, but it lives)');
  });

  it('takes a one-way answer for that to the oldest PING', async () => {
    node.onMessage = ({ transaction }, route) => {
      if (transaction === 2) {
        route.say({ command: LNK_PING });
        route.say({ command: LNK_PING, reply: true });
        route.say({ transaction: 2, command: LNK_PING, create: true, delete: true });
      }
    };
    expect(await ping('--count', '2')).toBe(0);
    expect(lines().slice(1, 3)).toEqual(['1: LNK_PING|REPLY in T ms', '2: LNK_PING|CREATE|DELETE|REPLY in T ms']);
  });

  it('does not take the router’s LOSTLINK for an answer of the node', async () => {
    node.onMessage = ({ transaction }, route) =>
      route.say({
        transaction,
        command: LNK_ERROR,
        create: true,
        delete: true,
        abort: true,
        error: ErrorCode.LOSTLINK,
      });
    expect(await ping('--count', '1')).toBe(1);
    expect(lines()[1]).toBe('1: lost, LOSTLINK');
    expect(terminal.noted).toBe('spanmesh: DATA has not answered\n');
  });

  it('fails when nothing answers in time', async () => {
    expect(await ping('--count', '2', '--timeout', '20ms')).toBe(1);
    expect(lines()).toEqual(['PING DATA: circuit, link gw.1:41', 'DATA: 2 sent, 0 answered', '']);
    expect(terminal.noted).toBe('spanmesh: DATA has not answered\n');
  });

  it('says that the route is gone, and how many were answered before', async () => {
    node.onMessage = ({ transaction }, route) => {
      if (transaction === 1) route.say({ transaction, command: LNK_PING, create: true, delete: true });
      else route.fail(status.UNAVAILABLE, 'LOSTLINK \x1b[2J');
    };
    // The route is lost at the last PING: if it were lost earlier, timing would decide how many more PINGs are sent.
    expect(await ping('--count', '2')).toBe(1);
    expect(lines()[2]).toBe('DATA: 2 sent, 1 answered, round trip min/avg/max T/T/T ms');
    expect(terminal.noted).toBe('spanmesh: the route to DATA is gone: LOSTLINK \\x1b[2J\n');
  });

  it.each([
    [status.DEADLINE_EXCEEDED, 'no link', 'spanmesh: cannot reach DATA: no link\n'],
    [status.DEADLINE_EXCEEDED, '', 'spanmesh: cannot reach DATA: no link to it in time\n'],
    [status.NOT_FOUND, 'no node DATA', 'spanmesh: no node DATA\n'],
    [status.INVALID_ARGUMENT, 'DATA fits 2 nodes', 'spanmesh: DATA fits 2 nodes\n'],
  ])('explains a refused route (%s %j)', async (code, details, line) => {
    node.refusal = { code, details };
    expect(await ping()).toBe(1);
    expect(terminal.noted).toBe(line);
    expect(terminal.printed).toBe('');
  });

  it('says that there is no such node', async () => {
    node.server.stop();
    expect(await ping()).toBe(1);
    expect(terminal.noted).toMatch(/^spanmesh: cannot reach 127\.0\.0\.1:\d+: is spanmesh running\?/);
  });

  it.each([['--count', '0'], ['--interval', 'often'], ['--dialect', 'latin'], ['twice']])(
    'refuses %j',
    async (...args) => {
      expect(await ping(...args)).toBe(2);
      expect(node.opens).toEqual([]);
    },
  );
});

it('refuses transactions that the node opens', async () => {
  node.onMessage = ({ openedByNode }, route) => {
    if (openedByNode) route.say({ transaction: 1, command: LNK_PING, create: true, delete: true });
    else route.say({ transaction: 9, openedByNode: true, circuit: 1, command: LNK_PING, create: true, delete: true });
  };
  expect(await ping('--count', '1')).toBe(0);
  expect(node.heard[1]).toMatchObject({
    transaction: 9,
    openedByNode: true,
    circuit: 1,
    circuitOpenedByNode: false,
    command: LNK_ERROR,
    create: true,
    delete: true,
    error: ErrorCode.NOSUPP,
  });
});
