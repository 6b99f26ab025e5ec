import type { Clock } from '@spanmesh/runtime/clock';
import { SILENT_MS } from '@spanmesh/runtime/gateways/signs-of-life';
import type { Presence } from './presence.ts';

/**
 * Returns a function that gives, for a gateway's name, for how many milliseconds no sign of life of it has come over
 * the bus although others' have. 0: it is heard; or nobody is; or it has neither joined nor been heard, as one that
 * runs without the bus.
 */
export function unheardGateways({
  presence,
  clock,
}: {
  readonly presence: Pick<Presence, 'get' | 'living' | 'missed' | 'flowingSince'>;
  readonly clock: Clock;
}): (name: string) => number {
  const now = clock.now();
  const { flowingSince } = presence;
  const isGateway = ({ kind }: { kind: string }) => kind === 'link-gateway';
  // Compared by name: under another boot id it is the same gateway.
  const heard = new Set(presence.living('link-gateway').map(({ name }) => name));
  const missed = new Map(
    presence
      .missed()
      .filter(isGateway)
      .map(({ name, since }) => [name, since]),
  );
  return (name) => {
    if (flowingSince === null || heard.has(name)) return 0;
    const since = missed.get(name) ?? (presence.get(name) === null ? now : flowingSince);
    return now - since >= SILENT_MS ? now - since : 0;
  };
}
