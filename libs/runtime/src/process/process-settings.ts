import { securitySettings } from '../access/security-settings.ts';
import type { HostPort } from '../address.ts';
import { LOG_LEVELS } from '../log/log-levels.ts';
import { installationSetting } from '../settings/installation-setting.ts';
import { type SettingValues, setting } from '../settings/setting.ts';
import { integer, listenAddress, oneOf } from '../settings/setting-types.ts';

/** Default addresses of a process, `host:port`: different for each service, so that all can run on one host. */
export interface ListenDefaults {
  readonly grpc: string;
  readonly service: string;
  readonly http: string;
}

/** Settings of every process, whatever services run in it; each service has its own besides. */
export function processSettings({ grpc, service, http }: ListenDefaults) {
  return {
    grpcListen: setting<HostPort>({
      env: 'SPANMESH_GRPC_LISTEN',
      flag: '--grpc-listen',
      default: grpc,
      describe: 'Where the gRPC API listens: host:port.',
      parse: listenAddress(),
    }),
    serviceListen: setting<HostPort>({
      env: 'SPANMESH_SERVICE_LISTEN',
      flag: '--service-listen',
      default: service,
      describe: 'Where the other services of the installation connect to (gRPC, not for users of the API): host:port.',
      parse: listenAddress(),
    }),
    httpListen: setting<HostPort>({
      env: 'SPANMESH_HTTP_LISTEN',
      flag: '--http-listen',
      default: http,
      describe: 'Where HTTP listens for health checks and metrics: host:port.',
      parse: listenAddress(),
    }),
    maxApiConnections: setting({
      env: 'SPANMESH_MAX_API_CONNECTIONS',
      flag: '--max-api-connections',
      default: '2048',
      describe: 'Most connections to the gRPC API; one address (IPv6: a /64) may have half of them.',
      parse: integer({ min: 2, max: 65_536 }),
    }),
    logLevel: setting({
      env: 'SPANMESH_LOG_LEVEL',
      flag: '--log-level',
      default: 'info',
      describe: `Least important log lines that are written: ${LOG_LEVELS.join(', ')}.`,
      parse: oneOf(LOG_LEVELS),
    }),
    ...installationSetting,
    ...securitySettings,
  };
}

/** What `readSettings(processSettings(…), …)` returns. */
export type ProcessOptions = SettingValues<ReturnType<typeof processSettings>>;
