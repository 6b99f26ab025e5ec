import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { ProcessService } from '@spanmesh/proto/v1/process';
import { GetStatusResponse, TopologyService } from '@spanmesh/proto/v1/topology';
import { ListTargetsResponse, VolconfService } from '@spanmesh/proto/v1/volconf';
import { apiGate, apiUserOf } from '@spanmesh/runtime/access/api-access';
import { type ApiTokens, createApiToken, parseApiTokens } from '@spanmesh/runtime/access/api-tokens';
import { type Caller, USER_HEADER } from '@spanmesh/runtime/access/gate';
import { type Clock, systemClock } from '@spanmesh/runtime/clock';
import { GrpcServer } from '@spanmesh/runtime/grpc/grpc-server';
import { recordingLogger } from '@spanmesh/runtime/tls/certificates.fixture';
import { serverCredentials } from '@spanmesh/runtime/tls/tls-credentials';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import type { Asset } from './assets.ts';
import { Console, CSRF_HEADER } from './console.ts';

/** An answer of the console. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
}

/** How a call has ended, by its trailers. */
export interface Ended {
  readonly http: number;
  readonly code: number;
  readonly message: Buffer | null;
}

const PAGE: Asset = {
  type: 'text/html; charset=utf-8',
  plain: Buffer.from('<!doctype html>'),
  gzip: Buffer.from('gz'),
  brotli: Buffer.from('br'),
  isImmutable: false,
};

/** A console with an API behind it that has a few fixed answers. */
export class ConsoleWorld {
  readonly lines: string[];
  readonly console: Console;
  /** Streams of WatchTargets that are open at the API. */
  readonly streams = new Set<ServerWritableStream<unknown, unknown>>();
  /** The calls, with the user's name that each handler of the API received. */
  readonly calls: { readonly method: string; readonly user: string }[] = [];
  readonly read = createApiToken({ name: 'rita', role: 'read' });
  readonly operate = createApiToken({ name: 'olga', role: 'operate' });
  /** The tokens that the API accepts; null: it asks nobody. */
  tokens: ApiTokens | null;
  readonly #api: GrpcServer;
  readonly #isTls: boolean;
  #apiPort = 0;

  constructor({
    asks = false,
    files = null,
    clock = systemClock,
    hosts = '',
  }: { asks?: boolean; files?: TlsFiles | null; clock?: Clock; hosts?: string } = {}) {
    const { lines, logger } = recordingLogger();
    this.lines = lines;
    this.#isTls = files !== null;
    this.tokens = asks ? parseApiTokens('tokens', Buffer.from(`${this.read.line}\n${this.operate.line}\n`)) : null;
    const known = (): ApiTokens | null => this.tokens;
    const userOf = apiUserOf(known);
    const security = {
      ...(files !== null && { credentials: serverCredentials(files, 'none') }),
      ...(asks && { gate: apiGate(known), userOf: (caller: Caller) => userOf(caller)?.name ?? null }),
    };
    this.#api = new GrpcServer(
      { listen: { host: '127.0.0.1', port: 0 }, setting: 'SPANMESH_GRPC_LISTEN', security },
      { logger },
    );
    const answer =
      (method: string, response: unknown) =>
      (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>): void => {
        this.calls.push({ method, user: String(call.metadata.get(USER_HEADER)[0] ?? '') });
        callback(null, response);
      };
    this.#api.addService(TopologyService, {
      getStatus: answer('GetStatus', GetStatusResponse.fromPartial({ replica: 'the one' })),
    });
    this.#api.addService(ProcessService, {});
    this.#api.addService(VolconfService, {
      listTargets: answer('ListTargets', ListTargetsResponse.fromPartial({})),
      removeTarget: answer('RemoveTarget', {}),
      watchTargets: (call: ServerWritableStream<unknown, unknown>) => {
        this.streams.add(call);
        call.on('cancelled', () => this.streams.delete(call));
        call.write({ current: true });
      },
    });
    this.console = new Console(
      { consoleListen: { host: '127.0.0.1', port: 0 }, consoleHosts: hosts },
      {
        clock,
        logger,
        access: {
          asksForUsers: asks,
          userOf: (token) => this.tokens?.userOf(token) ?? null,
          apiFiles: files,
          consoleKey: '00',
        },
        apiAddress: () => `127.0.0.1:${this.#apiPort}`,
        assets: new Map([['/', PAGE]]),
      },
    );
  }

  async start(): Promise<this> {
    this.#apiPort = await this.#api.start();
    await this.console.start();
    return this;
  }

  async stop(): Promise<void> {
    await this.console.stop();
    await this.#api.stop(0);
  }

  get host(): string {
    return `127.0.0.1:${this.console.port}`;
  }

  get origin(): string {
    return `${this.#isTls ? 'https' : 'http'}://${this.host}`;
  }

  /** Sends a request as it is given, without any header that a browser would add. */
  request(
    method: string,
    path: string,
    { headers = {}, body = '' }: { headers?: Record<string, string>; body?: string | Buffer } = {},
  ): Promise<Answer> {
    const options: RequestOptions = { host: '127.0.0.1', port: this.console.port, method, path, headers, agent: false };
    return new Promise((resolve, reject) => {
      const sent = this.#isTls ? httpsRequest({ ...options, rejectUnauthorized: false }) : httpRequest(options);
      sent.on('error', reject);
      sent.on('response', (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const whole = Buffer.concat(parts);
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: whole,
            text: whole.toString('utf8'),
          });
        });
      });
      sent.end(body);
    });
  }

  /** Does what the console's own page does: signs in, or takes the session that everybody gets. */
  async signIn(token: string | null): Promise<Browser> {
    const answer =
      token === null
        ? await this.request('GET', '/session')
        : await this.request('POST', '/session', {
            headers: { origin: this.origin, 'content-type': 'application/json' },
            body: JSON.stringify({ token }),
          });
    const cookie = answer.headers['set-cookie']?.[0] ?? '';
    const { csrf } = JSON.parse(answer.text) as { csrf: string };
    return new Browser(this, cookie, csrf);
  }
}

/** A page that has a session. */
export class Browser {
  readonly world: ConsoleWorld;
  /** The whole header that has set the cookie. */
  readonly setCookie: string;
  readonly csrf: string;

  constructor(world: ConsoleWorld, setCookie: string, csrf: string) {
    this.world = world;
    this.setCookie = setCookie;
    this.csrf = csrf;
  }

  get headers(): Record<string, string> {
    const [cookie = ''] = this.setCookie.split(';');
    return {
      origin: this.world.origin,
      cookie,
      [CSRF_HEADER]: this.csrf,
      'content-type': 'application/grpc-web+proto',
    };
  }

  /** Makes a call, by default with an empty request. */
  async call(path: string, headers: Record<string, string> = {}, body: Buffer = Buffer.alloc(5)): Promise<Ended> {
    const all = { ...this.headers, ...headers };
    const answer = await this.world.request('POST', path, { headers: all, body });
    return ended(answer);
  }
}

function ended({ status: http, body }: Answer): Ended {
  let message: Buffer | null = null;
  let code: number = status.UNKNOWN;
  if (http !== 200) return { http, code, message };
  for (let at = 0; at < body.length; ) {
    const length = body.readUInt32BE(at + 1);
    const part = body.subarray(at + 5, at + 5 + length);
    if (body[at] === 0) message = part;
    else code = Number(/grpc-status: (\d+)/.exec(part.toString('latin1'))?.[1]);
    at += 5 + length;
  }
  return { http, code, message };
}
