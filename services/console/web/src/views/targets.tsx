import { printable } from '@spanmesh/ctl/output/printable';
import { timeText } from '@spanmesh/ctl/views/words';
import { originName, stateName, stateRole, targetDialect } from '@spanmesh/ctl/volconf/target-words';
import { Dialect } from '@spanmesh/proto/v1/types';
import { type Target, TargetOrigin, TargetState } from '@spanmesh/proto/v1/volconf';
import { useEffect, useState } from 'preact/hooks';
import { volconf } from '../api.ts';
import { age } from '../clock.ts';
import { Dialog } from '../dialog.tsx';
import { mayOperate } from '../session.ts';
import { type Column, Table } from '../table.tsx';
import { followTargets, targets, targetsTrouble } from '../targets.ts';

export function TargetsView() {
  const [asked, setAsked] = useState<Target | 'new' | null>(null);
  const [state, setState] = useState<TargetState>(TargetState.TARGET_STATE_UNSPECIFIED);
  useEffect(followTargets, []);
  const all = [...(targets.value?.values() ?? [])];
  const rows = all.filter((one) => state === TargetState.TARGET_STATE_UNSPECIFIED || one.state === state);
  const columns: readonly Column<Target>[] = [
    { heading: 'Name', cell: (t) => <span class="id">{printable(t.name)}</span>, sort: (t) => t.name },
    { heading: 'Path', cell: (t) => printable(t.path), sort: (t) => t.path },
    {
      heading: 'State',
      cell: (t) => <span class={stateRole(t) ?? ''}>{stateName(t.state)}</span>,
      sort: (t) => t.state,
    },
    { heading: 'For', cell: (t) => <time title={timeText(t.since)}>{age(t.since)}</time>, isNumber: true },
    {
      heading: 'Last error',
      cell: (t) => (
        <span title={timeText(t.lastErrorAt)}>
          {printable(t.lastError)}
          {t.lastErrorAt !== undefined && `, ${age(t.lastErrorAt)} ago`}
        </span>
      ),
    },
    { heading: 'Next try', cell: (t) => nextTry(t) },
    { heading: 'Tries', cell: (t) => t.attempts, sort: (t) => t.attempts, isNumber: true },
    { heading: 'Connection', cell: (t) => <span class="id">{printable(t.connection || t.gateway)}</span> },
    { heading: 'Origin', cell: (t) => originName(t.origin), sort: (t) => t.origin },
    { heading: 'Dialect', cell: targetDialect, sort: (t) => t.dialect },
    ...(mayOperate()
      ? [{ heading: 'Remove', isAct: true, cell: (t: Target) => <Remove target={t} ask={() => setAsked(t)} /> }]
      : []),
  ];
  return (
    <div class="full">
      <h1 class="unseen">Targets</h1>
      <div class="tools">
        <select
          aria-label="State"
          value={state}
          onChange={({ currentTarget }) => setState(Number(currentTarget.value) as TargetState)}
        >
          <option value={TargetState.TARGET_STATE_UNSPECIFIED}>all states</option>
          <option value={TargetState.TARGET_STATE_RUNNING}>running</option>
          <option value={TargetState.TARGET_STATE_CONNECT}>connect</option>
          <option value={TargetState.TARGET_STATE_STOPPED}>stopped</option>
        </select>
        {mayOperate() && (
          <button type="button" onClick={() => setAsked('new')}>
            Add a target…
          </button>
        )}
        {targetsTrouble.value !== '' && (
          <span class="warn" role="status">
            Not followed: {targetsTrouble.value}
          </span>
        )}
      </div>
      <Table
        label="Targets"
        columns={columns}
        rows={rows}
        keyOf={({ name }) => name}
        empty={targets.value === null ? 'Asking…' : 'There is none.'}
      />
      {asked === 'new' && (
        <Dialog title="Add a target" action="Add" close={() => setAsked(null)} act={add}>
          <label>
            Name
            <input name="name" required maxLength={63} pattern="[a-z0-9]([\-a-z0-9.]*[a-z0-9])?" />
          </label>
          <label>
            Address, host or host:port
            <input name="path" required maxLength={300} placeholder="192.0.2.1:987" />
          </label>
          <label>
            Dialect
            <select name="dialect">
              <option value={Dialect.DIALECT_UNSPECIFIED}>the peer's own</option>
              <option value={Dialect.DIALECT_CIRCUIT}>circuit</option>
              <option value={Dialect.DIALECT_LINKID}>linkid</option>
            </select>
          </label>
        </Dialog>
      )}
      {asked !== null && asked !== 'new' && (
        <Dialog
          title={`Remove ${printable(asked.name)}`}
          action="Remove"
          close={() => setAsked(null)}
          act={async () => {
            await volconf.removeTarget({ name: asked.name });
          }}
        >
          <p>Its connection is hung up, and not made again.</p>
        </Dialog>
      )}
    </div>
  );
}

async function add(form: FormData): Promise<void> {
  const text = (name: string): string => String(form.get(name) ?? '').trim();
  const path = text('path');
  await volconf.setTarget({
    name: text('name'),
    path: path.startsWith('span:') ? path : `span:${path}`,
    dialect: Number(text('dialect')) as Dialect,
  });
}

/** A target that a volume asks for cannot be removed. */
function Remove({ target, ask }: { readonly target: Target; readonly ask: () => void }) {
  if (target.origin !== TargetOrigin.TARGET_ORIGIN_OPERATOR) return null;
  return (
    <button type="button" class="small" aria-label={`Remove ${printable(target.name)}`} onClick={ask}>
      Remove…
    </button>
  );
}

function nextTry({ nextTry: at }: Target) {
  if (at === undefined) return '';
  return <time title={timeText(at)}>{at.getTime() <= Date.now() ? 'now' : `in ${age(at)}`}</time>;
}
