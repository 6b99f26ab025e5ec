import type { Step } from '@spanmesh/runtime/trace/step';
import { NO_TRACING, type Tracing } from '@spanmesh/runtime/trace/tracing';
import type { Gateway } from '../trees/gateway.ts';

/** The trace of a term's beginning: from the lease until this leader commands. */
export class TakeOver {
  readonly #tracing: Pick<Tracing, 'tracer'>;
  #step: Step | null = null;

  constructor({ tracing = NO_TRACING }: { readonly tracing?: Pick<Tracing, 'tracer'> | undefined }) {
    this.#tracing = tracing;
  }

  /** Context of the trace, for gateways that attach meanwhile; undefined: no term is beginning, or tracing is off. */
  get context(): Buffer | undefined {
    return this.#step?.context;
  }

  /** Begins the trace. `address`: of this replica. */
  begins(epoch: number, address: string): void {
    this.#step?.end('another term has begun');
    const attributes = { 'spanmesh.epoch': epoch, 'spanmesh.leader': address };
    this.#step = this.#tracing.tracer?.begin('topology takes over', { attributes }) ?? null;
  }

  attached({ id, links }: Gateway): void {
    this.#step?.note('gateway attached', { 'spanmesh.gateway': id, 'spanmesh.links': links.size });
  }

  /** Ends the trace: this leader commands. `failure`: why it will not. */
  ends(failure?: string): void {
    this.#step?.end(failure);
    this.#step = null;
  }
}
