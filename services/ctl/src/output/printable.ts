// Control characters, format characters (bidirectional overrides, soft hyphen, zero width), line and paragraph
// separators, lone surrogates; and the backslash, so that printed text differs from escaped characters.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/gu;
// Characters that JSON.stringify does not escape.
const UNPRINTABLE_IN_JSON = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu;

/**
 * Text that is safe to print: labels come from peers, and a terminal obeys the control characters that it is sent. A
 * character that would be invisible is escaped: `\x1b`, `\u{202e}`, `\\`.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (char) => {
    if (char === '\\') return '\\\\';
    const code = char.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

/** JSON text that is safe to print; it parses to the same value. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE_IN_JSON, (char) => {
    let escaped = '';
    for (let i = 0; i < char.length; i++) escaped += `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`;
    return escaped;
  });
}
