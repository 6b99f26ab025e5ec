import { status as grpcStatus } from '@grpc/grpc-js';
import { ListProcessesResponse } from '@spanmesh/proto/v1/process';
import { GetStatusResponse } from '@spanmesh/proto/v1/topology';
import { isServiceError } from '../api/call-failure.ts';
import { ProcessApi } from '../api/process-api.ts';
import { TopologyApi } from '../api/topology-api.ts';
import { VolconfApi } from '../api/volconf-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import type { ListOptions } from '../list-options.ts';
import { protobufJson } from '../output/json.ts';
import type { Paint } from '../output/paint.ts';
import { type Look, printView, type Room } from '../output/print-view.ts';
import { checkSelection } from '../output/select-rows.ts';
import type { Terminal } from '../terminal.ts';
import { count } from '../views/words.ts';
import { type Expected, fewerThanExpected } from './expect.ts';
import { notesOf, problemsOf, type Status } from './problems.ts';
import { type Findings, STATUS_COLUMNS, selectStatus, statusText } from './status-view.ts';

/**
 * Prints the state of the installation; `expected`: the least number of processes of each service.
 * @throws Failure also if there are problems: exit code 1
 */
export async function showStatus(options: ListOptions, expected: Expected, terminal: Terminal): Promise<void> {
  checkSelection(STATUS_COLUMNS, options);
  const last = await printView(async () => lookAt(await fetchStatus(options), expected, options), options, terminal);
  const { length } = last.problems;
  if (length > 0) throw new Failure('refused', `not healthy: ${count(length, 'problem')}`);
}

/** Longest wait for volconf's answer, ms: failing targets are only a note of the status. */
const TARGETS_WAIT_MS = 2000;

interface StatusLook extends Look {
  readonly problems: readonly string[];
}

function lookAt(status: Status, expected: Expected, options: ListOptions): StatusLook {
  const problems = [...fewerThanExpected(expected, status), ...problemsOf(status)];
  const findings = { problems, notes: notesOf(status) };
  const isWide = options.output === 'wide';
  return {
    problems,
    text: (paint: Paint, { width, lines }: Room) =>
      linesThatFit(statusText(status, findings, { selection: options, isWide, width, paint }), lines, paint),
    document: () => documentOf(selectStatus(status, options), findings),
  };
}

/** The first lines, at most `most`; the last one says how many more there are. */
function linesThatFit(text: string, most: number, paint: Paint): string {
  const lines = text.trimEnd().split('\n');
  if (lines.length <= most) return text;
  const kept = lines.slice(0, most - 1);
  return `${[...kept, paint('faint', `and ${count(lines.length - kept.length, 'more line')}`)].join('\n')}\n`;
}

function documentOf({ topology, processes }: Status, { problems, notes }: Findings): unknown {
  return {
    healthy: problems.length === 0,
    problems,
    notes,
    ...(protobufJson(GetStatusResponse, topology) as object),
    ...(processes === null ? {} : (protobufJson(ListProcessesResponse, processes) as object)),
  };
}

async function fetchStatus(options: ApiOptions): Promise<Status> {
  const topologyApi = new TopologyApi(options);
  const processApi = new ProcessApi(options);
  const volconfApi = new VolconfApi({ ...options, timeoutMs: Math.min(options.timeoutMs, TARGETS_WAIT_MS) });
  try {
    const [topology, processes, tried] = await Promise.all([
      topologyApi.status(),
      processApi.processes().catch((error: unknown) => {
        if (isUnknownService(error)) return null;
        throw error;
      }),
      // There may be no volconf, or no leader of it: other parts of the status report that.
      volconfApi.tried().catch(() => null),
    ]);
    return { topology, processes, tried };
  } finally {
    topologyApi.close();
    processApi.close();
    volconfApi.close();
  }
}

/** During an upgrade the replica that is asked may not know the service yet. */
function isUnknownService(error: unknown): boolean {
  const cause = error instanceof Failure ? error.cause : undefined;
  return isServiceError(cause) && cause.code === grpcStatus.UNIMPLEMENTED;
}
