import type { Metrics } from '@spanmesh/runtime/metrics';
import type { Entrance } from './entrance.ts';

/** Registers the metrics of the entrance. To be called once for each gateway of a process. */
export function registerEntranceMetrics(to: Metrics, entrance: Entrance): void {
  const name = (rest: string) => `spanmesh_gateway_${rest}`;
  to.gauge(name('handshakes'), 'Crypto handshakes under way.', () => entrance.handshaker.total);
  to.gauge(
    name('handshakes_to_close'),
    'Crypto handshakes under way that have failed, and are closed when their time is over.',
    () => entrance.handshaker.failed,
  );
  to.counter(name('handshakes_total'), 'Crypto handshakes completed.', () => entrance.handshakesDone);
  to.counter(
    name('handshakes_failed_total'),
    'Crypto handshakes that failed; the connection was closed.',
    () => entrance.handshakesFailed,
    'error',
  );
  to.counter(
    name('failed_handshake_limits_total'),
    'Times that handshakes with one address, or with the key of one peer, have failed too often; the log names the address.',
    () => entrance.failures.reached,
    'of',
  );
  to.gauge(
    name('keys_problems'),
    'Files of the keys directory that cannot be used as they are.',
    () => entrance.keys?.problems ?? 0,
  );
  to.counter(name('keys_reloads_total'), 'Times that changed keys were taken over.', () => entrance.keys?.reloads ?? 0);
}
