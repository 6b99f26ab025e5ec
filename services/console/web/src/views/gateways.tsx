import { signal } from '@preact/signals';
import { printable } from '@spanmesh/ctl/output/printable';
import { gatewayState } from '@spanmesh/ctl/status/status-view';
import { gatewayId } from '@spanmesh/proto/gateway-id';
import type { DrainGatewayResponse, GatewayStatus } from '@spanmesh/proto/v1/topology';
import { ClientError, Status } from 'nice-grpc-web';
import { useState } from 'preact/hooks';
import { topology, words } from '../api.ts';
import { Dialog } from '../dialog.tsx';
import { mayOperate } from '../session.ts';
import { status } from '../status.ts';
import { type Column, Table } from '../table.tsx';

/** Pause before a drain whose stream was lost is asked for again, ms; and the most attempts. */
const AGAIN_MS = 1000;
const MOST_TRIES = 30;

/** The progress of a drain that was ordered on this page. */
interface Drain {
  readonly told: DrainGatewayResponse | null;
  readonly trouble: string;
}

/** Drains by gateway id; kept while the page is open. */
const drains = signal<ReadonlyMap<string, Drain>>(new Map());

export function GatewaysView() {
  const [asked, setAsked] = useState<GatewayStatus | null>(null);
  const gateways = status.value?.topology.gateways ?? [];
  const columns: readonly Column<GatewayStatus>[] = [
    { heading: 'Gateway', cell: (g) => <span class="id">{printable(gatewayId(g))}</span>, sort: (g) => g.name },
    {
      heading: 'State',
      cell: (g) => <span class={g.attached && !g.draining ? 'good' : 'warn'}>{gatewayState(g)}</span>,
      sort: gatewayState,
    },
    { heading: 'Connections', cell: (g) => g.connections, sort: (g) => g.connections, isNumber: true },
    { heading: 'LNK_CONNs', cell: (g) => g.lnkConns, sort: (g) => g.lnkConns, isNumber: true },
    { heading: 'Links', cell: (g) => g.links, sort: (g) => g.links, isNumber: true },
    { heading: 'Relays', cell: (g) => g.relays, sort: (g) => g.relays, isNumber: true },
    { heading: 'Version', cell: (g) => printable(g.version) },
    { heading: 'Drain', isAct: true, cell: (g) => <DrainCell gateway={g} ask={() => setAsked(g)} /> },
  ];
  return (
    <div class="full">
      <h1 class="unseen">Gateways</h1>
      <Table label="Gateways" columns={columns} rows={gateways} keyOf={gatewayId} empty="No gateway is attached." />
      {asked !== null && (
        <Dialog
          title={`Drain ${printable(asked.name)}`}
          action="Drain"
          close={() => setAsked(null)}
          act={async (form) => {
            const share = Number(form.get('share')) / 100;
            const deadlineMs = Math.round(Number(form.get('deadline')) * 1000);
            void drain(gatewayId(asked), share, deadlineMs);
          }}
        >
          <p>
            Moves a share of its accepted connections: each is closed in order, and its peer connects anew. The gateway
            goes on accepting.
          </p>
          <label>
            Share of its connections, percent
            <input name="share" type="number" min="1" max="100" value="100" required />
          </label>
          <label>
            Time for transactions and peers to end, seconds; 0: as when it stops
            <input name="deadline" type="number" min="0" max="86400" value="0" required />
          </label>
        </Dialog>
      )}
    </div>
  );
}

function DrainCell({ gateway, ask }: { readonly gateway: GatewayStatus; readonly ask: () => void }) {
  const { told = null, trouble = '' } = drains.value.get(gatewayId(gateway)) ?? {};
  const isUnderWay = told !== null && !told.done && trouble === '';
  return (
    <>
      {told !== null && (
        <span role="status">
          {told.done ? 'done: ' : ''}
          {told.closed + told.cut} of {told.chosen} closed{told.cut > 0 && `, ${told.cut} cut off`}{' '}
        </span>
      )}
      {trouble !== '' && (
        <span role="alert" class="bad">
          {trouble}{' '}
        </span>
      )}
      {mayOperate() && !isUnderWay && (
        <button type="button" class="small" onClick={ask} aria-label={`Drain ${printable(gateway.name)}`}>
          Drain…
        </button>
      )}
    </>
  );
}

/** Orders a drain and follows it, over a fail-over, too: the order has an id, and is given once. */
async function drain(gateway: string, share: number, deadlineMs: number): Promise<void> {
  const order = crypto.randomUUID();
  let told: DrainGatewayResponse | null = null;
  const show = (trouble: string): void => {
    drains.value = new Map(drains.value).set(gateway, { told, trouble });
  };
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      for await (const progress of topology.drainGateway({ gateway, share, order, deadlineMs })) {
        told = progress;
        tries = 0;
        show('');
      }
      return;
    } catch (error) {
      show(words(error));
      if (!(error instanceof ClientError) || error.code !== Status.UNAVAILABLE) return;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
