import type { Metrics } from '../metrics.ts';
import type { TlsFiles } from '../tls/tls-files.ts';
import type { WatchedFiles } from '../tls/watched-files.ts';
import type { ApiTokens } from './api-tokens.ts';

/** Calls refused, by port. */
export interface RefusedCalls {
  api: number;
  service: number;
}

/** The files and the counts that the metrics show. */
interface Observed {
  readonly files: { readonly service: TlsFiles | null; readonly api: TlsFiles | null };
  readonly tokens: WatchedFiles<ApiTokens> | null;
  readonly refused: RefusedCalls;
}

/** Metrics that operators should watch: certificates about to expire, files that cannot be used, refused calls. */
export function registerSecurityMetrics(metrics: Metrics, { files, tokens, refused }: Observed): void {
  const watched = { ...present(files), ...present({ tokens }) };
  metrics.gauge(
    'spanmesh_tls_certificate_expiry_timestamp_seconds',
    'When the certificate in use runs out, seconds since 1970.',
    () => each(present(files), ({ value }) => Math.floor(value.expires / 1000)),
    'use',
  );
  metrics.counter(
    'spanmesh_tls_reloads_total',
    'Changed certificates or tokens that were taken.',
    () => each(watched, ({ reloads }) => reloads),
    'use',
  );
  metrics.counter(
    'spanmesh_tls_reload_failures_total',
    'Changed certificates or tokens that could not be used; the old ones stay.',
    () => each(watched, ({ failures }) => failures),
    'use',
  );
  metrics.counter(
    'spanmesh_calls_refused_total',
    'gRPC calls refused because of the caller.',
    () => ({ ...refused }),
    'port',
  );
}

function present<T>(all: Record<string, T | null>): Record<string, T> {
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, T] => entry[1] !== null));
}

function each<T>(all: Record<string, T>, read: (one: T) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(all).map(([name, one]) => [name, read(one)]));
}
