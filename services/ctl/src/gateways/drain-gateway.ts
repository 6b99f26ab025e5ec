import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DrainGatewayResponse } from '@spanmesh/proto/v1/topology';
import { failureOf } from '../api/call-failure.ts';
import { TopologyApi } from '../api/topology-api.ts';
import type { ApiOptions } from '../api-options.ts';
import { Failure } from '../failure.ts';
import { isDocument, writeDocumentOfStream } from '../output/document.ts';
import { protobufJson } from '../output/json.ts';
import { printable } from '../output/printable.ts';
import { note, type Terminal, write } from '../terminal.ts';
import { count } from '../views/words.ts';

/** Wait before a drain whose stream was lost is asked for again, in milliseconds. */
const AGAIN_MS = 250;

export interface DrainQuery {
  readonly gateway: string;
  readonly share: number;
  /** Time for the drain; 0: the gateway's own setting. */
  readonly deadlineMs: number;
  /** Whether to follow the drain to its end. */
  readonly wait: boolean;
}

/**
 * Orders a drain and follows it. If the stream is lost on the way (another leader), the same order is sent again:
 * nothing is drained twice. JSON: a document a line, a DrainGatewayResponse.
 * @throws Failure
 */
export async function drainGateway(query: DrainQuery, options: ApiOptions, terminal: Terminal): Promise<void> {
  const api = new TopologyApi(options);
  const { gateway, share, deadlineMs, wait } = query;
  const request = { gateway, share, deadlineMs, order: randomUUID() };
  let last: DrainGatewayResponse | null = null;
  let lostAt: number | null = null;
  try {
    for (;;) {
      try {
        for await (const told of api.drain(request)) {
          lostAt = null;
          // From now on ask by the gateway's id: another boot with the same name would not know the order, and would
          // begin a drain.
          request.gateway = told.gateway;
          if (isDocument(options.output))
            await writeDocumentOfStream(options.output, terminal.out, protobufJson(DrainGatewayResponse, told));
          else if (last === null) await write(terminal.out, begun(told));
          last = told;
          if (told.done || !wait) break;
        }
        if (last === null) throw new Failure('lost', `${api.address} said nothing about the drain`);
        if (last.done || !wait) break;
        throw new Failure('unreachable', `${api.address} ended the drain's stream`);
      } catch (error) {
        const failure = failureOf(error, api.context);
        lostAt ??= performance.now();
        const isOver = last === null || performance.now() - lostAt > options.timeoutMs;
        if (!(failure instanceof Failure) || failure.code !== 'unreachable' || isOver) throw failure;
        note(terminal, `${failure.message}; asking again`);
        await sleep(AGAIN_MS);
      }
    }
    if (wait && options.output === 'text') await write(terminal.out, ended(last));
  } finally {
    api.close();
  }
}

function begun({ gateway, chosen }: DrainGatewayResponse): string {
  return `${printable(gateway)}: closing ${count(chosen, 'connection')}\n`;
}

function ended({ gateway, closed, cut }: DrainGatewayResponse): string {
  return `${printable(gateway)}: ${closed} closed in order, ${cut} cut off\n`;
}
