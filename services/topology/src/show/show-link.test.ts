import { ConnectionOpened, LinkOpened } from '@spanmesh/proto/v1/gateway_control';
import { Dialect } from '@spanmesh/proto/v1/types';
import { SpanTree } from '@spanmesh/spantree/tree';
import { describe, expect, it } from 'vitest';
import { spanPayload } from '../testing/payloads.fixture.ts';
import { Gateway } from '../trees/gateway.ts';
import { Trees } from '../trees/trees.ts';
import { showConnection } from './show-connection.ts';
import { showLink } from './show-link.ts';

/** A connection with a link on it, both open since this time, in microseconds. */
function since(sinceUs: number) {
  const trees = new Trees(new SpanTree({ widths: { linkid: 2, circuit: 1 } }), { tell: () => {} });
  const gateway = new Gateway('a', '00000001', 'a:1', '1');
  trees.add(gateway);
  trees.openConnection(gateway, ConnectionOpened.create({ id: 1, dialect: Dialect.DIALECT_CIRCUIT, sinceUs }));
  const payload = spanPayload('circuit', 1, 0);
  trees.openLink(gateway, LinkOpened.create({ id: 2, connection: 1, payload, stamp: 3, sinceUs }));
  const connection = gateway.connections.get(1) ?? expect.fail('no connection');
  return { connection, link: gateway.links.get(2) ?? expect.fail('no link') };
}

const LARGEST = Number.MAX_SAFE_INTEGER;

describe('the time since when something is open', () => {
  it.each([1, 1_600_000_000_000_123, LARGEST])('is what the gateway says: %d µs', (us) => {
    const { link, connection } = since(us);
    expect(showLink(link).sinceUs).toBe(BigInt(us));
    expect(showConnection(connection).since).toEqual(new Date(us / 1000));
  });

  // A gateway may send any number as a time.
  it.each([LARGEST + 1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'is not shown if no time can be that: %d',
    (us) => {
      const { link, connection } = since(us);
      expect([showLink(link).sinceUs, showConnection(connection).since]).toEqual([0n, undefined]);
    },
  );

  it.each([0, -1])('is not shown of a link if it is %d', (us) => {
    expect(showLink(since(us).link).sinceUs).toBe(0n);
  });
});
