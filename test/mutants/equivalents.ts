/** A change that nothing can notice, or that nobody would want to be noticed. */
export interface Equivalent {
  /** From the root of the project. */
  readonly file: string;
  /** The whole line that it changes, trimmed. */
  readonly line: string;
  readonly kind: string;
  readonly replace: string;
  readonly why: string;
}

/** They are not made. One whose line has changed counts again. */
export const EQUIVALENTS: readonly Equivalent[] = [];
