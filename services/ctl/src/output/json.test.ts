import { Connection, Link, Node } from '@spanmesh/proto/v1/types';
import { describe, expect, it } from 'vitest';
import { CLUSTER, CONNECTION, linkOf, NODE } from '../topology.fixture.ts';
import { protobufJson } from './json.ts';
import { labelArgument } from './label.ts';

describe('protobufJson', () => {
  it('keeps all bits of 64-bit numbers, and shows fields that hold their default', () => {
    expect(protobufJson(Link, linkOf(NODE, 1))).toEqual({
      id: 'gw.1:1',
      node: {
        cluster: {
          dialect: 'DIALECT_CIRCUIT',
          id: '8a2e1c5e-0000-4000-8000-000000000001',
          peerType: 3,
          peerLabel: 'tank',
        },
        id: '8a2e1c5e-0000-4000-8000-00000000000a',
        label: 'DATA',
      },
      connection: 'gw.1:101',
      dist: 0,
      rnss: 0,
      pfsType: 0,
      peerType: 3,
      protoVersion: 1,
      label: 'DATA',
      status: 0,
      mediaBytes: '0',
      mediaBlockSize: 0,
      stamp: '1700000000000001',
      msgid: '18446735277921949248',
      relays: 0,
      suspect: false,
      sinceUs: '0',
    });
  });

  it('writes enums by name, times as RFC 3339, and lists even if empty', () => {
    const json = protobufJson(Connection, { ...CONNECTION, lnkConns: [], origin: 0, wantedBy: '' });
    expect(json).toMatchObject({
      origin: 'CONNECTION_ORIGIN_UNSPECIFIED',
      since: '2026-01-31T12:00:01.000Z',
      lnkConns: [],
      wantedBy: '',
    });
    expect(protobufJson(Connection, CONNECTION)).toMatchObject({
      origin: 'CONNECTION_ORIGIN_ACCEPTED',
      lnkConns: [{ peerMask: '18446744073709551615' }],
    });
  });

  it('leaves out messages that are missing', () => {
    expect(protobufJson(Link, Link.fromPartial({ id: 'x' }))).not.toHaveProperty('node');
  });

  it('writes labels as they are printed, in whatever field', () => {
    const wire = Buffer.from([...Buffer.from('Größe\x1b\\'), 0xff]).toString('latin1');
    const node = {
      ...NODE,
      label: wire,
      key: { ...NODE.key!, label: wire, cluster: { ...CLUSTER.key!, peerLabel: wire } },
    };
    const shown = 'Größe\\x1b\\\\\\xff';
    expect(protobufJson(Node, node)).toMatchObject({
      label: shown,
      key: { label: shown, cluster: { peerLabel: shown } },
    });
    expect(labelArgument(shown)).toBe(wire);
  });

  it('can be read back', () => {
    const link = linkOf(NODE, 1, { dist: -3 });
    expect(Link.fromJSON(protobufJson(Link, link))).toEqual(link);
  });
});
