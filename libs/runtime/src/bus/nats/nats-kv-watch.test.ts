import { expect, it } from 'vitest';
import { parseAckSubject } from './nats-kv-watch.ts';

const DELIVERED = { streamSequence: 22, consumerSequence: 33, pending: 44 };

it.each([
  ['$JS.ACK.stream.consumer.1.22.33.1600000000.44', DELIVERED],
  ['$JS.ACK.domain.account.stream.consumer.1.22.33.1600000000.44', DELIVERED],
  ['$JS.ACK.domain.account.stream.consumer.1.22.33.1600000000.44.token', DELIVERED],
  ['XX.ACK.stream.consumer.1.22.33.1600000000.44', null],
  ['$JS.NAK.stream.consumer.1.22.33.1600000000.44', null],
  ['$JS.ACK.stream.consumer.1.22.33.1600000000', null],
  ['_INBOX.x', null],
  ['', null],
])('the reply subject %j of a message is read as %j', (subject, delivered) => {
  expect(parseAckSubject(subject)).toEqual(delivered);
});
