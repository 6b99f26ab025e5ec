import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { expect, it } from 'vitest';
import { type Asker, askerName, askerOf, OPERATOR } from './asker.ts';
import { MAX_LOOK_UPS_PER_ASKER } from './names/limits.ts';
import { LookUps } from './names/look-ups.ts';

const order = (mediaId: string, principal: string) => askerOf({ byOperator: false, mediaId, principal });

it('look-ups of one principal have one share, for all media and shells of its peers', () => {
  const lookUps = new LookUps({ clock: new FakeClock(), lookUp: () => new Promise(() => {}) });
  const { signal } = new AbortController();
  const ask = (name: string, asker: Asker) => void lookUps.resolve(name, { asker: askerName(asker), signal });
  for (let i = 0; i < MAX_LOOK_UPS_PER_ASKER; i++) ask(`host${i}.example`, order(`media${i}`, '192.0.2.1'));
  expect([lookUps.running, lookUps.waiting]).toEqual([MAX_LOOK_UPS_PER_ASKER, 0]);
  ask('one-more.example', order('another', '192.0.2.1'));
  ask('of-a-shell.example', { kind: 'peer', principal: '192.0.2.1' });
  expect([lookUps.running, lookUps.waiting]).toEqual([MAX_LOOK_UPS_PER_ASKER, 2]);
  ask('of-another.example', order('media0', '192.0.2.2'));
  ask('of-an-operator.example', askerOf({ byOperator: true, mediaId: '', principal: '192.0.2.1' }));
  expect([lookUps.running, lookUps.waiting]).toEqual([MAX_LOOK_UPS_PER_ASKER + 2, 2]);
});

it('an order that names no principal has a share by its media', () => {
  expect(askerName(order('m', ''))).not.toBe(askerName(order('n', '')));
  expect(askerName(order('operator', ''))).not.toBe(askerName(OPERATOR));
});
