import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { yamlText } from './yaml.ts';

it('is readable for people', () => {
  expect(yamlText({ nodes: [{ id: 'a', dist: 0, label: 'yes', stamp: '18446735277921949248' }], empty: [] })).toBe(
    'nodes:\n  - id: a\n    dist: 0\n    label: "yes"\n    stamp: "18446735277921949248"\nempty: []\n',
  );
});

it('lets no label act as YAML', () => {
  expect(yamlText({ label: '\x1b[2J\u009b31m\u202e\u{e0001}' })).toBe('label: "\\e[2J\\u009b31m\\u202e\\U000e0001"\n');
});

it('parses to the same, and has no control characters in it', () => {
  const texts = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed());
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.constantFrom('a', 'b'), texts)), (value) => {
      const text = yamlText(value);
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(parse(text)).toEqual(value);
    }),
  );
});
