import type { LinkOpened } from '@spanmesh/proto/v1/gateway_control';
import type { Step } from '@spanmesh/runtime/trace/step';
import { readTraceContext } from '@spanmesh/runtime/trace/trace-context';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import type { Link } from '@spanmesh/spantree/tree';
import type { Gateway } from '../trees/gateway.ts';

/** Traces of links that are not decided about yet; those of more links are not gone on with. */
export const MAX_LINK_TRACES = 4096;

/** The traces that gateways have begun with links, from when those come in until it is decided where they are relayed. */
export class LinkTraces {
  readonly #tracing: Pick<Tracing, 'tracer'>;
  readonly #steps = new Map<Link, Step>();

  constructor({ tracing = NO_TRACING }: { readonly tracing?: Pick<Tracing, 'tracer'> | undefined }) {
    this.#tracing = tracing;
  }

  get size(): number {
    return this.#steps.size;
  }

  /** Links that the gateway has told of; they are in the tree. */
  opened(gateway: Gateway, opened: readonly LinkOpened[]): void {
    const { tracer } = this.#tracing;
    if (tracer === null) return;
    for (const { id, trace } of opened) {
      const parent = readTraceContext(trace);
      const link = parent === null ? undefined : gateway.links.get(id);
      if (link === undefined || this.#steps.has(link) || this.#steps.size >= MAX_LINK_TRACES) continue;
      const attributes = { 'spanmesh.gateway': gateway.id, 'spanmesh.link': id };
      this.#steps.set(link, tracer.begin('relays decided', { parent, attributes }));
    }
  }

  /** Context of a link's trace, for the gateway that goes on with it; undefined: the link is in none. */
  of(link: Link): Buffer | undefined {
    return this.#steps.get(link)?.context;
  }

  /** It is decided about all of them. `failure`: or will not be, here. */
  decided(failure?: string): void {
    if (this.#steps.size === 0) return;
    for (const step of this.#steps.values()) step.end(failure);
    this.#steps.clear();
  }
}
