import type { DialRequest } from '@spanmesh/proto/v1/dial';

/** Whoever has a connection made. Peers (a shell, LNK_VOLCONF) may not have us connect anywhere; look-ups have their turns by who asks. */
export type Asker =
  | { readonly kind: 'operator' }
  /** A debug shell, or slots, of peers of this principal; where that is not known, of this media. */
  | { readonly kind: 'peer'; readonly principal: string };

export const OPERATOR: Asker = { kind: 'operator' };

/** Whoever an order is for. A peer that has many media has one share for all of them. */
export function askerOf({
  byOperator,
  principal,
  mediaId,
}: Pick<DialRequest, 'byOperator' | 'principal' | 'mediaId'>): Asker {
  return byOperator ? OPERATOR : { kind: 'peer', principal: principal || mediaId };
}

/** One name for each, for tables. */
export function askerName(asker: Asker): string {
  switch (asker.kind) {
    case 'operator':
      return 'operator';
    case 'peer':
      return `peer ${asker.principal}`;
  }
}
