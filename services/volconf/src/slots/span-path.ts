import { type PeerTarget, parsePeerTarget } from '@spanmesh/dmsg/peer-target';

/** What every path of a target begins with (protocol.md, "The link layer" 3). */
export const SPAN_PREFIX = 'span:';

/**
 * `span:host`, `span:host:port`, `span:[v6]:port`, `span:v6` (protocol.md, "The link layer" 3; host:port is ours). null: none of
 * these.
 */
export function parseSpanPath(path: string, defaultPort: number): PeerTarget | null {
  return path.startsWith(SPAN_PREFIX) ? parsePeerTarget(path.slice(SPAN_PREFIX.length), defaultPort) : null;
}
