/** How a connection came to be. */
export type Origin =
  | { readonly kind: 'accepted' }
  /** A debug shell asked for it. */
  | { readonly kind: 'shell' }
  /** A target asked for it: the owner's key of the target, what people call it, and the generation of the dial order. */
  | { readonly kind: 'target'; readonly owner: string; readonly generation: number; readonly label: string };
