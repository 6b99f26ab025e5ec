import { expect, it } from 'vitest';
import { randomNonce, systemRandom } from './random.ts';

it('a nonce is a UUID of version 4, made of the numbers of its source', () => {
  const numbers = [0, 0.25, 0.5, 1 - 2 ** -32];
  let at = 0;
  const source = () => numbers[at++ % numbers.length] ?? 0;
  expect(randomNonce(source)).toBe('00000000-0000-4040-8000-0080ffffffff');
  expect(at).toBe(4);
  expect(randomNonce(systemRandom)).not.toBe(randomNonce(systemRandom));
});

it('random numbers of the system are between 0 and 1, below it, and differ', () => {
  const numbers = Array.from({ length: 1000 }, systemRandom);
  expect(numbers.every((one) => one >= 0 && one < 1)).toBe(true);
  expect(new Set(numbers).size).toBe(1000);
  // All of the range is used: not one of the halves stays empty.
  expect([numbers.some((one) => one < 0.5), numbers.some((one) => one >= 0.5)]).toEqual([true, true]);
});
