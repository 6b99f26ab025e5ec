import { randomBytes } from 'node:crypto';
import { type ChannelCredentials, type ClientOptions, credentials, type ServerCredentials } from '@grpc/grpc-js';
import { apiGate, apiUserOf } from '../access/api-access.ts';
import { type ApiTokens, type ApiUser, watchApiTokens } from '../access/api-tokens.ts';
import type { Caller, Gate, GateCaller } from '../access/gate.ts';
import { type RefusedCalls, registerSecurityMetrics } from '../access/security-metrics.ts';
import type { SecurityOptions } from '../access/security-settings.ts';
import { passingGate, serviceGate } from '../access/service-callers.ts';
import { formatHostPort, type HostPort, isLoopbackHost } from '../address.ts';
import type { Clock } from '../clock.ts';
import type { EventTeller } from '../events/event-teller.ts';
import type { Logger } from '../log/logger.ts';
import type { Metrics } from '../metrics.ts';
import { TlsError } from '../secrets/tls-error.ts';
import { SettingError } from '../settings/setting.ts';
import { carriesName, namesOf } from '../tls/certificate-name.ts';
import { gatewayCertificateName, mayBeGateway } from '../tls/gateway-certificate.ts';
import { isClientOf } from '../tls/issued-by.ts';
import type { ServiceName } from '../tls/service-names.ts';
import { type ChannelSecurity, channelCredentials, meaning, serverCredentials } from '../tls/tls-credentials.ts';
import { type TlsFiles, watchTlsFiles } from '../tls/tls-files.ts';
import { parseCertificates, type TlsMaterial } from '../tls/tls-material.ts';
import type { WatchedFiles } from '../tls/watched-files.ts';
import { sayProtocol } from './protocol-interceptors.ts';

/** Who may connect to a gRPC server and call it; empty: everybody, without TLS. */
export interface ServerSecurity {
  readonly credentials?: ServerCredentials;
  readonly gate?: Gate;
  /** The name under which handlers find the caller (USER_HEADER). */
  readonly userOf?: (caller: GateCaller) => string | null;
}

/** The addresses on which a process listens. */
export interface SecuredAddresses {
  readonly grpcListen: HostPort;
  readonly serviceListen: HostPort;
}

/**
 * Who may connect to a process, and how it identifies itself (docs/tls.md). Without settings there is no TLS and no
 * check of callers; this is refused for an address that other hosts can reach.
 */
export class Security {
  /** For the API's port. */
  readonly api: ServerSecurity;
  /** For the service port. */
  readonly service: ServerSecurity;
  /** This process's certificate for other services; null: there is no TLS between services. */
  readonly serviceFiles: TlsFiles | null;
  /** The certificate of the API; null: the API has no TLS. */
  readonly apiFiles: TlsFiles | null;
  /** Whether the API asks who its callers are. */
  readonly asksForUsers: boolean;
  /** The key by which the API recognises the console of its own process, and believes for whom that calls. */
  readonly consoleKey = randomBytes(16).toString('hex');
  readonly refused: RefusedCalls = { api: 0, service: 0 };
  readonly #tokens: WatchedFiles<ApiTokens> | null;
  readonly #channel: ChannelCredentials;
  readonly #says: Partial<ClientOptions>;

  /**
   * `names`: the services in this process, which its certificate must name; `gateway`: the gateway's name, which it
   * must name, too (or match by a pattern). `protocolVersion`: sent with calls, if it is not our own.
   * @throws SettingError: a file cannot be used, one of several that belong together is missing, or an address is not
   * loopback and has no TLS.
   */
  constructor(
    options: SecurityOptions,
    {
      names,
      gateway = null,
      listen,
      protocolVersion,
    }: {
      readonly names: readonly ServiceName[];
      readonly gateway?: string | null | undefined;
      readonly listen: SecuredAddresses;
      readonly protocolVersion?: number | undefined;
    },
    deps: {
      readonly clock: Clock;
      readonly logger: Logger;
      readonly metrics: Metrics;
      readonly events?: EventTeller;
    },
  ) {
    const { logger } = deps;
    this.#says = protocolVersion === undefined ? {} : { interceptors: [sayProtocol(protocolVersion)] };
    this.serviceFiles = readServiceFiles(options, { names, gateway }, deps);
    this.apiFiles = readApiFiles(options, deps);
    this.#tokens =
      options.apiTokensFile === ''
        ? null
        : usable('SPANMESH_API_TOKENS_FILE', () => watchApiTokens(options.apiTokensFile, deps));
    refuseOpenPorts(options, listen, logger);
    this.asksForUsers = asksForUsers(options);
    const { serviceFiles } = this;
    const tokens = () => this.#tokens?.value ?? null;
    const userOf = apiUserOf(tokens);
    this.#channel = serviceFiles === null ? credentials.createInsecure() : channelCredentials(serviceFiles);
    const gate = apiGate(tokens);
    this.service = {
      ...(serviceFiles !== null && { credentials: serverCredentials(serviceFiles, 'required') }),
      ...((serviceFiles !== null || this.asksForUsers) && {
        gate: passingGate({
          between: serviceFiles === null ? null : serviceGate,
          users: this.asksForUsers ? (path, caller) => gate(path, this.#believed(caller, deps.clock)) : null,
        }),
        // A service that calls for itself has no user's name.
        userOf: ({ onBehalf }: GateCaller) =>
          onBehalf == null ? null : (userOf(this.#believed(onBehalf, deps.clock))?.name ?? null),
      }),
    };
    this.api = {
      ...(this.apiFiles !== null && {
        credentials: serverCredentials(this.apiFiles, this.apiFiles.value.ca === null ? 'none' : 'optional'),
      }),
      ...(this.asksForUsers && { gate, userOf: (caller: Caller) => userOf(caller)?.name ?? null }),
    };
    const { refused } = this;
    registerSecurityMetrics(deps.metrics, {
      files: { service: serviceFiles, api: this.apiFiles },
      tokens: this.#tokens,
      refused,
    });
  }

  /** For a client of another service of the installation, on that one's service port. */
  channel(name: ServiceName): ChannelSecurity {
    return {
      credentials: this.#channel,
      options: { ...this.#says, ...(this.serviceFiles === null ? {} : meaning(name)) },
    };
  }

  /** The user of the API with this token; null: nobody. */
  userOf(token: string): ApiUser | null {
    return this.#tokens?.value.userOf(token) ?? null;
  }

  /** Begins to watch the files. */
  start(): void {
    for (const watched of this.#watched()) watched.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#watched().map((watched) => watched.stop()));
  }

  /** A user as another process has passed him on: his certificate counts only if our own CA for users has issued it. */
  #believed({ certificate, token }: Caller, clock: Clock): Caller {
    const { ca = null } = this.apiFiles?.value ?? {};
    if (certificate === null || ca === null) return { certificate: null, token };
    const isOurs = isClientOf(parseCertificates('', ca), certificate, clock.wall());
    return { certificate: isOurs ? certificate : null, token };
  }

  #watched(): Pick<WatchedFiles<unknown>, 'start' | 'stop'>[] {
    return [this.serviceFiles, this.apiFiles, this.#tokens].filter((watched) => watched !== null);
  }
}

interface FileDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events?: EventTeller;
}

function readServiceFiles(
  { tlsCa, tlsCert, tlsKey }: SecurityOptions,
  { names, gateway }: { names: readonly ServiceName[]; gateway: string | null },
  deps: FileDependencies,
): TlsFiles | null {
  if (!together({ SPANMESH_TLS_CA: tlsCa, SPANMESH_TLS_CERT: tlsCert, SPANMESH_TLS_KEY: tlsKey })) return null;
  const check = ({ certificate }: TlsMaterial): void => {
    const missing =
      names.find((name) => !carriesName(certificate, name)) ??
      (gateway === null || mayBeGateway(certificate, gateway) ? undefined : gatewayCertificateName(gateway));
    if (missing === undefined) return;
    const shown = namesOf(certificate).join(', ') || 'nobody';
    throw new TlsError('wrong-name', tlsCert, `is the certificate of ${shown}, and must name ${missing}`);
  };
  const files = { ca: tlsCa, cert: tlsCert, key: tlsKey };
  return usable('SPANMESH_TLS_CERT', () => watchTlsFiles(files, deps, check), {
    [tlsCa]: 'SPANMESH_TLS_CA',
    [tlsKey]: 'SPANMESH_TLS_KEY',
  });
}

function readApiFiles({ apiTlsCa, apiTlsCert, apiTlsKey }: SecurityOptions, deps: FileDependencies): TlsFiles | null {
  if (!together({ SPANMESH_API_TLS_CERT: apiTlsCert, SPANMESH_API_TLS_KEY: apiTlsKey })) {
    if (apiTlsCa === '') return null;
    throw new SettingError('SPANMESH_API_TLS_CA', 'needs SPANMESH_API_TLS_CERT and SPANMESH_API_TLS_KEY');
  }
  const files = { ca: apiTlsCa === '' ? null : apiTlsCa, cert: apiTlsCert, key: apiTlsKey };
  return usable('SPANMESH_API_TLS_CERT', () => watchTlsFiles(files, deps), {
    [apiTlsCa]: 'SPANMESH_API_TLS_CA',
    [apiTlsKey]: 'SPANMESH_API_TLS_KEY',
  });
}

/** Whether all of them are set. Throws if only some are. */
function together(files: Record<string, string>): boolean {
  const set = Object.entries(files).filter(([, file]) => file !== '');
  if (set.length === 0) return false;
  const missing = Object.keys(files).find((name) => files[name] === '');
  if (missing === undefined) return true;
  throw new SettingError(
    missing,
    `must be set, too: ${set.map(([name]) => name).join(' and ')} cannot be used without it`,
  );
}

/** Calls `make`; for an error it names the setting whose file is at fault. */
function usable<T>(setting: string, make: () => T, byFile: Record<string, string> = {}): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TlsError)) throw error;
    throw new SettingError(byFile[error.file] ?? setting, error.message, { cause: error });
  }
}

function asksForUsers({ apiTokensFile, apiTlsCa }: SecurityOptions): boolean {
  return apiTokensFile !== '' || apiTlsCa !== '';
}

/**
 * Refuses ports that are too open: without TLS, or with an API that does not ask who its callers are, only loopback is
 * allowed.
 */
function refuseOpenPorts(options: SecurityOptions, listen: SecuredAddresses, logger: Logger): void {
  const { grpcListen, serviceListen } = listen;
  const open = [
    ['SPANMESH_SERVICE_LISTEN', serviceListen, options.tlsCert === '', 'SPANMESH_TLS_CA, _CERT and _KEY'],
    ['SPANMESH_GRPC_LISTEN', grpcListen, options.apiTlsCert === '', 'SPANMESH_API_TLS_CERT and _KEY'],
    ['SPANMESH_GRPC_LISTEN', grpcListen, !asksForUsers(options), 'SPANMESH_API_TOKENS_FILE or SPANMESH_API_TLS_CA'],
  ] as const;
  for (const [setting, address, isOpen, needed] of open) {
    if (!isOpen || isLoopbackHost(address.host)) continue;
    const where = formatHostPort(address);
    if (!options.insecure) {
      const why = `${where} is not a loopback address: set ${needed} (docs/tls.md), or SPANMESH_INSECURE=true`;
      throw new SettingError(setting, why);
    }
    logger.warn({ setting, address: where, needed }, 'SPANMESH_INSECURE: anybody who reaches this address may use it');
  }
}
