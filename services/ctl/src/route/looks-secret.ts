/** Words before, or in, a secret. */
const WORDS = /pass(?:word|wd|phrase|code)?\b|secret|token|credential|api[-_]?key|private|\bauth|bearer|\bkey\b/i;
/** Forms of a secret: a key file, and `scheme://user:password@host`. */
const FORMS = /-----BEGIN|:\/\/[^\s/@]*:[^\s/@]*@/;
const UUID = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi;
/**
 * Letters and digits mixed, so many of them without a break: what `spanmesh tokens new` makes, keys in hexadecimal, in
 * base64.
 */
const RANDOM = /(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{20,}/;

/** Whether a line may hold a secret. Rather one too many: it only costs typing the line again. */
export function looksSecret(line: string): boolean {
  return WORDS.test(line) || FORMS.test(line) || RANDOM.test(line.replaceAll(UUID, ''));
}
