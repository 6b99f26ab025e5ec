/** The values of a series, minute by minute, in promtool's notation. */
export interface Series {
  readonly series: string;
  readonly values: string;
}

/** Series with which an alert fires after two hours, and series with which it does not. */
export interface AlertCase {
  readonly fires: readonly Series[];
  readonly silent: readonly Series[];
}

const POD = 'namespace="spanmesh",pod="a"';
const OTHER = 'namespace="spanmesh",pod="b"';
const series = (name: string, values: string, labels = POD): Series => ({ series: `${name}{${labels}}`, values });
const DAYS = 24 * 3600;

/** The cases of every alert. Each ends after two hours: 7200 s. */
export const ALERT_CASES: Readonly<Record<string, AlertCase>> = {
  SpanmeshNobodyLeads: {
    fires: [series('spanmesh_topology_leading', '0x120'), series('spanmesh_topology_leading', '0x120', OTHER)],
    silent: [series('spanmesh_topology_leading', '0x120'), series('spanmesh_topology_leading', '1x120', OTHER)],
  },
  SpanmeshSeveralLead: {
    fires: [series('spanmesh_topology_leading', '1x120'), series('spanmesh_topology_leading', '1x120', OTHER)],
    silent: [series('spanmesh_topology_leading', '1x120'), series('spanmesh_topology_leading', '0x120', OTHER)],
  },
  SpanmeshGatewayNotAttached: {
    fires: [
      series('spanmesh_topology_leading', '1x120'),
      series('spanmesh_topology_gateways', '3x120'),
      series('spanmesh_topology_gateways_live', '2x120'),
    ],
    // A standby has no gateways, which must not be reported.
    silent: [
      series('spanmesh_topology_leading', '0x120'),
      series('spanmesh_topology_gateways', '3x120'),
      series('spanmesh_topology_gateways_live', '0x120'),
    ],
  },
  SpanmeshProcessMissing: {
    fires: [
      series('spanmesh_topology_leading', '1x120'),
      series('spanmesh_topology_processes_missing', '1x120', `${POD},kind="topology"`),
    ],
    // A standby's values do not count.
    silent: [
      series('spanmesh_topology_leading', '0x120'),
      series('spanmesh_topology_processes_missing', '1x120', `${POD},kind="topology"`),
    ],
  },
  SpanmeshTargetFails: {
    fires: [series('spanmesh_volconf_targets', '1x120', `${POD},state="connect"`)],
    silent: [
      series('spanmesh_volconf_targets', '1x110 0x9', `${POD},state="connect"`),
      series('spanmesh_volconf_targets', '1x120', `${POD},state="running"`),
    ],
  },
  SpanmeshWithoutNats: {
    fires: [series('spanmesh_nats_connected', '0x120')],
    silent: [series('spanmesh_nats_connected', '0x118 1 1')],
  },
  SpanmeshCertificateEnds: {
    fires: [series('spanmesh_tls_certificate_expiry_timestamp_seconds', `${6 * DAYS}x120`)],
    silent: [series('spanmesh_tls_certificate_expiry_timestamp_seconds', `${8 * DAYS}x120`)],
  },
  SpanmeshCertificateUnusable: {
    fires: [series('spanmesh_tls_reload_failures_total', '0x110 1x9')],
    silent: [series('spanmesh_tls_reload_failures_total', '1x120')],
  },
  SpanmeshKeysUnusable: {
    fires: [series('spanmesh_gateway_keys_problems', '1x120')],
    silent: [series('spanmesh_gateway_keys_problems', '1x118 0 0')],
  },
  SpanmeshGatewayFaults: {
    fires: [series('spanmesh_gateway_internal_errors_total', '0x110 1x9')],
    silent: [series('spanmesh_gateway_internal_errors_total', '1x120')],
  },
  SpanmeshSharesReached: {
    fires: [series('spanmesh_gateway_share_limits_total', '0+5x120', `${POD},resource="links"`)],
    silent: [series('spanmesh_gateway_share_limits_total', '0x80 5x39', `${POD},resource="links"`)],
  },
  SpanmeshTurnsLong: {
    fires: turns({ short: 100, long: 5 }),
    silent: turns({ short: 1000, long: 5 }),
  },
  SpanmeshLogLinesLost: {
    fires: [series('spanmesh_log_lines_lost_total', '0x110 1x9')],
    silent: [series('spanmesh_log_lines_lost_total', '1x120')],
  },
  SpanmeshEventsLost: {
    fires: [series('spanmesh_topology_events_lost_total', '0x110 7x9')],
    // Losses of long ago, and of a replica that has just started.
    silent: [
      series('spanmesh_topology_events_lost_total', '0x80 7x39'),
      series('spanmesh_topology_events_lost_total', '7x100 0x19', OTHER),
    ],
  },
  SpanmeshHandshakesFail: {
    fires: [series('spanmesh_gateway_handshakes_failed_total', '0+10x120', `${POD},error="KEYXCHGFAIL"`)],
    silent: [series('spanmesh_gateway_handshakes_failed_total', '0+1x120', `${POD},error="KEYXCHGFAIL"`)],
  },
  SpanmeshNatsUnsteady: {
    fires: [series('spanmesh_nats_losses_total', '0x100 0+1x19')],
    silent: [series('spanmesh_nats_losses_total', '0x100 1x19')],
  },
  SpanmeshCallsLimited: {
    fires: [series('spanmesh_calls_passed_on_limits_total', '0x110 1x9', `${POD},service="volconf"`)],
    silent: [series('spanmesh_calls_passed_on_limits_total', '1x120', `${POD},service="volconf"`)],
  },
  SpanmeshTracesLost: {
    fires: [series('spanmesh_trace_parts_lost_total', '0x60 0+9x59', `${POD},reason="not_taken"`)],
    // A collector that was unavailable for some minutes.
    silent: [series('spanmesh_trace_parts_lost_total', '0x98 0+9x5 45x15', `${POD},reason="not_taken"`)],
  },
};

/** Durations of event loop turns in a minute: of turns up to 250 ms, and of longer ones. */
function turns({ short, long }: { readonly short: number; readonly long: number }): Series[] {
  const upTo = (le: string, count: number) =>
    series('spanmesh_turn_seconds_bucket', `0+${count}x120`, `${POD},le="${le}"`);
  return [upTo('0.25', short), upTo('0.5', short + long), upTo('+Inf', short + long)];
}
