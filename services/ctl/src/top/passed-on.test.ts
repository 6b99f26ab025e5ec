import { TrafficCounters, TrafficKind } from '@spanmesh/proto/v1/traffic';
import { expect, it } from 'vitest';
import { passedOn } from './passed-on.ts';
import type { Rates, TrafficRow } from './rates.ts';

function row(
  id: string,
  rates: Partial<Rates> | null,
  kind: TrafficKind = TrafficKind.TRAFFIC_KIND_ROUTE_CLASS,
): TrafficRow {
  const none = { messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, transactionsOpened: 0, pauses: 0 };
  const counters = TrafficCounters.fromPartial({ kind, id, gateway: 'gw.1' });
  return { counters, rates: rates === null ? null : { ...none, ...rates } };
}

const ways = (messagesIn: number, messagesOut: number) => ({
  messagesIn,
  messagesOut,
  bytesIn: 100 * messagesIn,
  bytesOut: 100 * messagesOut,
});

it('counts each message once: within a gateway, over a trunk at the gateway where it leaves, of clients both ways', () => {
  const one = [row('local', ways(5, 5)), row('trunk', ways(2, 30)), row('client', ways(100, 200))];
  const other = [row('local', ways(0, 0)), row('trunk', ways(30, 2)), row('client', ways(0, 0))];
  expect(passedOn([...one, ...other])).toEqual({ messages: 337, bytes: 33_700 });
});

it('leaves connections out: their messages are in the classes', () => {
  const connection = row('gw.1:7', ways(9, 9), TrafficKind.TRAFFIC_KIND_CONNECTION);
  expect(passedOn([connection, row('local', ways(1, 1))])).toEqual({ messages: 1, bytes: 100 });
});

it('is unknown before some gateway has given two samples', () => {
  expect(passedOn([])).toBeNull();
  expect(passedOn([row('local', null)])).toBeNull();
  expect(passedOn([row('local', null), row('local', ways(3, 3))])?.messages).toBe(3);
});
