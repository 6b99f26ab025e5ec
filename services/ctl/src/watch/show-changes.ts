import { Change } from '@spanmesh/proto/v1/topology';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { isDocument, writeDocumentOfStream } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { timeText } from '../views/words.ts';
import { changeLine } from './change-line.ts';
import { Follower } from './follow.ts';

export interface WatchQuery {
  readonly withRelays: boolean;
  readonly options: ApiOptions;
  readonly signal?: AbortSignal;
}

/**
 * Prints changes until the signal is aborted (without one: for ever). JSON: one document a line, a Change with its
 * `revision` and the `time` at which it was received.
 * @throws Failure
 */
export async function showChanges({ withRelays, options, signal }: WatchQuery, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  const paint = paintFor(terminal.out);
  const onChange = (revision: string, change: Change): Promise<void> =>
    isDocument(options.output)
      ? writeDocumentOfStream(options.output, terminal.out, {
          time: new Date(),
          revision,
          ...(protobufJson(Change, change) as object),
        })
      : write(terminal.out, `${timeText(new Date())} ${changeLine(change, paint)}`);
  try {
    const follower = new Follower(
      { withRelays, timeoutMs: options.timeoutMs, ...(signal && { signal }) },
      { api, onChange, onNote: (line) => note(terminal, line) },
    );
    await follower.run();
  } finally {
    api.close();
  }
}
