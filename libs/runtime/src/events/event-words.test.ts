import { Event, EventKind } from '@spanmesh/proto/v1/events';
import { Dialect } from '@spanmesh/proto/v1/types';
import { expect, it } from 'vitest';
import { eventLine } from './event-words.ts';

it('an event’s line names the dialect, and uses no field that every line of the log has', () => {
  const up = { kind: EventKind.EVENT_KIND_PEER_UP, subject: 'gw.1:1', principal: 'gw.1:1', count: 1 };
  const peer = { address: '192.0.2.1:987', dialect: Dialect.DIALECT_CIRCUIT };
  expect(eventLine(Event.fromPartial({ ...up, peer }))).toEqual({
    fields: { subject: 'gw.1:1', address: '192.0.2.1:987', dialect: 'circuit' },
    words: 'peer is up',
  });
  const joined = { kind: EventKind.EVENT_KIND_REPLICA_JOINED, subject: 'a', principal: 'a', count: 1 };
  expect(eventLine(Event.fromPartial({ ...joined, member: { service: 'volconf' } })).fields).toEqual({
    subject: 'a',
    role: 'volconf',
  });
});
