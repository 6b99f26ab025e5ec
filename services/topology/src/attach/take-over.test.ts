import { expect, it } from 'vitest';
import type { Gateway } from '../trees/gateway.ts';
import { TakeOver } from './take-over.ts';

it('the trace of a term’s beginning lasts from the lease to the first command, and includes the gateways that attach', () => {
  const told: unknown[] = [];
  const context = Buffer.alloc(25, 1);
  const tracer = {
    begin: (name: string, how: object) => {
      told.push([name, how]);
      return {
        context,
        note: (what: string, fields: object) => told.push([what, fields]),
        end: (failure?: string) => told.push(['end', failure]),
      };
    },
  };
  const takeOver = new TakeOver({ tracing: { tracer } as never });
  takeOver.ends();
  expect(takeOver.context).toBeUndefined();
  takeOver.begins(7, 'me:1');
  expect(takeOver.context).toBe(context);
  takeOver.attached({ id: 'a.1', links: new Map([[1, {}]]) } as unknown as Gateway);
  takeOver.begins(8, 'me:1');
  takeOver.ends();
  takeOver.ends('it does not lead');
  takeOver.attached({ id: 'b.1', links: new Map() } as unknown as Gateway);
  expect(takeOver.context).toBeUndefined();
  const begins = (epoch: number) => [
    'topology takes over',
    { attributes: { 'spanmesh.epoch': epoch, 'spanmesh.leader': 'me:1' } },
  ];
  expect(told).toEqual([
    begins(7),
    ['gateway attached', { 'spanmesh.gateway': 'a.1', 'spanmesh.links': 1 }],
    ['end', 'another term has begun'],
    begins(8),
    ['end', undefined],
  ]);
});

it('costs nothing when tracing is off', () => {
  const takeOver = new TakeOver({});
  takeOver.begins(7, 'me:1');
  expect(takeOver.context).toBeUndefined();
  expect(() => takeOver.ends()).not.toThrow();
});
