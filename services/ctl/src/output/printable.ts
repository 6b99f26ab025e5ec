// Control, format (bidirectional overrides, soft hyphen, zero width), line and paragraph separators, lone surrogates; and
// the backslash, so that what is printed can be told from what was escaped.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/gu;
// What JSON.stringify leaves alone.
const UNPRINTABLE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text that is safe to print: labels come from peers, and a terminal obeys what it is sent. Anything that would not show as a
 * character of its own is escaped: `\x1b`, `\u{202e}`, `\\`.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    if (char === '\\') return '\\\\';
    const code = char.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON text that is safe to print; it parses to the same. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE_IN_JSON, (char) => {
    let escaped = '';
    for (let i = 0; i < char.length; i++) escaped += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return escaped;
  });
}
