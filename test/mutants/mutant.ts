/** A deliberate break of a rule, and the check that must notice it. */
export interface Mutant {
  /** The rule that it breaks: a sentence of docs/architecture.md, in short. */
  readonly rule: string;
  /** The file's path from the root of the project. */
  readonly file: string;
  /** The text that is replaced; it must be in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  readonly noticedBy: Check;
}

/** A test file; or seeds of the simulator, each of so many simulated seconds, of which one must fail. */
export type Check =
  | { readonly kind: 'test'; readonly file: string }
  | { readonly kind: 'seeds'; readonly from: number; readonly to: number; readonly seconds: number };

/** A mutant cannot be made: the text to replace is missing, or is found more than once. */
export class MutantError extends Error {
  override readonly name = 'MutantError';
  readonly mutant: Mutant;
  readonly found: number;

  constructor(mutant: Mutant, found: number) {
    super(`${mutant.file}: found ${found} times, not once: ${mutant.find}`);
    this.mutant = mutant;
    this.found = found;
  }
}

/** The source with the break applied. @throws MutantError */
export function mutated(source: string, mutant: Mutant): string {
  const parts = source.split(mutant.find);
  if (parts.length !== 2) throw new MutantError(mutant, parts.length - 1);
  return parts.join(mutant.replace);
}

/** A short description of a check. */
export function showCheck(check: Check): string {
  return check.kind === 'test' ? check.file : `seeds ${check.from} to ${check.to}, ${check.seconds} s each`;
}
