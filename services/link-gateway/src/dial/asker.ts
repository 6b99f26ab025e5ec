/** Whoever has a connection made. Peers (a shell, LNK_VOLCONF) may not have us connect anywhere; look-ups have their turns by who asks. */
export type Asker =
  | { readonly kind: 'operator' }
  /** A debug shell of a peer at this address. */
  | { readonly kind: 'shell'; readonly address: string }
  /** Slots of this media. */
  | { readonly kind: 'media'; readonly mediaId: string };

export const OPERATOR: Asker = { kind: 'operator' };

/** One name for each, for tables. */
export function askerName(asker: Asker): string {
  switch (asker.kind) {
    case 'operator':
      return 'operator';
    case 'shell':
      return `shell ${asker.address}`;
    case 'media':
      return `media ${asker.mediaId}`;
  }
}
