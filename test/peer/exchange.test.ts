import { expect, it } from 'vitest';
import { Exchange } from './exchange.ts';

/** An exchange of two messages of which both are sent. */
function sent(): { exchange: Exchange; first: Buffer; second: Buffer } {
  const exchange = new Exchange('peer 7', 2);
  const { body: first } = exchange.next();
  const { body: second } = exchange.next();
  return { exchange, first, second };
}

it('sends each message with a payload of its own, and says which is the last', () => {
  const exchange = new Exchange('peer 7', 2);
  const [first, second] = [exchange.next(), exchange.next()];
  expect([first.isLast, second.isLast, exchange.unsent]).toEqual([false, true, 0]);
  expect(first.body.equals(second.body)).toBe(false);
  expect(first.body.length).toBe(64);
});

it('takes the payloads back in order', () => {
  const { exchange, first, second } = sent();
  expect([exchange.take(first, false), exchange.take(second, true), exchange.unanswered]).toEqual([[], [], 0]);
});

it('finds an answer with another payload, one that comes again, and one that ends it too early', () => {
  expect(sent().exchange.take(Buffer.from('peer 8 2'), false)).toEqual(['peer 7: answered with peer 8 2']);
  const again = sent();
  again.exchange.take(again.first, false);
  expect(again.exchange.take(again.first, true)).toEqual(['peer 7: answered with peer 7 2']);
  const early = sent();
  expect(early.exchange.take(early.first, true)).toEqual(['peer 7: ended by its answer']);
});
