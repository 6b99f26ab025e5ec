import { type Server, type ServiceDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthDefinition } from 'grpc-health-check';
import { publicService } from './public-requests.ts';

export type HealthStatus = 'SERVING' | 'NOT_SERVING';

/** Full name of the standard health service. */
export const HEALTH_SERVICE = 'grpc.health.v1.Health';

interface HealthRequest {
  readonly service: string;
}

interface HealthAnswer {
  readonly status: HealthStatus | 'SERVICE_UNKNOWN';
}

/** The part of a Watch call that is used here. */
interface HealthWatch {
  readonly request: HealthRequest;
  write(answer: HealthAnswer): unknown;
  on(event: 'cancelled', fn: () => void): unknown;
}

type Answer<T> = (error: Pick<ServiceError, 'code' | 'details'> | null, answer?: T) => void;

/**
 * The standard health service (grpc/health/v1/health.proto). Everybody may call it, so it stores neither names that
 * clients have made up nor calls that have ended. The number of open calls is limited elsewhere (open-calls.ts).
 */
export class HealthService {
  readonly #statuses = new Map<string, HealthStatus>();
  readonly #watches = new Set<HealthWatch>();

  /** Calls of Watch that are open. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Sets the status. `name`: of a service; '': of the whole server. */
  set(name: string, now: HealthStatus): void {
    if (this.#statuses.get(name) === now) return;
    this.#statuses.set(name, now);
    for (const watch of this.#watches) if (watch.request.service === name) watch.write({ status: now });
  }

  addTo(server: Server): void {
    server.addService(publicService(healthDefinition as unknown as ServiceDefinition), {
      check: (call: { readonly request: HealthRequest }, done: Answer<HealthAnswer>) => {
        const now = this.#statuses.get(call.request.service);
        if (now === undefined) done({ code: status.NOT_FOUND, details: 'There is no such service here.' });
        else done(null, { status: now });
      },
      list: (_: unknown, done: Answer<{ statuses: Record<string, HealthAnswer> }>) => {
        const statuses = [...this.#statuses].map(([name, now]) => [name, { status: now }]);
        done(null, { statuses: Object.fromEntries(statuses) });
      },
      watch: (call: HealthWatch) => {
        this.#watches.add(call);
        call.on('cancelled', () => this.#watches.delete(call));
        call.write({ status: this.#statuses.get(call.request.service) ?? 'SERVICE_UNKNOWN' });
      },
    });
  }
}
