import { status } from '@grpc/grpc-js';
import { runNow } from '@spanmesh/runtime/grpc/slices';
import { describe, expect, it } from 'vitest';
import { FakeGateway } from '../testing/fake-gateway.fixture.ts';
import { FakeLeader } from '../testing/fake-leader.fixture.ts';
import { uuid } from '../testing/payloads.fixture.ts';
import { slicesOf } from '../testing/slices-of.fixture.ts';
import { settle } from '../testing/world.fixture.ts';
import { connectionId } from '../trees/show-ids.ts';
import { findConnection, findNode, findOneNode, matchConnection, nodesOf } from './find.ts';

/** Topology with nodes of these numbers, behind one connection of one gateway. */
function withNodes(...nodes: number[]) {
  const leader = new FakeLeader();
  const gateway = new FakeGateway('a');
  const connection = gateway.openConnection();
  for (const node of nodes) gateway.openLink(connection, node);
  settle(leader, [gateway]);
  const { tree } = leader.core.state.trees;
  return { tree, find: (text: string) => runNow(findNode(tree, text)).nodeId };
}

/** The code and details of the error that a call throws. */
function errorOf(call: () => unknown): { code: status; details: string } {
  try {
    call();
  } catch (error) {
    return error as { code: status; details: string };
  }
  throw new Error('it has not failed');
}

describe('a search', () => {
  it('looks at 512 objects in a slice: clusters and nodes, or connections and LNK_CONNs', () => {
    const nodes = (count: number) => withNodes(...Array.from({ length: count }, (_, i) => i + 1)).tree;
    // The cluster is an object, too.
    expect(slicesOf(findNode(nodes(510), uuid(1)))).toEqual([]);
    expect(slicesOf(findNode(nodes(511), uuid(1)))).toEqual([512]);
    expect(slicesOf(findNode(nodes(1024), uuid(1)))).toEqual([512, 512]);
    const connections = (count: number) => {
      const leader = new FakeLeader();
      const gateway = new FakeGateway('a');
      for (let i = 0; i < count; i++) gateway.openLnkConn(gateway.openConnection());
      settle(leader, [gateway]);
      return leader.core.state.trees;
    };
    expect(slicesOf(matchConnection(connections(255), 'nobody'))).toEqual([]);
    expect(slicesOf(matchConnection(connections(256), 'nobody'))).toEqual([512]);
    expect(slicesOf(matchConnection(connections(600), 'nobody'))).toEqual([512, 512]);
  });
});

describe('a node', () => {
  it('is found by its id, its label, or a prefix of its id; an id or label counts before prefixes', () => {
    const { tree, find } = withNodes(0x1234, 0x12, 0x123456);
    expect([find(uuid(0x1234).toUpperCase()), find('node18')]).toEqual([uuid(0x1234), uuid(0x12)]);
    expect(find(uuid(0x1234).slice(0, -1))).toBe(uuid(0x1234));
    expect(findOneNode(nodesOf(tree), uuid(0x12))?.nodeId).toBe(uuid(0x12));
    expect(findOneNode(nodesOf(tree), 'nobody')).toBeUndefined();
  });

  // Causes: code show/find.ts INVALID_ARGUMENT, show/find.ts NOT_FOUND
  it('that is not there, or not named, is an error', () => {
    const { find } = withNodes(1);
    expect(errorOf(() => find('nobody'))).toMatchObject({ code: status.NOT_FOUND });
    expect(errorOf(() => find(''))).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  // Limits: show/find.ts MAX_CANDIDATES
  it('whose name fits several is an error that lists ten of them, and the number of the others', () => {
    const numbers = Array.from({ length: 11 }, (_, i) => 0x100 + i);
    const prefix = uuid(0x100).slice(0, -3);
    const ten = errorOf(() => withNodes(...numbers.slice(0, 10)).find(prefix));
    expect(ten.code).toBe(status.INVALID_ARGUMENT);
    expect(ten.details.match(/\(node/g)).toHaveLength(10);
    expect(ten.details).not.toContain('more');
    const eleven = errorOf(() => withNodes(...numbers).find(prefix));
    expect(eleven.details.match(/\(node/g)).toHaveLength(10);
    expect(eleven.details).toContain(', and 1 more. ');
  });
});

describe('a connection', () => {
  /** Two gateways, to which the tests add connections. */
  function installation() {
    const leader = new FakeLeader();
    const [a, b] = [new FakeGateway('a'), new FakeGateway('b')];
    const one = a.openConnection();
    a.openLnkConn(one, 7);
    const two = b.openConnection();
    b.openLnkConn(two, 8);
    b.openLnkConn(two, 8);
    const three = b.openConnection();
    settle(leader, [a, b]);
    const { state } = leader.core;
    return {
      state,
      a,
      b,
      one,
      two,
      three,
      find: (text: string) => connectionId(runNow(findConnection(state.trees, text))),
    };
  }

  it('is found by its id, by its number if only one connection has it, or by the label of a LNK_CONN on it', () => {
    const { find, a, b, one, two, three } = installation();
    expect(find(`${b.id}:${two}`)).toBe(`${b.id}:${two}`);
    expect(find(`${three}`)).toBe(`${b.id}:${three}`);
    expect([find('peer7'), find('peer8')]).toEqual([`${a.id}:${one}`, `${b.id}:${two}`]);
  });

  it('is not found by a similar name', () => {
    const { find, b, state, two } = installation();
    for (const text of [`${b.id}:0${two}`, '0', '01', `c:${two}`, 'peer9', ':1']) {
      expect(errorOf(() => find(text))).toMatchObject({ code: status.NOT_FOUND });
      expect(runNow(matchConnection(state.trees, text))).toBeUndefined();
    }
    expect(errorOf(() => find(''))).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  it('whose name fits several is an error that lists them', () => {
    const { find, a, b, one } = installation();
    // Both gateways number their connections from 1.
    const error = errorOf(() => find(`${one}`));
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(error.details).toContain(`${a.id}:${one}, ${b.id}:${one}`);
  });
});
