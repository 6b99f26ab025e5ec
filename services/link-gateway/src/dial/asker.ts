import type { DialRequest } from '@spanmesh/proto/v1/dial';

/**
 * Who asks for a connection. Peers (by a debug shell or LNK_VOLCONF) may have this gateway connect only where
 * DialPolicy allows; look-ups of names take turns by asker.
 */
export type Asker =
  | { readonly kind: 'operator' }
  /**
   * A debug shell, or volconf slots, of peers of this principal; `principal` is the media id if no principal is known.
   */
  | { readonly kind: 'peer'; readonly principal: string };

export const OPERATOR: Asker = { kind: 'operator' };

/** Who an order is for. A principal with many media has one share of look-ups for all of them. */
export function askerOf({
  byOperator,
  principal,
  mediaId,
}: Pick<DialRequest, 'byOperator' | 'principal' | 'mediaId'>): Asker {
  return byOperator ? OPERATOR : { kind: 'peer', principal: principal || mediaId };
}

/** A text that is different for each asker: the key of tables. */
export function askerName(asker: Asker): string {
  switch (asker.kind) {
    case 'operator':
      return 'operator';
    case 'peer':
      return `peer ${asker.principal}`;
  }
}
