import { computed, signal } from '@preact/signals';
import { TARGETS_LOOKED_AT } from '@spanmesh/ctl/status/failing-targets';
import { notesOf, problemsOf, type Status } from '@spanmesh/ctl/status/problems';
import { TargetState } from '@spanmesh/proto/v1/volconf';
import { isUnserved, processes, topology, volconf, words } from './api.ts';
import { follow } from './follow.ts';

/** How often the server is asked for the status, ms. */
const ASK_MS = 2000;
/** Longest wait for an answer, ms. */
const ANSWER_MS = 8000;
/** Longest wait for targets, ms: they matter less than the rest of the status. */
const TARGETS_MS = 2000;
/** An answer that is older than this gets a note, ms. */
const BEHIND_MS = 2500;

/** The status, as `spanmesh status` asks for it; null: not known yet. */
export const status = signal<Status | null>(null);
/** Why the last request had no answer; empty: it had one. */
export const statusTrouble = signal('');
/** When the last answer came, ms since 1970. */
export const answeredAt = signal(0);

/** The sentences of `spanmesh status`. */
export const problems = computed(() => (status.value === null ? [] : problemsOf(status.value)));
export const notes = computed(() => (status.value === null ? [] : notesOf(status.value)));

/** How old the data of the answering replica is, ms; null: it is the leader, or the age is unknown. */
export const behindMs = computed(() => {
  const { replica, replicas } = status.value?.topology ?? { replica: '', replicas: [] };
  const own = replicas.find((one) => one.replica === replica);
  return own !== undefined && own.lagMs > BEHIND_MS ? own.lagMs : null;
});

/** Asks for the status for ever. @returns a function that ends it */
export function followStatus(): () => void {
  return follow(
    async (signal, progress) => {
      while (!signal.aborted) {
        await ask(AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]));
        progress();
        await new Promise((resolve) => setTimeout(resolve, ASK_MS));
      }
    },
    (error) => {
      statusTrouble.value = words(error);
    },
  );
}

async function ask(signal: AbortSignal): Promise<void> {
  const [answer, all, tried] = await Promise.all([
    topology.getStatus({}, { signal }),
    processes.listProcesses({}, { signal }).catch((error: unknown) => {
      if (isUnserved(error)) return null;
      throw error;
    }),
    volconf
      .listTargets(
        { state: TargetState.TARGET_STATE_CONNECT, pageSize: TARGETS_LOOKED_AT },
        { signal: AbortSignal.any([signal, AbortSignal.timeout(TARGETS_MS)]) },
      )
      .catch(() => null),
  ]);
  status.value = { topology: answer, processes: all, tried };
  statusTrouble.value = '';
  answeredAt.value = Date.now();
}
