import { printable } from '@spanmesh/ctl/output/printable';
import { quantity } from '@spanmesh/ctl/output/quantity';
import { gatewayState, roleName } from '@spanmesh/ctl/status/status-view';
import { passedOn } from '@spanmesh/ctl/top/passed-on';
import { count } from '@spanmesh/ctl/views/words';
import { gatewayId } from '@spanmesh/proto/gateway-id';
import { TrafficKind } from '@spanmesh/proto/v1/traffic';
import { dateAndTime } from '../clock.ts';
import { happened } from '../events.ts';
import { address } from '../route.ts';
import { notes, problems, status } from '../status.ts';
import { useTraffic } from '../traffic.ts';

/** Events that are shown here. */
const SHOWN_EVENTS = 12;

/** The state of the installation at a glance: the problems first. */
export function OverviewView() {
  const known = status.value;
  const { rows: classes } = useTraffic(TrafficKind.TRAFFIC_KIND_ROUTE_CLASS).value;
  if (known === null) return <p role="status">Asking…</p>;
  const { counts, replicas, gateways, leader } = known.topology;
  const passed = passedOn(classes);
  const all = known.processes?.processes ?? [];
  return (
    <>
      <h1 class="unseen">Overview</h1>
      <section aria-labelledby="problems">
        <h2 id="problems">{problems.value.length === 0 ? 'No problems' : count(problems.value.length, 'problem')}</h2>
        {problems.value.length === 0 && <p class="good">✓ The installation is well.</p>}
        <ul class="problems" aria-live="polite">
          {problems.value.map((problem) => (
            <li key={problem} class="bad">
              {problem}
            </li>
          ))}
          {notes.value.map((note) => (
            <li key={note} class="warn">
              {note}
            </li>
          ))}
        </ul>
      </section>
      <section aria-labelledby="counts">
        <h2 id="counts">How much there is</h2>
        <dl class="tiles">
          <Tile name="clusters" n={counts?.clusters} to="tree" />
          <Tile name="nodes" n={counts?.nodes} to="tree" />
          <Tile name="links" n={counts?.links} to="tree" />
          <Tile name="connections" n={counts?.connections} to="connections" />
          <Tile name="LNK_CONNs" n={counts?.lnkConns} to="connections" />
          <Tile name="relays" n={counts?.relays} to="tree" />
          <Tile name="refused relays" n={counts?.refused} to="tree" />
          <Tile name="routed msg/s" n={passed === null ? '–' : quantity(passed.messages)} to="connections" />
          <Tile name="routed B/s" n={passed === null ? '–' : quantity(passed.bytes)} to="connections" />
        </dl>
      </section>
      <div class="columns">
        <section aria-labelledby="who">
          <h2 id="who">Processes</h2>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">process</th>
                <th scope="col">what it does</th>
                <th scope="col">version</th>
              </tr>
            </thead>
            <tbody>
              {replicas.map((replica) => (
                <tr key={replica.replica}>
                  <td>topology at {printable(replica.address)}</td>
                  <td>
                    {roleName(replica.role)}
                    {replica.replica === leader?.replica && `, epoch ${leader.fullEpoch || leader.epoch}`}
                  </td>
                  <td>{printable(replica.version)}</td>
                </tr>
              ))}
              {gateways.map((gateway) => (
                <tr key={gatewayId(gateway)}>
                  <td>
                    <a href={address('gateways')}>{printable(gatewayId(gateway))}</a>
                  </td>
                  <td>{gatewayState(gateway)}</td>
                  <td>{printable(gateway.version)}</td>
                </tr>
              ))}
              {all
                .filter(({ service }) => service === 'volconf' || service === 'standalone')
                .map((process) => (
                  <tr key={process.id}>
                    <td>{printable(process.id)}</td>
                    <td>
                      {process.leads.length === 0 ? 'standby' : `leads ${process.leads.map(printable).join(', ')}`}
                    </td>
                    <td>{printable(process.version)}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </section>
        <section aria-labelledby="lately">
          <h2 id="lately">What changed lately</h2>
          {happened.value.length === 0 && <p class="hint">Nothing is known yet.</p>}
          <ul class="changes">
            {happened.value.slice(0, SHOWN_EVENTS).map(({ id, at, kind, tone, text }) => (
              <li key={id}>
                <time dateTime={new Date(at).toISOString()}>{dateAndTime(at)}</time> <span class={tone}>{kind}</span>{' '}
                <span class="id">{text}</span>
              </li>
            ))}
          </ul>
          {happened.value.length > SHOWN_EVENTS && <a href={address('events')}>All of them</a>}
        </section>
      </div>
    </>
  );
}

interface TileProps {
  readonly name: string;
  /** Undefined: the number is not known. */
  readonly n: number | string | undefined;
  readonly to: string;
}

function Tile({ name, n, to }: TileProps) {
  return (
    <div>
      <dt>
        <a href={address(to)}>{name}</a>
      </dt>
      <dd>{n?.toLocaleString() ?? '?'}</dd>
    </div>
  );
}
