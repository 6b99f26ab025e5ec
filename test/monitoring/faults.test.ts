import { main } from '@spanmesh/ctl/main';
import { RecordingTerminal } from '@spanmesh/ctl/terminal.fixture';
import { type Event, EventKind, ListEventsRequest, ListEventsResponse } from '@spanmesh/proto/v1/events';
import { freePort } from '@spanmesh/runtime/free-port.fixture';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServiceProcess } from '../peer/installation.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { PATIENCE_MS, RawPeer } from '../peer/raw-peer.ts';
import type { Series } from './alerts.ts';
import { Rules } from './firing.ts';

// The same fault as operators see it: status, events, the console's API, the log of the process that noticed it,
// metrics, and the alerts evaluated on these metrics.

const TIMEOUT = { timeout: 6 * PATIENCE_MS };
const rules = new Rules();
let installation: NatsInstallation;
beforeAll(async () => {
  const env = { SPANMESH_LOG_LEVEL: 'info', SPANMESH_CONSOLE_LISTEN: '127.0.0.1:0' };
  installation = await NatsInstallation.start({ topologies: 2, gateways: 1, volconfs: 1 }, env);
}, 6 * PATIENCE_MS);
afterAll(async () => {
  rules.remove();
  await installation?.stop();
});

/** The output of a command that asks a process's API. */
async function spanmesh({ ports }: ServiceProcess, ...args: string[]): Promise<string> {
  const terminal = new RecordingTerminal();
  await main([...args, '--address', `127.0.0.1:${ports.grpc}`], terminal);
  return terminal.printed;
}

/** Waits until a command's output matches. */
function prints(process: ServiceProcess, args: readonly string[], wanted: RegExp): Promise<string> {
  let printed = '';
  return eventually(
    async () => {
      printed = await spanmesh(process, ...args);
      return wanted.test(printed) ? printed : undefined;
    },
    () => `${args.join(' ')} prints ${wanted}: ${printed}`,
  );
}

/** The events of a kind, as the page of a replica's console receives them. */
async function eventsOfConsole(topology: ServiceProcess, kind: EventKind): Promise<Event[]> {
  const url = /"console":"(http:[^"]+)\/"/.exec(topology.output)?.[1] ?? '';
  const session = await fetch(`${url}/session`);
  const { csrf } = (await session.json()) as { csrf: string };
  const cookie = (session.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  const message = Buffer.from(ListEventsRequest.encode(ListEventsRequest.fromPartial({ kinds: [kind] })).finish());
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const answer = await fetch(`${url}/spanmesh.v1.Events/ListEvents`, {
    method: 'POST',
    headers: { origin: url, cookie, 'spanmesh-csrf': csrf, 'content-type': 'application/grpc-web+proto' },
    body: Buffer.concat([head, message]),
  });
  const body = Buffer.from(await answer.arrayBuffer());
  expect([answer.status, body[0]]).toEqual([200, 0]);
  return ListEventsResponse.decode(body.subarray(5, 5 + body.readUInt32BE(1))).events;
}

/** Waits for the line that a process has logged about a subject, which must be one only. */
function logged(process: ServiceProcess, message: string, subject: string): Promise<Record<string, unknown>> {
  return eventually(() => {
    const lines = process.output
      .split('\n')
      .filter((line) => line.includes(`"msg":"${message}"`) && line.includes(subject));
    return lines.length === 0 ? undefined : (JSON.parse(lines[0] ?? '') as Record<string, unknown>);
  }, `"${message}" is in the log of ${subject}`);
}

/** The metrics of all running processes, as series that keep their present values for two hours. */
async function measured(): Promise<Series[]> {
  const { topologies, gateways, volconfs } = installation;
  const living = [...topologies, ...gateways, ...volconfs].filter(
    ({ child }) => child.exitCode === null && child.signalCode === null,
  );
  const series: Series[] = [];
  for (const { ports } of living) {
    const text = await (await fetch(`http://127.0.0.1:${ports.http}/metrics`)).text();
    for (const [, name, labels = '', value] of text.matchAll(/^(spanmesh_\w+)(?:\{(.*)\})? (\S+)$/gm)) {
      if (name?.endsWith('_bucket')) continue;
      const own = ['namespace="spanmesh"', `pod="${ports.http}"`, ...(labels === '' ? [] : [labels])].join();
      series.push({ series: `${name}{${own}}`, values: `${value}x120` });
    }
  }
  return series;
}

/** Waits until the metrics make an alert fire. */
async function fires(alert: string, isMeasured: (series: readonly Series[]) => boolean): Promise<void> {
  const series = await eventually(async () => {
    const now = await measured();
    return isMeasured(now) ? now : undefined;
  }, `what ${alert} looks at is measured`);
  expect(rules.isFiring(alert, series), alert).toBe(true);
}

const value = (series: readonly Series[], wanted: RegExp): number =>
  series
    .filter(({ series: name }) => wanted.test(name))
    .reduce((sum, { values }) => sum + Number.parseFloat(values), 0);
const counted = (series: readonly Series[], kind: string): number =>
  value(series, new RegExp(`^spanmesh_topology_events_total\\{.*kind="${kind}"`));

describe('the same fault, as every view shows it', () => {
  it('no fault at first', TIMEOUT, async () => {
    await prints(installation.topologies[0]!, ['status'], /^healthy\n/);
    const series = await measured();
    expect(rules.firing(series)).toEqual([]);
  });

  it('a peer that is cut off', TIMEOUT, async () => {
    const [topology] = installation.topologies as [ServiceProcess];
    const [gateway] = installation.gateways;
    if (gateway === undefined) throw new Error('no gateway');
    const peer = await RawPeer.connect({ port: gateway.dmsg.circuit, dialect: 'circuit' });
    const listed = await prints(topology, ['conns'], /^gateway-1\.\S+ /m);
    const connection = /^gateway-1\.\S+/m.exec(listed)?.[0] ?? '';
    peer.socket.resetAndDestroy();
    await eventually(async () => {
      const now = await spanmesh(topology, 'conns');
      return now.includes(connection) ? undefined : true;
    }, 'it is listed no more');
    const down = ['events', '--kind', 'peer-down', '--subject', connection];
    for (const replica of installation.topologies) {
      await prints(replica, down, /^\S+ \S+Z peer-down +gateway-1\.\S+ 127\.0\.0\.1:\d+ circuit - the /m);
    }
    const [seen] = (await eventsOfConsole(topology, EventKind.EVENT_KIND_PEER_DOWN)).filter(
      ({ subject }) => subject === connection,
    );
    expect(seen?.peer).toMatchObject({ connection, reason: expect.stringMatching(/^the /) });
    expect(await logged(gateway, 'peer is down', connection)).toMatchObject({
      level: 'info',
      reason: seen?.peer?.reason,
    });
    await prints(topology, ['status'], /^0 connections, /m);
    const series = await measured();
    expect(counted(series, 'peer-down')).toBeGreaterThan(0);
    // No alert fires for a single peer, as peers often come and go.
    expect(rules.firing(series)).toEqual([]);
  });

  it('a target that fails', TIMEOUT, async () => {
    const [topology] = installation.topologies as [ServiceProcess];
    const [volconf] = installation.volconfs as [ServiceProcess];
    const port = await freePort();
    await spanmesh(volconf, 'volconf', 'set', 'lab', `span:127.0.0.1:${port}`);
    await prints(
      topology,
      ['status'],
      /volconf cannot reach 1 target: lab \(span:127\.0\.0\.1:\d+\): nobody answers there/,
    );
    const printed = await prints(topology, ['events', '--subject', 'lab'], /target-failed/);
    // Each event is listed once. Events of different processes within a tenth of a second may be in any order.
    const lines = printed.split('\n').map((line) => line.replace(/^\S+ \S+Z /, ''));
    for (const wanted of [
      new RegExp(`^operator-act +lab Volconf/SetTarget span:127\\.0\\.0\\.1:${port} by somebody from 127\\.0\\.0\\.1$`),
      new RegExp(`^target-connecting +lab 127\\.0\\.0\\.1:${port} by gateway-1\\.`),
      new RegExp(`^target-failed +lab 127\\.0\\.0\\.1:${port} - nobody answers there`),
    ]) {
      expect(
        lines.filter((line) => wanted.test(line)),
        printed,
      ).toHaveLength(1);
    }
    const failed = await eventsOfConsole(topology, EventKind.EVENT_KIND_TARGET_FAILED);
    expect(failed.map(({ subject }) => subject)).toContain('lab');
    expect(await logged(volconf, 'target cannot be connected', 'lab')).toMatchObject({
      level: 'info',
      address: `127.0.0.1:${port}`,
    });
    await fires('SpanmeshTargetFails', (series) => counted(series, 'target-failed') > 0);
  });

  /** Checks that every view of another replica shows a killed replica as lost. */
  async function isSeenAsLost(replica: ServiceProcess, by: ServiceProcess): Promise<void> {
    const lost = `topology at 127.0.0.1:${replica.ports.service}`;
    await prints(
      by,
      ['status'],
      new RegExp(`^ {2}the topology replica at 127\\.0\\.0\\.1:${replica.ports.service} is missing for`, 'm'),
    );
    await prints(by, ['events', '--subject', lost], /replica-lost +topology at \S+ - it gives no sign of life/);
    const told = await eventsOfConsole(by, EventKind.EVENT_KIND_REPLICA_LOST);
    expect(told.map(({ subject }) => subject)).toContain(lost);
    await logged(by, 'replica is lost', lost);
    await fires('SpanmeshProcessMissing', (series) => counted(series, 'replica-lost') > 0);
  }

  it('a replica that is lost', TIMEOUT, async () => {
    const [leader, standby] = installation.topologies as [ServiceProcess, ServiceProcess];
    const before = await eventsOfConsole(leader, EventKind.EVENT_KIND_LEADER_CHANGED);
    await standby.stop('SIGKILL');
    await isSeenAsLost(standby, leader);
    // The killed replica was not the leader.
    expect(await eventsOfConsole(leader, EventKind.EVENT_KIND_LEADER_CHANGED)).toEqual(before);
    const again = standby.again();
    installation.topologies[1] = again;
    await again.ready();
    await prints(leader, ['status'], /^healthy\n/);
    const series = await measured();
    expect(rules.isFiring('SpanmeshProcessMissing', series)).toBe(false);
  });

  it('a leader that is killed', TIMEOUT, async () => {
    const [leader, standby] = installation.topologies as [ServiceProcess, ServiceProcess];
    const before = await eventsOfConsole(standby, EventKind.EVENT_KIND_PEER_DOWN);
    await leader.stop('SIGKILL');
    await isSeenAsLost(leader, standby);
    const leads = `topology at 127.0.0.1:${standby.ports.service}`;
    await prints(standby, ['status'], new RegExp(`^leader: 127\\.0\\.0\\.1:${standby.ports.service}, epoch`, 'm'));
    await prints(standby, ['events', '--subject', leads], /leader-changed +topology at \S+ epoch \d+/);
    const changed = await eventsOfConsole(standby, EventKind.EVENT_KIND_LEADER_CHANGED);
    expect(changed.map(({ subject }) => subject)).toContain(leads);
    // The new leader still has the events from before.
    expect(await eventsOfConsole(standby, EventKind.EVENT_KIND_PEER_DOWN)).toEqual(before);
    await logged(standby, 'replica leads', leads);
    const series = await measured();
    expect(value(series, /^spanmesh_topology_leading\{/)).toBe(1);
    expect(counted(series, 'leader-changed')).toBeGreaterThan(0);
    // There is a leader, so these alerts do not fire.
    expect(['SpanmeshNobodyLeads', 'SpanmeshSeveralLead'].filter((alert) => rules.isFiring(alert, series))).toEqual([]);
  });
});
