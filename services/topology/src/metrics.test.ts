import { ProcessKind } from '@spanmesh/proto/v1/topology';
import { Metrics } from '@spanmesh/runtime/metrics';
import { describe, expect, it } from 'vitest';
import type { ReplicaEvents } from './events/replica-events.ts';
import { type Measured, registerAttachTraffic, registerEventMetrics, registerMetrics } from './metrics.ts';

/** All registered metrics with their values; the names without their common prefix. */
async function scraped(register: (metrics: Metrics) => void): Promise<Record<string, number>> {
  const metrics = new Metrics();
  register(metrics);
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('spanmesh_topology_'));
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', value] = line.split(' ');
      return [name.replace('spanmesh_topology_', ''), Number(value)];
    }),
  );
}

const missing = (kind: ProcessKind) => ({ kind, id: '', name: '', missingMs: 0, dead: false });

/** A replica in which every number is different. */
function measured(): Measured {
  const counts = { connections: 11, lnkConns: 12, clusters: 13, nodes: 14, links: 15, relays: 16, refused: 17 };
  return {
    leadership: { valid: true, epoch: 21, settled: true, frozenMs: 22_000 },
    state: { gateways: { size: 23 }, trees: { tree: { counts }, closed: { refused: 24, snapshot: 25 } } },
    control: { live: 26, attached: 27 },
    reaper: { declared: 28 },
    roster: { silent: () => [{}, {}] },
    processes: () => ({
      missing: [
        missing(ProcessKind.PROCESS_KIND_TOPOLOGY),
        missing(ProcessKind.PROCESS_KIND_TOPOLOGY),
        missing(ProcessKind.PROCESS_KIND_LINK_GATEWAY),
        missing(ProcessKind.PROCESS_KIND_UNSPECIFIED),
      ],
    }),
    commander: { opened: 31, closed: { selection: 32, gone: 33 }, queuedBytes: 34 },
    history: { bytes: 35 },
    directory: { waiting: 36 },
    api: { watches: 37 },
    nonsense: 38,
    tables: () => ({ roster: 61, graves: 0 }),
    follower: { isLive: true, snapshots: 41, differences: 42, unknownChanges: 43, view: { lagMs: 5000 } },
    publisher: { followers: 51, messages: 52, bytes: 53, queuedBytes: 54, cutOff: 55 },
  } as unknown as Measured;
}

const all = (of: Measured) => scraped((metrics) => registerMetrics(metrics, of));

describe('the metrics of topology', () => {
  it('are read when they are scraped', async () => {
    expect(await all(measured())).toEqual({
      leading: 1,
      epoch: 21,
      gateways: 23,
      gateways_live: 26,
      gateways_dead_total: 28,
      gateways_silent: 2,
      'processes_missing{kind="link-gateway"}': 1,
      'processes_missing{kind="topology"}': 2,
      'processes_missing{kind="volconf"}': 0,
      attaches_total: 27,
      connections: 11,
      lnk_conns: 12,
      clusters: 13,
      nodes: 14,
      links: 15,
      relays: 16,
      relays_refused: 17,
      relays_opened_total: 31,
      'relays_closed_total{reason="selection"}': 32,
      'relays_closed_total{reason="gone"}': 33,
      'relays_closed_total{reason="refused"}': 24,
      'relays_closed_total{reason="snapshot"}': 25,
      'open{table="roster"}': 61,
      'open{table="graves"}': 0,
      queued_bytes: 34,
      history_bytes: 35,
      directory_waiting: 36,
      watches: 37,
      nonsense_total: 38,
      replica_lag_seconds: 22,
      replica_following: 1,
      replica_snapshots_total: 41,
      replica_differences_total: 42,
      replica_unknown_changes_total: 43,
      followers: 51,
      follower_messages_total: 52,
      follower_bytes_total: 53,
      follower_queued_bytes: 54,
      followers_cut_off_total: 55,
    });
  });

  it('give a standby’s lag, and none for a replica without trees', async () => {
    const standby = measured();
    Object.assign(standby.leadership, { valid: false, settled: false });
    expect(await all(standby)).toMatchObject({ leading: 0, replica_lag_seconds: 5 });
    Object.assign(standby.follower, { isLive: false, view: undefined });
    expect(await all(standby)).toMatchObject({ replica_following: 0, replica_lag_seconds: Number.NaN });
  });

  it('count bytes and messages of gateways’ streams, in both directions', async () => {
    const traffic = { bytesIn: 1, messagesIn: 2, bytesOut: 3, messagesOut: 4 };
    expect(await scraped((metrics) => registerAttachTraffic(metrics, traffic as never))).toEqual({
      attach_received_bytes_total: 1,
      attach_received_messages_total: 2,
      attach_sent_bytes_total: 3,
      attach_sent_messages_total: 4,
    });
  });

  it('count events by kind, lost events, and watches', async () => {
    const events = { collector: { counts: { 'peer-up': 2, 'peer-down': 1 }, lost: 3 }, api: { watches: 4 } };
    expect(await scraped((metrics) => registerEventMetrics(metrics, events as unknown as ReplicaEvents))).toEqual({
      'events_total{kind="peer-up"}': 2,
      'events_total{kind="peer-down"}': 1,
      events_lost_total: 3,
      event_watches: 4,
    });
  });
});
