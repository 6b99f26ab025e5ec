import { expect, it } from 'vitest';
import { quantity } from './quantity.ts';

it.each([
  [0, '0'],
  [0.004, '0'],
  [0.25, '0.25'],
  [7.5, '7.5'],
  [42, '42'],
  [99.96, '100'],
  [999, '999'],
  [999.6, '1k'],
  [1234, '1.23k'],
  [45_678_000, '45.7M'],
  [123_456_789_000, '123G'],
  [2 ** 53, '9.01P'],
  [5e18, '5000P'],
])('%d is %s', (value, text) => {
  expect(quantity(value)).toBe(text);
});
