import { once } from 'node:events';
import { type Client, credentials, Metadata, type ServerInterceptingCall, status } from '@grpc/grpc-js';
import { ProcessClient, ProcessService } from '@spanmesh/proto/v1/process';
import { TopologyClient, type TopologyServer, TopologyService } from '@spanmesh/proto/v1/topology';
import {
  SetTargetRequest,
  TargetState,
  VolconfClient,
  type VolconfServer,
  VolconfService,
} from '@spanmesh/proto/v1/volconf';
import { afterEach, describe, expect, it } from 'vitest';
import type { Happened } from '../events/event-teller.ts';
import { ApiError } from '../grpc/api-error.ts';
import { GrpcServer } from '../grpc/grpc-server.ts';
import { createLogger } from '../log/logger.ts';
import { apiGate, apiUserOf } from './api-access.ts';
import { createApiToken, parseApiTokens } from './api-tokens.ts';
import { USER_HEADER } from './gate.ts';
import { CONSOLE_HEADER, operatorActs } from './operator-acts.ts';

const KEY = 'ab'.repeat(16);
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An API with tokens, whose volconf refuses targets called `bad`. */
async function api() {
  const told: Happened[] = [];
  const [operate, read] = [
    createApiToken({ name: 'anna', role: 'operate' }),
    createApiToken({ name: 'reader', role: 'read' }),
  ];
  const tokens = () => parseApiTokens('tokens', Buffer.from(`${operate.line}\n${read.line}`));
  const userOf = apiUserOf(tokens);
  const security = {
    gate: apiGate(tokens),
    userOf: (caller: Parameters<typeof userOf>[0]) => userOf(caller)?.name ?? null,
  };
  const acts = operatorActs({ events: { tell: (one) => told.push(one) }, asksForUsers: true, consoleKey: KEY });
  const seen: string[] = [];
  const server = new GrpcServer(
    { listen: { host: '127.0.0.1', port: 0 }, setting: 'TEST', security },
    { logger: createLogger({ level: 'silent', service: 'test' }), acts },
  );
  server.addService(VolconfService, {
    setTarget: (call, callback) => {
      seen.push(...Object.keys(call.metadata.getMap()));
      if (call.request.name === 'bad') callback(new ApiError(status.INVALID_ARGUMENT, 'No such name.'));
      else callback(null, { target: undefined });
    },
    listTargets: (_, callback) => callback(null, { targets: [], nextPageToken: '' }),
  } as Pick<VolconfServer, 'setTarget' | 'listTargets'>);
  server.addService(TopologyService, {
    drainGateway: (call) => {
      call.write({ order: '1', gateway: 'gw', chosen: 1, closed: 0, cut: 0, done: false });
      call.write({ order: '1', gateway: 'gw', chosen: 1, closed: 1, cut: 0, done: true });
      call.end();
    },
  } as Pick<TopologyServer, 'drainGateway'>);
  const { setLogLevel } = ProcessService;
  server.addService(
    { setLogLevel: { ...setLogLevel, requestDeserialize: (bytes: Buffer) => bytes } },
    {
      setLogLevel: ({ request }: { request: unknown }, callback: (error: null, answer: object) => void) => {
        if (request instanceof Uint8Array) seen.push('bytes');
        callback(null, { processes: [], alone: false });
      },
    },
  );
  const address = `127.0.0.1:${await server.start()}`;
  cleanups.push(() => server.stop(0));
  const client = <C extends Client>(
    Made: new (address: string, made: ReturnType<typeof credentials.createInsecure>) => C,
  ): C => {
    const made = new Made(address, credentials.createInsecure());
    cleanups.push(() => made.close());
    return made;
  };
  const metadata = (token: string, more: Record<string, string> = {}) => {
    const made = new Metadata();
    for (const [name, value] of Object.entries({ authorization: `Bearer ${token}`, ...more })) made.set(name, value);
    return made;
  };
  const set = (name: string, shown: Metadata) =>
    new Promise<number>((resolve) => {
      client(VolconfClient).setTarget({ name, path: 'span:host', dialect: 0 }, shown, (error) =>
        resolve(error?.code ?? status.OK),
      );
    });
  return { told, seen, operate: operate.token, read: read.token, client, metadata, set };
}

describe('What an operator does', () => {
  // Causes: event OPERATOR_ACT
  it('is told with who, from where, what, and why it was refused', async () => {
    const { told, operate, metadata, set } = await api();
    expect(await set('lab', metadata(operate))).toBe(status.OK);
    expect(await set('bad', metadata(operate))).toBe(status.INVALID_ARGUMENT);
    const common = { who: 'anna', from: '127.0.0.1', byConsole: false, method: 'Volconf/SetTarget', what: 'span:host' };
    expect(told.map(({ subject, operator }) => [subject, operator])).toEqual([
      ['lab', { ...common, error: '' }],
      ['bad', { ...common, error: 'No such name.' }],
    ]);
  });

  it('is reported once for a stream, when it begins', async () => {
    const { told, operate, client, metadata } = await api();
    const request = { gateway: 'gw', share: 0.5, order: '', deadlineMs: 0 };
    const call = client(TopologyClient).drainGateway(request, metadata(operate));
    call.resume();
    await once(call, 'end');
    expect(told.map(({ subject, operator }) => [subject, operator?.what])).toEqual([['gw', '50 % of its connections']]);
  });

  // Causes: code access/api-access.ts PERMISSION_DENIED
  it('is not what somebody may not do, nor what only reads', async () => {
    const { told, operate, read, client, metadata, set } = await api();
    expect(await set('lab', metadata(read))).toBe(status.PERMISSION_DENIED);
    await new Promise((resolve) => {
      const request = { pageSize: 0, pageToken: '', mediaId: '', state: TargetState.TARGET_STATE_UNSPECIFIED };
      client(VolconfClient).listTargets(request, metadata(operate), resolve);
    });
    expect(told).toEqual([]);
  });

  it('is reported for a call that is passed on, too, whose request is bytes here', async () => {
    const { told, seen, operate, client, metadata } = await api();
    await new Promise((resolve) => {
      client(ProcessClient).setLogLevel(
        { level: 'debug', service: 'volconf', process: '', durationMs: 0 },
        metadata(operate),
        resolve,
      );
    });
    expect(seen).toContain('bytes');
    expect(told.map(({ subject, operator }) => [subject, operator?.what])).toEqual([['volconf', 'debug']]);
  });

  it('is reported by its method if the request cannot be read', async () => {
    const { told, operate, client, metadata } = await api();
    const bytes = (same: Buffer) => same;
    await new Promise((resolve) => {
      const { path } = ProcessService.setLogLevel;
      client(ProcessClient).makeUnaryRequest(path, bytes, bytes, Buffer.from([0xff]), metadata(operate), resolve);
    });
    expect(told.map(({ subject, operator }) => [subject, operator?.what])).toEqual([
      ['Process/SetLogLevel', 'a request that cannot be read'],
    ]);
  });

  it('comes from where the console says, if it shows its key; nobody else is believed', async () => {
    const { told, seen, operate, metadata, set } = await api();
    await set('a', metadata(operate, { [CONSOLE_HEADER]: `${KEY} 192.0.2.7` }));
    await set('b', metadata(operate, { [CONSOLE_HEADER]: `${'cd'.repeat(16)} 192.0.2.7` }));
    await set('c', metadata(operate, { [CONSOLE_HEADER]: '192.0.2.7' }));
    expect(told.map(({ operator }) => [operator?.from, operator?.byConsole])).toEqual([
      ['192.0.2.7', true],
      ['127.0.0.1', false],
      ['127.0.0.1', false],
    ]);
    expect(seen).not.toContain(CONSOLE_HEADER);
  });
});

describe('what an order is told as', () => {
  /** The call under the interceptor. */
  class FakeCall {
    listener: InterceptingListener | null = null;
    readonly sent: unknown[] = [];

    start(listener: InterceptingListener): void {
      this.listener = listener;
    }

    getPeer(): string {
      return '192.0.2.7:1234';
    }

    startRead(): void {}

    sendMetadata(): void {}

    sendMessage(message: unknown, done: () => void): void {
      this.sent.push(message);
      done();
    }

    sendStatus(sent: object): void {
      this.sent.push(sent);
    }
  }
  type InterceptingListener = Parameters<ServerInterceptingCall['start']>[0];

  /** Makes a call; what is told of it. `end`: how it ends. */
  function told(
    path: string,
    request: object | Uint8Array | null,
    { headers = {}, asksForUsers = true, end = { code: status.OK } as object | 'cancelled' | 'answered' } = {} as {
      headers?: Record<string, string>;
      asksForUsers?: boolean;
      end?: object | 'cancelled' | 'answered';
    },
  ) {
    const events: Happened[] = [];
    const acts = operatorActs({ events: { tell: (one) => events.push(one) }, asksForUsers, consoleKey: KEY });
    const under = new FakeCall();
    const call = acts({ path } as never, under as never);
    const seen: string[] = [];
    call.start({
      onReceiveMetadata: (metadata) => void seen.push(...Object.keys(metadata.getMap())),
      onReceiveMessage: () => {},
      onReceiveHalfClose: () => {},
      onCancel: () => {},
    });
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    under.listener?.onReceiveMetadata(metadata);
    if (request !== null) under.listener?.onReceiveMessage(request);
    if (end === 'cancelled') under.listener?.onCancel();
    else if (end === 'answered') call.sendMessage({}, () => {});
    else call.sendStatus(end as never);
    // Whatever comes after the end tells nothing more.
    call.sendStatus({ code: status.INTERNAL, details: 'late' });
    under.listener?.onCancel();
    return { events, seen };
  }

  const summary = (path: string, request: object | Uint8Array) =>
    told(path, request).events.map(({ subject, operator }) => [
      subject,
      operator?.method,
      operator?.what,
      operator?.error,
    ]);

  it.each([
    ['Topology/DrainGateway', { gateway: 'gw', share: 0.256 }, 'gw', '26 % of its connections'],
    ['Topology/CloseConnection', { connection: 'c', reason: '' }, 'c', ''],
    ['Topology/CloseConnection', { connection: 'c', reason: 'because' }, 'c', 'reason: because'],
    ['Topology/CaptureConnection', { connection: 'c' }, 'c', ''],
    ['Volconf/SetTarget', { name: 't', path: '/a/b' }, 't', '/a/b'],
    ['Volconf/RemoveTarget', { name: 't' }, 't', ''],
    ['Process/SetLogLevel', { level: 'debug', service: 's', process: 'p' }, 'p', 'debug'],
    ['Process/SetLogLevel', { level: '', service: 's', process: '' }, 's', 'as the settings say'],
    ['Process/SetLogLevel', { level: '', service: '', process: '' }, 'all processes', 'as the settings say'],
    ['Process/Inspect', { process: 'p' }, 'p', ''],
    ['Process/Inspect', { process: '' }, 'all processes', ''],
    ['Messaging/OpenRoute', {}, 'no node', ''],
    ['Messaging/OpenRoute', { open: {} }, 'no node', ''],
    ['Messaging/OpenRoute', { open: { node: { node: '' } } }, 'a node', ''],
    ['Messaging/OpenRoute', { open: { node: { node: 'n' } } }, 'n', ''],
    ['Messaging/OpenRoute', { open: { node: { node: 'n', key: { id: '', label: 'l' } } } }, 'l', ''],
    ['Messaging/OpenRoute', { open: { node: { node: 'n', key: { id: 'i', label: 'l' } } } }, 'i', ''],
  ])('%s %j', (path, request, subject, what) => {
    expect(summary(`/spanmesh.v1.${path}`, request)).toEqual([[subject, path.split('/')[1] && `${path}`, what, '']]);
  });

  it('with its bytes where it is only passed on, even if they cannot be read', () => {
    const bytes = SetTargetRequest.encode(SetTargetRequest.fromPartial({ name: 't', path: '/a' })).finish();
    expect(summary('/spanmesh.v1.Volconf/SetTarget', bytes)).toEqual([['t', 'Volconf/SetTarget', '/a', '']]);
    expect(summary('/spanmesh.v1.Volconf/SetTarget', new Uint8Array([0x0a, 0xff]))).toEqual([
      ['Volconf/SetTarget', 'Volconf/SetTarget', 'a request that cannot be read', ''],
    ]);
  });

  it('with the reason why it was refused', () => {
    const error = (end: object | 'cancelled' | 'answered') =>
      told('/spanmesh.v1.Volconf/RemoveTarget', { name: 't' }, { end }).events.map(({ operator }) => operator?.error);
    expect(error({ code: status.NOT_FOUND, details: 'No such target.' })).toEqual(['No such target.']);
    expect(error({ code: status.NOT_FOUND })).toEqual(['NOT_FOUND']);
    expect(error({})).toEqual(['UNKNOWN']);
    expect(error({ code: 99 })).toEqual(['it has failed']);
    expect(error('cancelled')).toEqual(['the caller has gone before it was answered']);
    expect(error('answered')).toEqual(['']);
  });

  it('with who gave it and from where', () => {
    const by = (headers: Record<string, string>, asksForUsers = true) => {
      const { events, seen } = told('/spanmesh.v1.Volconf/RemoveTarget', { name: 't' }, { headers, asksForUsers });
      expect(seen).not.toContain(CONSOLE_HEADER);
      return events.map(({ principal, operator }) => [principal, operator?.who, operator?.from, operator?.byConsole]);
    };
    const user = { [USER_HEADER]: 'ann' };
    expect(by({})).toEqual([['192.0.2.7 Volconf/RemoveTarget', '', '192.0.2.7', false]]);
    expect(by(user)).toEqual([['ann Volconf/RemoveTarget', 'ann', '192.0.2.7', false]]);
    // Nobody has checked the name.
    expect(by(user, false)).toEqual([['192.0.2.7 Volconf/RemoveTarget', '', '192.0.2.7', false]]);
    const console = (key: string, host = '198.51.100.1') =>
      by({ ...user, [CONSOLE_HEADER]: `${key} ${host}` })[0]?.slice(2);
    expect(console(KEY)).toEqual(['198.51.100.1', true]);
    for (const wrong of [KEY.slice(1), `${KEY}a`, KEY.replace(/^a/, 'b'), '']) {
      expect(console(wrong)).toEqual(['192.0.2.7', false]);
    }
    expect([console(KEY, 'h'.repeat(100))?.[1], console(KEY, 'h'.repeat(101))?.[1]]).toEqual([true, false]);
  });

  it('not at all if it only reads, is called all the time, or has no request', () => {
    for (const path of ['Volconf/ListTargets', 'Messaging/ResolveNode', 'Nothing/Known']) {
      expect(told(`/spanmesh.v1.${path}`, {}, { end: 'answered' }).events).toEqual([]);
    }
    expect(told('/spanmesh.v1.Volconf/RemoveTarget', null).events).toEqual([]);
  });
});
