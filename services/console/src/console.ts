import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { status } from '@grpc/grpc-js';
import { type ApiUser, MAX_TOKEN_CHARS } from '@spanmesh/runtime/access/api-tokens';
import { formatHostPort, type HostPort, isLoopbackHost } from '@spanmesh/runtime/address';
import type { Clock } from '@spanmesh/runtime/clock';
import { listenError } from '@spanmesh/runtime/grpc/listen-error';
import { type Logger, Throttle } from '@spanmesh/runtime/log/logger';
import { HttpConnections } from '@spanmesh/runtime/process/http-connections';
import { SettingError } from '@spanmesh/runtime/settings/setting';
import { ShareLog } from '@spanmesh/runtime/shares/share-log';
import type { TlsFiles } from '@spanmesh/runtime/tls/tls-files';
import { secureContextOptions } from '@spanmesh/runtime/tls/tls-material';
import { VERSION } from '@spanmesh/runtime/version';
import { ApiClient } from './api-client.ts';
import { type Asset, readAssets } from './assets.ts';
import { bridge, readBody } from './bridge.ts';
import { BRIDGED_METHODS, type BridgedMethod } from './methods.ts';
import { allowedHost, foreignOrigin, namesOf, type OriginRule } from './origin.ts';
import { type Session, Sessions, showsCsrf } from './sessions.ts';
import { type ConsoleOptions, DEFAULT_CONSOLE_LISTEN } from './settings.ts';

/** Largest headers of a request, bytes. */
export const MAX_HEADER_BYTES = 16 * 1024;
/** Longest time for a client to send its headers, and then its whole request, ms. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Idle time after which a kept connection is closed, ms. */
const KEEP_ALIVE_MS = 30_000;
/** How often connections are checked for exceeded times, ms. */
const LOOK_MS = 2000;
/**
 * Connections at one time: a page has six at most. Beyond it the one idle for longest is closed, of the address with
 * most.
 */
export const MAX_CONNECTIONS = 1024;
/** Largest body of a sign-in, bytes. */
export const MAX_SIGN_IN_BYTES = 2 * MAX_TOKEN_CHARS;
/** Refused sign-ins from one address are logged once in this time, ms. */
const LOG_INTERVAL_MS = 10_000;
/** The header in which a page shows its session's CSRF token. */
export const CSRF_HEADER = 'spanmesh-csrf';

/** Only our own files are allowed, and calls to the server they came from; no page may put this one into a frame. */
const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

/** Which users the API knows, and with which certificate it identifies itself. */
export interface ConsoleAccess {
  /** Whether the API asks who its callers are. */
  readonly asksForUsers: boolean;
  /** The user with this token; null: nobody. */
  readonly userOf: (token: string) => ApiUser | null;
  /** The certificate of the API, which is also the console's; null: no TLS. */
  readonly apiFiles: TlsFiles | null;
  /** The key by which the API recognises the console, and believes for whom it calls. */
  readonly consoleKey: string;
}

export interface ConsoleDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly access: ConsoleAccess;
  /** `host:port` of this process's API, once it listens. */
  readonly apiAddress: () => string;
  /** The page's files; for tests. */
  readonly assets?: ReadonlyMap<string, Asset>;
}

/**
 * Serves a web page, and passes its calls on to the API of this process. The API decides what a call may do: the
 * console only knows which browser has sent which token. Its port is an origin of its own, with no other pages.
 */
export class Console {
  /** The port; set by `start`; 0: the console does not listen. */
  port = 0;
  readonly sessions: Sessions;

  readonly #listen: HostPort | null;
  readonly #deps: ConsoleDependencies;
  readonly #rule: OriginRule;
  readonly #api: ApiClient;
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #server: Server | TlsServer;
  readonly #connections: HttpConnections;
  readonly #throttle: Throttle;

  /** @throws SettingError: it would listen without TLS on an address that other hosts can reach. */
  constructor({ consoleListen, consoleHosts }: ConsoleOptions, deps: ConsoleDependencies) {
    const { clock, access } = deps;
    this.#listen = consoleListen;
    this.#deps = deps;
    const files = access.apiFiles;
    if (consoleListen !== null && files === null && !isLoopbackHost(consoleListen.host)) {
      const why = `${formatHostPort(consoleListen)} is not a loopback address: set SPANMESH_API_TLS_CERT and _KEY (docs/tls.md)`;
      throw new SettingError('SPANMESH_CONSOLE_LISTEN', why);
    }
    if (consoleListen !== null && !access.asksForUsers && !isLoopbackHost(consoleListen.host)) {
      const why = `${formatHostPort(consoleListen)} is not a loopback address: set SPANMESH_API_TOKENS_FILE (docs/tls.md)`;
      throw new SettingError('SPANMESH_CONSOLE_LISTEN', why);
    }
    this.sessions = new Sessions({ clock });
    this.#throttle = new Throttle({ intervalMs: LOG_INTERVAL_MS }, { clock });
    const shareLog = new ShareLog({ clock, logger: deps.logger, throttle: this.#throttle });
    this.#connections = new HttpConnections(
      { limit: MAX_CONNECTIONS },
      { limited: (limit) => shareLog.limited(limit) },
    );
    this.#api = new ApiClient({ address: deps.apiAddress, files });
    this.#assets = deps.assets ?? (consoleListen === null ? new Map() : readAssets());
    this.#rule = {
      scheme: files === null ? 'http' : 'https',
      defaultPort: files === null ? 80 : 443,
      names: namesOf(consoleHosts),
      certificate: () => files?.value.certificate ?? null,
    };
    this.#server = this.#makeServer(files);
  }

  /** `https://127.0.0.1:7980/`, once started; empty: the console does not listen. */
  get url(): string {
    if (this.#listen === null || this.port === 0) return '';
    return `${this.#rule.scheme}://${formatHostPort({ host: this.#listen.host, port: this.port })}/`;
  }

  /**
   * Rejects with SettingError when a port that was configured is not available; without the default port the process
   * runs without a console.
   */
  async start(): Promise<void> {
    const listen = this.#listen;
    if (listen === null) return;
    if (this.#assets.size === 0) {
      this.#deps.logger.info("the console's page was not built: `npm run prepare` does; its port says so");
    }
    try {
      this.port = await this.#bind(listen);
    } catch (error) {
      if (formatHostPort(listen) !== DEFAULT_CONSOLE_LISTEN || !(error instanceof SettingError)) throw error;
      // Often several processes run on one host, and only one of them can have the default port.
      this.#deps.logger.info({ why: error.message }, 'this process serves no console');
    }
  }

  async stop(): Promise<void> {
    this.sessions.endAll();
    this.#api.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #makeServer(files: TlsFiles | null): Server | TlsServer {
    const options: ServerOptions = {
      maxHeaderSize: MAX_HEADER_BYTES,
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: LOOK_MS,
    };
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.#connections.began(request.socket);
      response.once('close', () => this.#connections.ended(request.socket));
      this.#answer(request, response).catch((error: unknown) => {
        this.#deps.logger.error({ err: error }, 'a request to the console failed');
        response.destroy();
      });
    };
    if (files === null) {
      const server = createServer(options, answer);
      server.on('connection', (socket) => this.#connections.add(socket));
      return server;
    }
    const server = createTlsServer({ ...options, ...serverContext(files) }, answer);
    files.onChange(() => server.setSecureContext(serverContext(files)));
    server.on('secureConnection', (socket) => this.#connections.add(socket));
    // A connection that never completes its handshake is not counted above.
    server.maxConnections = 2 * MAX_CONNECTIONS;
    return server;
  }

  #bind(listen: HostPort): Promise<number> {
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(listenError('SPANMESH_CONSOLE_LISTEN', listen, error));
      this.#server.once('error', onError);
      this.#server.listen(listen, () => {
        this.#server.off('error', onError);
        this.#server.on('error', (error) => this.#deps.logger.error({ err: error }, 'console server'));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    response.setHeader('Cache-Control', 'no-store');
    const host = allowedHost(this.#rule, request.headers.host);
    if (host === null) {
      refuse(response, 421, 'The console is not reached under this name: SPANMESH_CONSOLE_HOSTS lists more.');
      return;
    }
    const method = request.method ?? '';
    const [path = '/'] = (request.url ?? '/').split('?', 1);
    const asset = this.#assets.get(path);
    if (asset !== undefined || path === '/') {
      this.#sendAsset(asset, method, request, response);
      return;
    }
    const foreign = foreignOrigin(this.#rule, host, method, request.headers);
    if (foreign !== null) {
      refuse(response, 403, foreign);
      return;
    }
    const bridged = BRIDGED_METHODS.get(path);
    if (path === '/session' && method === 'GET') this.#tellSession(request, response);
    else if (path === '/session' && method === 'POST') await this.#signIn(request, response);
    else if (path === '/session/end' && method === 'POST') this.#signOut(request, response);
    else if (bridged !== undefined && method === 'POST') await this.#call(path, bridged, request, response);
    else refuse(response, bridged === undefined ? 404 : 405, 'There is no such thing here.');
  }

  #sendAsset(asset: Asset | undefined, method: string, request: IncomingMessage, response: ServerResponse): void {
    if (method !== 'GET' && method !== 'HEAD') {
      refuse(response, 405, 'There is only GET.');
      return;
    }
    if (asset === undefined) {
      refuse(response, 503, 'The page was not built: `npm run prepare` builds it.');
      return;
    }
    const accepted = String(request.headers['accept-encoding'] ?? '');
    const [encoding, body] = encoded(asset, accepted);
    if (encoding !== null) response.setHeader('Content-Encoding', encoding);
    response.setHeader('Vary', 'Accept-Encoding');
    response.setHeader('Content-Type', asset.type);
    response.setHeader('Content-Length', body.length);
    response.setHeader('Cache-Control', asset.isImmutable ? 'public, max-age=31536000, immutable' : 'no-cache');
    response.writeHead(200).end(method === 'HEAD' ? undefined : body);
  }

  /** Answers with the browser's user; if the API asks for no tokens, the browser gets a session at once. */
  #tellSession(request: IncomingMessage, response: ServerResponse): void {
    const known = this.#sessionOf(request);
    if (known !== null || this.#deps.access.asksForUsers) {
      this.#sendSession(response, known);
      return;
    }
    this.#begin(response, { user: '', role: 'operate', token: null });
  }

  async #signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let token: unknown;
    try {
      // A form of another page cannot send this content type.
      if (request.headers['content-type'] !== 'application/json') throw new RangeError('not JSON');
      const body: unknown = JSON.parse((await readBody(request, MAX_SIGN_IN_BYTES)).toString('utf8'));
      token = typeof body === 'object' && body !== null && 'token' in body ? body.token : null;
    } catch {
      response.setHeader('Connection', 'close');
      refuse(response, 400, 'This is no sign-in.');
      return;
    }
    const { access, logger } = this.#deps;
    const shown = typeof token === 'string' ? token.trim() : '';
    const user = shown === '' ? null : access.userOf(shown);
    const peer = request.socket.remoteAddress ?? '';
    if (user === null) {
      const { log, suppressed } = this.#throttle.admit(peer);
      if (log) logger.warn({ peer, suppressed }, 'console: a token that is not known was typed');
      refuse(response, 401, 'This token is not known here.');
      return;
    }
    const before = cookieOf(request, this.#cookieName);
    if (before !== null) this.sessions.end(before);
    logger.info({ peer, user: user.name, role: user.role }, 'console: signed in');
    this.#begin(response, { user: user.name, role: user.role, token: shown });
  }

  #signOut(request: IncomingMessage, response: ServerResponse): void {
    const id = cookieOf(request, this.#cookieName);
    const session = this.#sessionOf(request);
    if (id === null || session === null || !showsCsrf(session, request.headers[CSRF_HEADER])) {
      refuse(response, 403, 'There is no such session.');
      return;
    }
    this.sessions.end(id);
    response.setHeader('Set-Cookie', `${this.#cookieName}=; ${this.#cookieFlags}; Max-Age=0`);
    this.#sendSession(response, null);
  }

  async #call(path: string, method: BridgedMethod, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const session = this.#sessionOf(request);
    if (session === null) {
      refuse(response, 401, 'Sign in first.');
      return;
    }
    if (!showsCsrf(session, request.headers[CSRF_HEADER])) {
      refuse(response, 403, "The request does not show its session's token.");
      return;
    }
    if (!/^application\/grpc-web(\+proto)?$/.test(request.headers['content-type'] ?? '')) {
      refuse(response, 415, 'Calls are gRPC-Web, application/grpc-web+proto.');
      return;
    }
    const release = this.sessions.take(session, method.isStream);
    if (release === null) {
      response.setHeader('Connection', 'close');
      refuse(response, 429, 'Too many calls of this session are under way.');
      return;
    }
    const peer = request.socket.remoteAddress ?? '';
    const ended = (code: status): void => {
      release();
      const { user } = session;
      // The API itself reports the act: the console's call names the user's host.
      const act = { user, peer, method: path, code: status[code] };
      if (method.role === 'operate') this.#deps.logger.debug(act, 'console: an act of an operator');
      // The token was withdrawn: the page asks for another one.
      if (code === status.UNAUTHENTICATED) this.#endSession(request);
    };
    await bridge(
      () => this.#api.client,
      { path, method, session, ended, caller: `${this.#deps.access.consoleKey} ${peer}` },
      request,
      response,
    );
  }

  #endSession(request: IncomingMessage): void {
    const id = cookieOf(request, this.#cookieName);
    // The answer is sent before its connection's session ends.
    if (id !== null) setImmediate(() => this.sessions.end(id));
  }

  #begin(response: ServerResponse, who: Pick<Session, 'user' | 'role' | 'token'>): void {
    const { id, session } = this.sessions.begin(who);
    response.setHeader('Set-Cookie', `${this.#cookieName}=${id}; ${this.#cookieFlags}`);
    this.#sendSession(response, session);
  }

  #sendSession(response: ServerResponse, session: Session | null): void {
    const { asksForUsers } = this.#deps.access;
    const { user = '', role = '', csrf = '' } = session ?? {};
    const body = JSON.stringify({ signedIn: session !== null, asksForUsers, user, role, csrf, version: VERSION });
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(body);
  }

  #sessionOf(request: IncomingMessage): Session | null {
    const id = cookieOf(request, this.#cookieName);
    return id === null ? null : this.sessions.find(id);
  }

  /** Cookies are not separated by port: consoles of several processes on one host need names of their own. */
  get #cookieName(): string {
    return `${this.#deps.access.apiFiles === null ? '' : '__Host-'}spanmesh-${this.port}`;
  }

  get #cookieFlags(): string {
    return `Path=/; HttpOnly; SameSite=Strict${this.#deps.access.apiFiles === null ? '' : '; Secure'}`;
  }
}

/** Only the certificate, no CAs: browsers identify themselves by tokens. */
function serverContext(files: TlsFiles) {
  const { cert, key } = files.value;
  return secureContextOptions({ ca: null, cert, key });
}

function encoded({ plain, gzip, brotli }: Asset, accepted: string): [string | null, Buffer] {
  if (brotli !== null && /\bbr\b/.test(accepted)) return ['br', brotli];
  return gzip !== null && /\bgzip\b/.test(accepted) ? ['gzip', gzip] : [null, plain];
}

/** A cookie's value; null: it is missing, or there twice. */
function cookieOf({ headers: { cookie = '' } }: IncomingMessage, name: string): string | null {
  const values = cookie
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`))
    .map((part) => part.slice(name.length + 1));
  return values.length === 1 ? (values[0] ?? null) : null;
}

function refuse(response: ServerResponse, code: number, why: string): void {
  response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${why}\n`);
}
