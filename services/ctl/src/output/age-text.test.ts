import { expect, it } from 'vitest';
import { ageText } from './age-text.ts';

it.each([
  [0, '0 s'],
  [59, '59 s'],
  [60, '1 min'],
  [3599, '59 min'],
  [7500, '2 h 5 min'],
  [86_400 * 3 + 4 * 3600, '3 d 4 h'],
])('%d seconds are %s', (seconds, text) => {
  expect(ageText(seconds)).toBe(text);
});
