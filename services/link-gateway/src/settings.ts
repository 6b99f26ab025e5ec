import { UUID_TEXT } from '@spanmesh/dmsg/uuid';
import { DIALECT_NAMES, type DialectName } from '@spanmesh/proto/dialect';
import { GATEWAY_NAME } from '@spanmesh/proto/gateway-id';
import { parseHostPort } from '@spanmesh/runtime/address';
import { type SettingValues, setting } from '@spanmesh/runtime/settings/setting';
import { boolean, duration, integer, list, listenAddress, oneOf, text } from '@spanmesh/runtime/settings/setting-types';
import { entranceSettings } from './entrance/entrance-settings.ts';
import { hostLabel, MAX_NAME } from './entrance/host-name.ts';
import {
  DEFAULT_MAX_CONNECTIONS,
  DEFAULT_MAX_CONNECTIONS_PER_ADDRESS,
  DEFAULT_MAX_LINKS_PER_CONNECTION,
  DEFAULT_MAX_LNK_CONNS_PER_CONNECTION,
  DEFAULT_MAX_TRANSACTIONS,
  DEFAULT_SEND_LIMIT_BYTES,
} from './limits.ts';
import { shareSettings } from './shares/share-settings.ts';

/** An address that peers connect to. */
export interface DmsgListen {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The dialect of its peers: the gateway speaks first. null: the peer's first messages tell the dialect. */
  readonly dialect: DialectName | null;
}

/** Reads `[linkid://|circuit://]host:port`. Throws an Error that says what is wrong. */
export function parseDmsgListen(written: string): DmsgListen {
  const dialect = DIALECT_NAMES.find((name) => written.startsWith(`${name}://`)) ?? null;
  const rest = dialect === null ? written : written.slice(`${dialect}://`.length);
  const { host, port } = parseHostPort(rest, { minPort: 0 });
  return { host, port, dialect };
}

const gatewayName = text({
  min: 1,
  max: MAX_NAME,
  pattern: GATEWAY_NAME,
  says: 'must be made of a-z, 0-9 and -, and neither begin nor end with -',
});

const clusterText = text({
  pattern: UUID_TEXT,
  says: 'must be a UUID, as xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx',
});

/** Reads the UUID of a cluster; returns it in lower case. */
function clusterId(written: string): string {
  return clusterText(written).toLowerCase();
}

const positive = { min: 1, max: 2 ** 31 };

/** All settings of a gateway. */
export const gatewaySettings = {
  ...entranceSettings,
  ...shareSettings,
  name: setting({
    env: 'SPANMESH_GATEWAY_NAME',
    flag: '--gateway-name',
    default: 'gateway',
    describe: 'Name of this gateway, unique in the installation; empty: that of the host.',
    parse: (written) => (written === '' ? hostLabel() : gatewayName(written)),
  }),
  dmsgListen: setting({
    env: 'SPANMESH_DMSG_LISTEN',
    flag: '--dmsg-listen',
    default: '127.0.0.1:9987',
    describe: 'Where DMSG peers connect to: comma-separated [linkid://|circuit://]host:port.',
    parse: list(parseDmsgListen, { max: 64 }),
  }),
  reusePort: setting({
    env: 'SPANMESH_DMSG_REUSE_PORT',
    flag: '--dmsg-reuse-port',
    default: 'false',
    describe:
      'Let other gateways of the same user on this host listen on the same port for peers: the kernel spreads them (SO_REUSEPORT).',
    parse: boolean(),
  }),
  serviceAddress: setting({
    env: 'SPANMESH_GATEWAY_SERVICE_ADDRESS',
    flag: '--gateway-service-address',
    default: '',
    describe:
      'host:port under which other gateways reach the service port; empty: where it listens, or the host by its name if that is all addresses.',
    parse: text({ max: 300 }),
  }),
  trunkListen: setting({
    env: 'SPANMESH_TRUNK_LISTEN',
    flag: '--trunk-listen',
    default: '127.0.0.1:0',
    describe: 'Where other gateways connect for routed messages: host:port; port 0: any free one, they are told.',
    parse: listenAddress(),
  }),
  defaultDialect: setting({
    env: 'SPANMESH_DEFAULT_DIALECT',
    flag: '--default-dialect',
    default: 'circuit',
    describe: 'Dialect of a peer that has not shown its own in time: linkid or circuit.',
    parse: oneOf(DIALECT_NAMES),
  }),
  dialectTimeout: setting({
    env: 'SPANMESH_DIALECT_TIMEOUT',
    flag: '--dialect-timeout',
    default: '2s',
    describe: 'How long a listener without a dialect waits for the peer to show its own.',
    parse: duration({ min: 1 }),
  }),
  silentTimeout: setting({
    env: 'SPANMESH_SILENT_TIMEOUT',
    flag: '--silent-timeout',
    default: '60s',
    describe: 'A peer that has sent nothing at all for this long after connecting is closed.',
    parse: duration({ min: 1 }),
  }),
  idleProbe: setting({
    env: 'SPANMESH_IDLE_PROBE',
    flag: '--idle-probe',
    default: '0',
    describe: 'Send a PING to peers that have been quiet for this long; 0: never.',
    parse: duration(),
  }),
  probeTimeout: setting({
    env: 'SPANMESH_PROBE_TIMEOUT',
    flag: '--probe-timeout',
    default: '5s',
    describe: 'A peer that has once answered a PING is closed when it sends nothing for this long after another.',
    parse: duration({ min: 1 }),
  }),
  connectTimeout: setting({
    env: 'SPANMESH_CONNECT_TIMEOUT',
    flag: '--connect-timeout',
    default: '5s',
    describe: 'How long a connection that this gateway makes may take.',
    parse: duration({ min: 1 }),
  }),
  stallTimeout: setting({
    env: 'SPANMESH_STALL_TIMEOUT',
    flag: '--stall-timeout',
    default: '10s',
    describe: 'A peer that takes no bytes for this long while some wait for it is closed.',
    parse: duration({ min: 1 }),
  }),
  onDemandIdle: setting({
    env: 'SPANMESH_ON_DEMAND_IDLE',
    flag: '--on-demand-idle',
    default: '30s',
    describe: 'A span relayed only as the way back for messages (linkid) is closed when unused for this long.',
    parse: duration({ min: 1 }),
  }),
  consolidateReads: setting({
    env: 'SPANMESH_CONSOLIDATE_READS',
    flag: '--consolidate-reads',
    default: '',
    describe:
      'Clusters (circuit: peer_id) whose nodes are asked once for a block that many read at a time: comma-separated UUIDs; empty: none.',
    parse: list(clusterId, { max: 64 }),
  }),
  stopTimeout: setting({
    env: 'SPANMESH_STOP_TIMEOUT',
    flag: '--stop-timeout',
    default: '5s',
    describe:
      'How long a gateway that stops gives transactions in progress, and then peers, to end; also a drain by order.',
    parse: duration(),
  }),
  maxConnections: setting({
    env: 'SPANMESH_MAX_CONNECTIONS',
    flag: '--max-connections',
    default: String(DEFAULT_MAX_CONNECTIONS),
    describe: 'Most DMSG connections of this gateway.',
    parse: integer(positive),
  }),
  maxConnectionsPerAddress: setting({
    env: 'SPANMESH_MAX_CONNECTIONS_PER_ADDRESS',
    flag: '--max-connections-per-address',
    default: String(DEFAULT_MAX_CONNECTIONS_PER_ADDRESS),
    describe: 'Most DMSG connections with one address.',
    parse: integer(positive),
  }),
  maxLinks: setting({
    env: 'SPANMESH_MAX_LINKS_PER_CONNECTION',
    flag: '--max-links-per-connection',
    default: String(DEFAULT_MAX_LINKS_PER_CONNECTION),
    describe: 'Most LNK_SPANs that a peer may have open on one connection.',
    parse: integer(positive),
  }),
  maxLnkConns: setting({
    env: 'SPANMESH_MAX_LNK_CONNS_PER_CONNECTION',
    flag: '--max-lnk-conns-per-connection',
    default: String(DEFAULT_MAX_LNK_CONNS_PER_CONNECTION),
    describe: 'Most LNK_CONNs that a linkid peer may have open on one connection.',
    parse: integer(positive),
  }),
  maxTransactions: setting({
    env: 'SPANMESH_MAX_TRANSACTIONS',
    flag: '--max-transactions',
    default: String(DEFAULT_MAX_TRANSACTIONS),
    describe: 'Most transactions that a peer may have open on one connection, LNK_SPANs included.',
    parse: integer(positive),
  }),
  sendLimit: setting({
    env: 'SPANMESH_SEND_LIMIT',
    flag: '--send-limit',
    default: String(DEFAULT_SEND_LIMIT_BYTES),
    describe: 'Most bytes that may wait for one peer; beyond it the connection is closed.',
    parse: integer({ min: 4096, max: 2 ** 32 }),
  }),
};

/** What `readSettings(gatewaySettings, …)` returns. */
export type GatewayOptions = SettingValues<typeof gatewaySettings>;
