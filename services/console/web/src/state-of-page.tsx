import { ageText } from '@spanmesh/ctl/output/age-text';
import { now } from './clock.ts';
import { following } from './mirror.ts';
import { answeredAt, behindMs, statusTrouble } from './status.ts';

interface State {
  readonly kind: 'good' | 'warn' | 'bad';
  readonly text: string;
  /** Details for a tooltip. */
  readonly why: string;
}

/** Whether the page shows the present state, and if not since when. */
export function StateOfPage() {
  const { kind, text, why } = stateOfPage();
  return (
    <span class={`state ${kind}`} role="status" title={why} data-state={kind}>
      <span aria-hidden="true">●</span> {text}
    </span>
  );
}

function stateOfPage(): State {
  const tree = following.value;
  if (statusTrouble.value !== '' || tree.state === 'lost') {
    const since = tree.state === 'lost' && statusTrouble.value === '' ? tree.since : answeredAt.value || now.value;
    const why = statusTrouble.value || (tree.state === 'lost' ? tree.why : '');
    const ago = ageText(Math.max(0, Math.round((now.value - since) / 1000)));
    return { kind: 'bad', text: `disconnected for ${ago}, trying again`, why };
  }
  if (tree.state === 'beginning') return { kind: 'warn', text: 'loading', why: '' };
  const behind = behindMs.value;
  if (behind !== null) {
    return { kind: 'warn', text: `${(behind / 1000).toFixed(1)} s behind`, why: 'the replica that answers is behind' };
  }
  return { kind: 'good', text: 'live', why: '' };
}
