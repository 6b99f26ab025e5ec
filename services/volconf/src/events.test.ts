import { EventKind } from '@spanmesh/proto/v1/events';
import { expect, it } from 'vitest';
import { tellTarget } from './events.ts';
import { Target } from './slots/target.ts';

it('tells that a target stands once, whoever comes to want it meanwhile', () => {
  const kinds: EventKind[] = [];
  const events = { tell: ({ kind }: { kind: EventKind }) => void kinds.push(kind) };
  const target = new Target('a', 'a', 0);
  target.state = {
    kind: 'running',
    placed: { gateway: 'gw.1', epoch: 1, generation: 1 },
    destination: { host: 'host', port: 987, dialect: 'auto' },
    connection: 1,
    remoteAddress: 'host:987',
    upAt: 0,
  };
  const told = (was: 'dialling' | 'running') => tellTarget(events, 'a', target, { was, idOf: (gateway) => gateway });
  told('dialling');
  told('running');
  expect(kinds).toEqual([EventKind.EVENT_KIND_TARGET_UP]);
});
