import { type Target, TargetState, WatchTargetsResponse } from '@spanmesh/proto/v1/volconf';
import { VolconfApi } from '../api/volconf-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { isDocument, writeDocumentOfStream } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { type Paint, paintFor } from '../output/paint.ts';
import { printable } from '../output/printable.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { timeText } from '../views/words.ts';
import { TargetFollower, type TargetNews } from './follow-targets.ts';
import { stateName, stateRole } from './target-words.ts';

export interface TargetWatchQuery {
  readonly options: ApiOptions;
  readonly signal?: AbortSignal;
}

/**
 * Prints all targets, then each that changes, until the signal is aborted (without a signal: for ever). JSON: one
 * document a line, a WatchTargetsResponse with the `time` at which it was received.
 * @throws Failure
 */
export async function showTargetChanges({ options, signal }: TargetWatchQuery, terminal: Terminal): Promise<void> {
  const api = new VolconfApi(options);
  const paint = paintFor(terminal.out);
  const onNews = (news: TargetNews): Promise<void> =>
    isDocument(options.output)
      ? writeDocumentOfStream(options.output, terminal.out, {
          time: new Date(),
          ...(protobufJson(WatchTargetsResponse, news) as object),
        })
      : write(terminal.out, `${timeText(new Date())} ${newsLine(news, paint)}`);
  try {
    const follower = new TargetFollower(signal === undefined ? {} : { signal }, {
      api,
      onNews,
      onNote: (line) => note(terminal, line),
    });
    await follower.run();
  } finally {
    api.close();
  }
}

/** `running lab span:lab.example to 192.0.2.7:987`. */
function newsLine(news: TargetNews, paint: Paint): string {
  if ('removed' in news) return `${paint('bad', 'removed')} ${printable(news.removed)}\n`;
  const { target } = news;
  const role = stateRole(target);
  const state = stateName(target.state);
  const parts = [role === undefined ? state : paint(role, state), printable(target.name), printable(target.path)];
  const more = progress(target);
  return `${[...parts, more].filter(Boolean).join(' ')}\n`;
}

function progress(target: Target): string {
  if (target.state === TargetState.TARGET_STATE_RUNNING) {
    return target.remoteAddress === '' ? '' : `to ${printable(target.remoteAddress)}`;
  }
  if (target.state !== TargetState.TARGET_STATE_CONNECT || target.lastError === '') return '';
  const next = timeText(target.nextTry);
  return `(${printable(target.lastError)}${next === '' ? '' : `; next try ${next}`})`;
}
