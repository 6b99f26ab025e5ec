import type { LinkOpened } from '@spanmesh/proto/v1/gateway_control';
import type { Step } from '@spanmesh/runtime/trace/step';
import { readTraceContext } from '@spanmesh/runtime/trace/trace-context';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import type { Link } from '@spanmesh/spantree/tree';
import type { Gateway } from '../trees/gateway.ts';

/** Traces of links whose relays are not selected yet. Beyond it traces of links are not continued. */
export const MAX_LINK_TRACES = 4096;

/** The traces that gateways have begun for links, from the arrival of a link until its relays are selected. */
export class LinkTraces {
  readonly #tracing: Pick<Tracing, 'tracer'>;
  readonly #steps = new Map<Link, Step>();

  constructor({ tracing = NO_TRACING }: { readonly tracing?: Pick<Tracing, 'tracer'> | undefined }) {
    this.#tracing = tracing;
  }

  get size(): number {
    return this.#steps.size;
  }

  /** Continues the traces of links that the gateway has opened; the links are in the tree already. */
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

  /** Context of a link's trace, for the gateway that continues it; undefined: the link has no trace. */
  of(link: Link): Buffer | undefined {
    return this.#steps.get(link)?.context;
  }

  /** Ends all traces: the relays are selected. `failure`: why they will not be selected here. */
  decided(failure?: string): void {
    for (const step of this.#steps.values()) step.end(failure);
    this.#steps.clear();
  }
}
