import { LNK_PING } from '@spanmesh/dmsg/command';
import { ErrorCode, errorName } from '@spanmesh/dmsg/error-code';
import type { NodeSelector } from '@spanmesh/proto/v1/messaging';
import type { ApiTarget } from '../api/open-client.ts';
import { Failure } from '../failure.ts';
import { Route } from './route.ts';

/** The round-trip time of a PING and its link, or why there is none. */
export type Measured = { readonly ms: number; readonly link: string } | { readonly why: string };

/** Sends one PING to a node over its span, as a transaction, and waits for its answer. */
export async function pingOnce(
  node: NodeSelector,
  { timeoutMs, ...target }: ApiTarget & { readonly timeoutMs: number },
): Promise<Measured> {
  let route: Route | null = null;
  try {
    route = await Route.open({ ...target, node, timeoutMs });
    const began = performance.now();
    route.send({ transaction: 1, command: LNK_PING, create: true, delete: true });
    const answer = await route.next(timeoutMs);
    if (answer === null) return { why: `no answer within ${timeoutMs / 1000} s` };
    // This answer comes from the router, not from the node.
    if (answer.abort || answer.error === ErrorCode.LOSTLINK) return { why: `lost, ${errorName(answer.error)}` };
    return { ms: performance.now() - began, link: route.opened.link };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { why: error.message };
  } finally {
    route?.close();
  }
}
