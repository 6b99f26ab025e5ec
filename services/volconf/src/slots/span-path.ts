import { type PeerTarget, parsePeerTarget } from '@spanmesh/dmsg/peer-target';

/** Prefix of a path that names a target (protocol.md, "The link layer" 3). */
export const SPAN_PREFIX = 'span:';

/**
 * The host and port of `span:host`, `span:host:port`, `span:[v6]:port` or `span:v6` (protocol.md, "The link layer" 3;
 * the forms with a port are our extension). null: another form.
 */
export function parseSpanPath(path: string, defaultPort: number): PeerTarget | null {
  return path.startsWith(SPAN_PREFIX) ? parsePeerTarget(path.slice(SPAN_PREFIX.length), defaultPort) : null;
}
