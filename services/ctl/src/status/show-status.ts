import { status as grpcStatus } from '@grpc/grpc-js';
import { ListProcessesResponse } from '@spanmesh/proto/v1/process';
import { GetStatusResponse } from '@spanmesh/proto/v1/topology';
import { isServiceError } from '../api/call-failure.ts';
import { ProcessApi } from '../api/process-api.ts';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { type Terminal, write } from '../terminal.ts';
import { count } from '../views/words.ts';
import { type Expected, fewerThanExpected } from './expect.ts';
import { notesOf, problemsOf, type Status } from './problems.ts';
import { statusText } from './status-view.ts';

/**
 * Prints how the installation is; `expected`: how many processes there should be at least.
 * @throws Failure also if there are problems: exit code 1
 */
export async function showStatus(options: ApiOptions, expected: Expected, terminal: Terminal): Promise<void> {
  const status = await fetchStatus(options);
  const problems = [...fewerThanExpected(expected, status), ...problemsOf(status)];
  const notes = notesOf(status);
  if (isDocument(options.output)) {
    const topology = protobufJson(GetStatusResponse, status.topology) as object;
    const processes =
      status.processes === null ? {} : (protobufJson(ListProcessesResponse, status.processes) as object);
    await writeDocument(options.output, terminal.out, {
      healthy: problems.length === 0,
      problems,
      notes,
      ...topology,
      ...processes,
    });
  } else {
    await write(terminal.out, statusText(status, { problems, notes }, paintFor(terminal.out)));
  }
  if (problems.length > 0) throw new Failure('refused', `not healthy: ${count(problems.length, 'problem')}`);
}

async function fetchStatus(options: ApiOptions): Promise<Status> {
  const topologyApi = new TopologyApi(options);
  const processApi = new ProcessApi(options);
  try {
    const [topology, processes] = await Promise.all([
      topologyApi.status(),
      processApi.processes().catch((error: unknown) => {
        if (isUnknownService(error)) return null;
        throw error;
      }),
    ]);
    return { topology, processes };
  } finally {
    topologyApi.close();
    processApi.close();
  }
}

/** In the middle of an upgrade the one that is asked may not know it yet. */
function isUnknownService(error: unknown): boolean {
  const cause = error instanceof Failure ? error.cause : undefined;
  return isServiceError(cause) && cause.code === grpcStatus.UNIMPLEMENTED;
}
