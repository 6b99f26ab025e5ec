import { LNK_PING } from '@spanmesh/dmsg/command';
import { afterEach, expect, it } from 'vitest';
import { MAX_ROUTES_PER_CONNECTION } from '../limits.ts';
import { Mesh, type Span } from './mesh.fixture.ts';

let mesh: Mesh;
afterEach(() => mesh.stop());

/** A one-way message that gateways pass on and do not answer themselves. */
const ONE_WAY = 0x00700a01;
const SIDE = 100;

// Limits: link-gateway/src/limits.ts MAX_ROUTES_PER_CONNECTION
it('a connection has routes up to the limit; a message that needs one more is dropped until some have closed', async () => {
  mesh = await Mesh.start();
  const a = await mesh.join('linkid');
  const b = await mesh.join('linkid');
  let heard = 0;
  b.node.onOneWay = ({ cmd }) => {
    if (cmd !== LNK_PING) heard++;
  };
  const spans: Span[] = [];
  for (let n = 0; n < SIDE; n++) spans.push(await mesh.span(a));
  const targets: Span[] = [];
  for (let n = 0; n <= MAX_ROUTES_PER_CONNECTION / SIDE; n++) targets.push(await mesh.span(b));
  const open = targets.map(({ link }) => ({ gateway: '', link, open: [a.lnkConn], close: [] }));
  a.at.attach.command({ relays: open });
  await a.node.until(() => a.node.relays.length === targets.length);
  const relays = [...a.node.relays];
  const further = relays.pop();
  const send = (from: Span, relay = further) => {
    if (relay === undefined) throw new Error('there is no relay');
    a.node.endpoint.oneWay(ONE_WAY, 0, null, null, null, a.node.address(from.tx, relay));
  };
  for (const span of spans) for (const relay of relays) send(span, relay);
  await a.node.barrier();
  await b.node.until(() => heard === MAX_ROUTES_PER_CONNECTION);
  expect(mesh.counts.routes).toBe(MAX_ROUTES_PER_CONNECTION);
  const [first, second] = spans;
  if (first === undefined || second === undefined) throw new Error('there are no spans');
  // The first message would need one more route and is dropped; the second uses a route that exists.
  send(first);
  send(first, relays[0]);
  await a.node.barrier();
  await b.node.until(() => heard > MAX_ROUTES_PER_CONNECTION);
  await b.node.barrier();
  expect([heard, mesh.counts.routes]).toEqual([MAX_ROUTES_PER_CONNECTION + 1, MAX_ROUTES_PER_CONNECTION]);
  a.node.endpoint.end(first.tx);
  send(second);
  await a.node.barrier();
  await b.node.until(() => heard > MAX_ROUTES_PER_CONNECTION + 1);
  expect(mesh.counts.routes).toBe(MAX_ROUTES_PER_CONNECTION - relays.length + 1);
});
