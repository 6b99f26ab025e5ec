import { Document, Scalar, visit } from 'yaml';

// As in printable.ts: characters that would be invisible.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * A document as YAML 1.2 that readers of 1.1 understand alike (`yes` is quoted, as a text) and that is safe to print;
 * it parses to the same value.
 */
export function yamlText(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false, compat: 'yaml-1.1' });
  visit(document, {
    Scalar(_key, node) {
      // Only double-quoted texts can hold escapes.
      if (typeof node.value === 'string' && node.value.search(UNPRINTABLE) >= 0) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document
    .toString({ lineWidth: 0, doubleQuotedMinMultiLineLength: Number.POSITIVE_INFINITY })
    .replace(UNPRINTABLE, (char) => {
      if (char === '\n') return char;
      const code = char.codePointAt(0) ?? 0;
      return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
    });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
