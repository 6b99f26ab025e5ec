import { status } from '@grpc/grpc-js';
import { VerdictReason } from '@spanmesh/proto/v1/topology';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { lnkConnPayload, uuid } from '../testing/payloads.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { explain } from './explain.ts';

/** The names of the reasons by number, without the prefix that all of them have. */
const NAMES = new Map(
  Object.entries(VerdictReason).map(([name, reason]) => [reason, name.replace('VERDICT_REASON_', '')] as const),
);

/** Two gateways, and functions that explain the links of a node for the LNK_CONNs of a connection: all, or a page. */
function installation() {
  const leader = new FakeLeader();
  const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
  const pageFor = (connection: string, { node = 'node1', pageSize = 500, pageToken = '' } = {}) => {
    settle(leader, [a, b]);
    const widths = { linkid: 2, circuit: 1 };
    return runNow(explain(leader.core.state.trees, widths, { node, connection, pageSize, pageToken }));
  };
  const verdictsFor = (connection: string, node = 'node1') =>
    pageFor(connection, { node }).lnkConns.map(({ width, verdicts }) => [
      width,
      ...verdicts.map(({ reason, relayed }) => `${NAMES.get(reason)} ${relayed}`),
    ]);
  return { a, b, trees: leader.core.state.trees, pageFor, verdictsFor };
}

describe('the reason why a link is relayed, or not', () => {
  it('is that it came in on that very connection, where the walk stops', () => {
    const { a, verdictsFor } = installation();
    const connection = a.openConnection();
    a.openLink(connection, 1);
    a.openLink(a.openConnection(), 1, 1);
    a.openLnkConn(connection);
    expect(verdictsFor(`${a.id}:${connection}`)).toEqual([[1, 'SAME_CONNECTION false', 'AFTER_STOP false']]);
  });

  it('is that it is the best link, or that better ones fill the width of the dialect', () => {
    const { a, b, verdictsFor } = installation();
    for (let dist = 0; dist < 3; dist++) {
      a.openLink(a.openConnection(), 1, dist);
      a.openLink(a.openConnection('linkid'), 2, dist);
    }
    const [linkid, circuit] = [b.openConnection('linkid'), b.openConnection()];
    b.openLnkConn(linkid);
    b.openLnkConn(circuit);
    expect(verdictsFor(`${b.id}:${circuit}`)).toEqual([[1, 'TAKEN true', 'WIDTH_FULL false', 'WIDTH_FULL false']]);
    expect(verdictsFor(`${b.id}:${linkid}`, uuid(2))).toEqual([[2, 'TAKEN true', 'TAKEN true', 'WIDTH_FULL false']]);
  });

  it('is that it is too far, or that its gateway cannot be reached', () => {
    const { a, b, verdictsFor } = installation();
    a.openLink(a.openConnection(), 1, 0);
    b.openLink(b.openConnection(), 1, 17);
    const connection = b.openConnection();
    b.openLnkConn(connection);
    b.reach(a.id, false);
    expect(verdictsFor(`${b.id}:${connection}`)).toEqual([[1, 'UNREACHABLE false', 'TOO_FAR false']]);
  });

  it('is that the principal that offers it is withheld at the gateway of the LNK_CONN; links of others are not', () => {
    const { a, b, verdictsFor } = installation();
    const greedy = '198.51.100.66';
    const offering = a.openConnection('circuit', `${greedy}:1000`);
    a.openLink(offering, 1, 0);
    a.openLink(a.openConnection(), 1, 1);
    a.openLink(a.openConnection(), 2, 1);
    const connection = b.openConnection();
    b.openLnkConn(connection);
    const own = a.openConnection();
    a.openLnkConn(own);
    const there = () => verdictsFor(`${b.id}:${connection}`);
    expect(there()).toEqual([[1, 'TAKEN true', 'WIDTH_FULL false']]);
    b.withhold([greedy]);
    // Nothing is relayed in its place.
    expect(there()).toEqual([[1, 'WITHHELD false', 'WIDTH_FULL false']]);
    expect(verdictsFor(`${b.id}:${connection}`, uuid(2))).toEqual([[1, 'TAKEN true']]);
    // At its own gateway, and at others, it is as before.
    expect(verdictsFor(`${a.id}:${own}`)).toEqual([[1, 'TAKEN true', 'WIDTH_FULL false']]);
    b.withhold([]);
    expect(there()).toEqual([[1, 'TAKEN true', 'WIDTH_FULL false']]);
  });

  it('cannot be told of a connection of another dialect', () => {
    const { a, verdictsFor } = installation();
    a.openLink(a.openConnection(), 1);
    const other = a.openConnection('linkid');
    a.openLnkConn(other);
    expect(() => verdictsFor(`${a.id}:${other}`)).toThrow(
      expect.objectContaining({ code: status.FAILED_PRECONDITION }),
    );
  });

  it('is told for each LNK_CONN of the connection', () => {
    const { a, b, verdictsFor } = installation();
    a.openLink(a.openConnection(), 1);
    const connection = b.openConnection();
    b.openLnkConn(connection);
    b.openLnkConn(connection);
    expect(verdictsFor(`${b.id}:${connection}`)).toEqual([
      [1, 'TAKEN true'],
      [1, 'TAKEN true'],
    ]);
  });

  it('is told for the LNK_CONNs in the order of their numbers, whichever the gateway has told first', () => {
    const { a, b, trees, pageFor } = installation();
    a.openLink(a.openConnection(), 1);
    const connection = b.openConnection();
    pageFor(`${b.id}:${connection}`);
    const gateway = trees.gateways.get(b.id) ?? expect.fail('no gateway');
    const numbers = [90, 70, 80];
    for (const id of numbers) trees.openLnkConn(gateway, { id, connection, payload: lnkConnPayload('circuit', id) });
    const { lnkConns } = pageFor(`${b.id}:${connection}`);
    expect(lnkConns.map(({ lnkConn }) => lnkConn?.id)).toEqual([70, 80, 90].map((id) => `${b.id}:${id}`));
  });

  it('is told in pages: each goes on where the one before has ended, in the same LNK_CONN or in the next one', () => {
    const { a, b, pageFor } = installation();
    const links = [0, 1, 2].map((dist) => a.openLink(a.openConnection(), 1, dist));
    const connection = b.openConnection();
    const lnkConns = [b.openLnkConn(connection), b.openLnkConn(connection)];
    const pages: string[][] = [];
    for (let pageToken = ''; pages.length === 0 || (pageToken !== '' && pages.length < 9); ) {
      const page = pageFor(`${b.id}:${connection}`, { pageSize: 2, pageToken });
      pageToken = page.nextPageToken;
      pages.push(
        page.lnkConns.flatMap(({ lnkConn, verdicts }) => verdicts.map(({ link }) => `${lnkConn?.id} ${link?.id}`)),
      );
    }
    const [[one, two, three], [four, five, six]] = lnkConns.map((lnkConn) =>
      links.map((link) => `${b.id}:${lnkConn} ${a.id}:${link}`),
    ) as [string[], string[]];
    expect(pages).toEqual([
      [one, two],
      [three, four],
      [five, six],
    ]);
  });

  it.each([255, 256, 257, 512])('is told for each of %i links', (count) => {
    const { a, b, pageFor } = installation();
    const links = Array.from({ length: count }, (_, dist) => a.openLink(a.openConnection(), 1, dist));
    const connection = b.openConnection();
    b.openLnkConn(connection);
    const { lnkConns } = pageFor(`${b.id}:${connection}`, { pageSize: 1000 });
    expect(lnkConns[0]?.verdicts.map(({ link }) => link?.id)).toEqual(links.map((link) => `${a.id}:${link}`));
  });
});
