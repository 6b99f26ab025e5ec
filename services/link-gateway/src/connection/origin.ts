/** How a connection came to be. */
export type Origin =
  | { readonly kind: 'accepted' }
  /** A debug shell asked for it. */
  | { readonly kind: 'shell' }
  /** A target asked for it. `owner`: the key of the target; `generation`: of the dial order; `label`: for people. */
  | { readonly kind: 'target'; readonly owner: string; readonly generation: number; readonly label: string };
