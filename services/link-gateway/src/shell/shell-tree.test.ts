import { GetTreeResponse } from '@spanmesh/proto/v1/topology';
import { describe, expect, it } from 'vitest';
import { printable, TreeText } from './shell-tree.ts';

describe('text of peers on the way to terminals of others', () => {
  it('has no control characters, of seven bits or of eight', () => {
    expect(printable('ok\x1b[31m\x9b2J\x7f')).toBe('ok?[31m?2J?');
    // The same controls in UTF-8: an 8-bit terminal obeys the second byte alone.
    expect(printable('\xc2\x9b31mRED \xc2\x9d52;c;ZXZpbA==\xc2\x9c')).toBe('\xc2?31mRED \xc2?52;c;ZXZpbA==\xc2?');
    for (let code = 0; code < 0x100; code++) {
      const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
      const char = String.fromCharCode(code);
      expect(printable(char)).toBe(isControl ? '?' : char);
    }
  });

  it('keeps printable characters, one byte each', () => {
    expect(printable('box 1 (Gr\xc3\xb6\xdfe)')).toBe('box 1 (Gr\xc3\xb6\xdfe)');
    expect(printable('東')).toBe('?');
  });
});

describe('the output of tree', () => {
  const link = (id: string, more: object = {}) => ({
    link: { id, connection: 'gw.1:31', msgid: 0xabcn, dist: 2 },
    relays: [],
    ...more,
  });
  const cluster = (id: string, nodes: object[]) => ({
    cluster: { key: { peerType: 3, id, peerLabel: 'pool' }, peerTypeName: 'HAMMER2' },
    nodes,
  });
  const node = (id: string, links: object[]) => ({
    node: { key: { id, label: 'disk' }, label: 'root', pfsType: 8 },
    links,
  });
  const shown = (stacked: boolean, ...parts: object[]) => {
    const text = new TreeText({ stacked }, (linkId, lnkConnId) => (lnkConnId === 'here' ? `${linkId} relay` : null));
    return parts.flatMap((part) => [...text.lines(GetTreeResponse.fromPartial(part))]);
  };
  const relays = [
    { lnkConn: 'here', connection: 'gw.1:32' },
    { lnkConn: 'away', connection: 'gw.2:7' },
    { lnkConn: 'held', connection: 'gw.1:33', withheld: true },
  ];

  it('of linkid has clusters, nodes and links', () => {
    const part = { clusters: [cluster('c1', [node('n1', [link('l1', { relays }), link('l2')]), node('n2', [])])] };
    expect(shown(false, part)).toEqual([
      'Cluster c1',
      '    Node n1 (root)',
      '\tLink dist=2 via 31',
      '\tLink dist=2 via 31',
      '    Node n2 (root)',
    ]);
  });

  it('of circuit has types, labels and relays, too: not those that are withheld, and no msgid of other gateways', () => {
    expect(shown(true, { clusters: [cluster('c1', [node('n1', [link('l1', { relays })])])] })).toEqual([
      'Cluster HAMMER2 c1 (pool)',
      '    Node 08 n1 (disk)',
      '\tSLink msgid 0000000000000abc dist=2 via 31',
      '\t    Relay-out msgid l1 relay via 32',
      `\t    Relay-out msgid ${'-'.repeat(16)} via 7`,
    ]);
  });

  it('goes on in the next part where the last one has ended', () => {
    const part = (...links: object[]) => ({ clusters: [cluster('c1', [node('n1', links)])] });
    const first = part(link('l1', { relays: relays.slice(0, 1) }));
    const more = part(link('l1', { relays: relays.slice(1, 2) }), link('l2'));
    expect(shown(true, first, more)).toEqual([
      'Cluster HAMMER2 c1 (pool)',
      '    Node 08 n1 (disk)',
      '\tSLink msgid 0000000000000abc dist=2 via 31',
      '\t    Relay-out msgid l1 relay via 32',
      `\t    Relay-out msgid ${'-'.repeat(16)} via 7`,
      '\tSLink msgid 0000000000000abc dist=2 via 31',
    ]);
    expect(shown(false, first, more)).toEqual([
      'Cluster c1',
      '    Node n1 (root)',
      '\tLink dist=2 via 31',
      '\tLink dist=2 via 31',
    ]);
  });

  it('begins anew with each cluster and node, though those below have the same ids', () => {
    const same = [node('n1', [link('l1')])];
    const part = {
      clusters: [cluster('c1', same), cluster('c2', [...same, ...same.map(() => node('n2', [link('l1')]))])],
    };
    expect(shown(false, part)).toEqual([
      'Cluster c1',
      '    Node n1 (root)',
      '\tLink dist=2 via 31',
      'Cluster c2',
      '    Node n1 (root)',
      '\tLink dist=2 via 31',
      '    Node n2 (root)',
      '\tLink dist=2 via 31',
    ]);
  });

  it('leaves out what is not there', () => {
    const part = { clusters: [{ nodes: [{ links: [link('l1')] }, node('n1', [{ relays }])] }] };
    expect(shown(true, part)).toEqual(['Cluster undefined undefined ()', '    Node 08 n1 (disk)']);
  });
});
