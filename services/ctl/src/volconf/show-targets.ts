import {
  GetTargetResponse,
  ListTargetsResponse,
  RemoveTargetResponse,
  type SetTargetRequest,
  SetTargetResponse,
  type Target,
} from '@spanmesh/proto/v1/volconf';
import { VolconfApi } from '../api/volconf-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import type { ListOptions } from '../list-options.ts';
import { isDocument, writeDocument } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { paintFor } from '../output/paint.ts';
import { printList } from '../output/print-list.ts';
import { printable } from '../output/printable.ts';
import { type Terminal, write } from '../terminal.ts';
import { describeTarget } from './describe-target.ts';
import { type STATE_NAMES, stateFilter, stateName, TARGET_COLUMNS } from './target-words.ts';

export interface TargetFilters {
  readonly state?: (typeof STATE_NAMES)[number];
  readonly media?: string;
}

/**
 * Prints the targets, all pages.
 * @throws Failure
 */
export function listTargets(filters: TargetFilters, options: ListOptions, terminal: Terminal): Promise<void> {
  return withApi(options, (api) => {
    const fetch = async () => ({
      rows: await api.targets({ state: stateFilter(filters.state), mediaId: filters.media ?? '' }),
      document: targetsDocument,
    });
    return printList({ columns: TARGET_COLUMNS, fetch }, options, terminal);
  });
}

/** The JSON document of all targets. It has no token of a next page, since all pages are there. */
function targetsDocument(targets: readonly Target[]): unknown {
  const whole = { targets: [...targets], nextPageToken: '' };
  const { nextPageToken: _, ...document } = protobufJson(ListTargetsResponse, whole) as { nextPageToken: string };
  return document;
}

/** @throws Failure */
export function showTarget(name: string, options: ApiOptions, terminal: Terminal): Promise<void> {
  return withApi(options, async (api) => {
    const target = filled(await api.target(name), name);
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(GetTargetResponse, { target }));
    else await write(terminal.out, describeTarget(target, paintFor(terminal.out)));
  });
}

/** @throws Failure */
export function setTarget(request: SetTargetRequest, options: ApiOptions, terminal: Terminal): Promise<void> {
  return withApi(options, async (api) => {
    const target = filled(await api.set(request), request.name);
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(SetTargetResponse, { target }));
    else
      await write(terminal.out, `${printable(target.name)}: ${printable(target.path)}, ${stateName(target.state)}\n`);
  });
}

/** @throws Failure */
export function removeTarget(name: string, options: ApiOptions, terminal: Terminal): Promise<void> {
  return withApi(options, async (api) => {
    await api.remove(name);
    if (isDocument(options.output))
      await writeDocument(options.output, terminal.out, protobufJson(RemoveTargetResponse, {}));
    else await write(terminal.out, `${printable(name)}: removed\n`);
  });
}

async function withApi(options: ApiOptions, use: (api: VolconfApi) => Promise<void>): Promise<void> {
  const api = new VolconfApi(options);
  try {
    await use(api);
  } finally {
    api.close();
  }
}

function filled(target: Target | undefined, name: string): Target {
  if (target === undefined) throw new Failure('refused', `no answer about ${printable(name)}`);
  return target;
}
