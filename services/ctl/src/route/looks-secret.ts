/** Words that come before a secret, or are part of it. */
const WORDS = /pass(?:word|wd|phrase|code)?\b|secret|token|credential|api[-_]?key|private|\bauth|bearer|\bkey\b/i;
/** Forms of a secret: a key file, and `scheme://user:password@host`. */
const FORMS = /-----BEGIN|:\/\/[^\s/@]*:[^\s/@]*@/;
const UUID = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/gi;
/**
 * At least 20 letters and digits, mixed, without a break: a token of `spanmesh tokens new`, a key in hexadecimal or
 * base64.
 */
const RANDOM = /(?=[\w+/=-]*\d)(?=[\w+/=-]*[A-Za-z])[\w+/=-]{20,}/;

/**
 * Whether a line may hold a secret. It is better to take one line too many for a secret: that only costs typing it
 * again.
 */
export function looksSecret(line: string): boolean {
  return WORDS.test(line) || FORMS.test(line) || RANDOM.test(line.replaceAll(UUID, ''));
}
