import { EventKind } from '@spanmesh/proto/v1/events';
import type { Bus } from '@spanmesh/runtime/bus/bus';
import { describe, expect, it } from 'vitest';
import { publishTarget, tellTarget } from './events.ts';
import { type Placed, Target, type TargetState } from './reconciler/target.ts';

const placed: Placed = { gateway: 'gw.1', epoch: 1, generation: 1 };
const destination = { host: 'host', port: 987, dialect: 'auto' } as const;
const STATES: Record<TargetState['kind'], TargetState> = {
  stopped: { kind: 'stopped' },
  waiting: { kind: 'waiting', at: 0 },
  ready: { kind: 'ready' },
  dialling: { kind: 'dialling', placed, destination },
  running: { kind: 'running', placed, destination, connection: 1, remoteAddress: 'host:987', upAt: 0 },
};
const idOf = (gateway: string) => gateway.replace('.1', '.2');

function target(kind: TargetState['kind'], fields: Partial<Target> = {}): Target {
  return Object.assign(new Target('a', 'a', 0), { state: STATES[kind], ...fields });
}

/** The events for people after a target has changed its state. */
function told(one: Target, was: TargetState['kind']) {
  const events: unknown[] = [];
  tellTarget({ tell: (event, how) => void events.push(event, how) }, 'name', one, { was, idOf });
  return events;
}

describe('an event for people reports', () => {
  it('that a target is dialled for the first time', () => {
    const first = target('dialling', { attempts: 1, wanted: destination, principal: '192.0.2.1' });
    expect(told(first, 'ready')).toEqual([
      {
        kind: EventKind.EVENT_KIND_TARGET_CONNECTING,
        subject: 'name',
        principal: '192.0.2.1',
        target: { address: 'host:987', gateway: 'gw.2', error: '' },
      },
      {},
    ]);
    expect(told(target('dialling', { attempts: 2 }), 'ready')).toEqual([]);
  });

  it('that it is connected, once, and not again when it is adopted', () => {
    expect(told(target('running'), 'dialling')).toMatchObject([
      { kind: EventKind.EVENT_KIND_TARGET_UP, principal: 'name', target: { address: '', gateway: 'gw.2' } },
      {},
    ]);
    expect(told(target('running'), 'running')).toEqual([]);
  });

  it('that it fails, and why; repetitions are counted', () => {
    const failing = target('waiting', { failing: true, lastError: 'nobody answers there', wanted: destination });
    expect(told(failing, 'dialling')).toEqual([
      {
        kind: EventKind.EVENT_KIND_TARGET_FAILED,
        subject: 'name',
        principal: 'name',
        target: { address: 'host:987', gateway: '', error: 'nobody answers there' },
      },
      { repeats: 'name' },
    ]);
    expect(told(target('waiting'), 'dialling')).toEqual([]);
  });

  it('no other change', () => {
    expect(told(target('ready'), 'waiting')).toEqual([]);
    expect(told(target('stopped', { failing: true }), 'running')).toEqual([]);
  });
});

describe('news on the bus', () => {
  function published(one: Target | null) {
    const news: [string, unknown][] = [];
    const bus = {
      publish: (subject: string, data: Uint8Array) =>
        void news.push([subject, JSON.parse(new TextDecoder().decode(data))]),
    } as Bus;
    publishTarget(bus, 'name', one, { wall: 17, idOf });
    return news;
  }

  it('name the target’s state and gateway, and report that a target is gone', () => {
    const is = (state: string, gateway = '', error = '') => ({ name: 'name', state, gateway, error, at: 17 });
    expect(published(target('running'))).toEqual([['events.target.gw_2', is('running', 'gw.2')]]);
    expect(published(target('dialling'))).toEqual([['events.target.gw_2', is('connect', 'gw.2')]]);
    const trouble = { failing: true, lastError: 'why' };
    expect(published(target('waiting', trouble))).toEqual([['events.target.none', is('connect', '', 'why')]]);
    expect(published(target('stopped', { lastError: 'why' }))).toEqual([['events.target.none', is('stopped')]]);
    expect(published(null)).toEqual([['events.target.none', is('removed')]]);
  });

  it('do no harm when the bus does not accept them', () => {
    const bus = {
      publish: () => {
        throw new Error('closed');
      },
    } as unknown as Bus;
    expect(() => publishTarget(bus, 'name', null, { wall: 17, idOf })).not.toThrow();
  });
});
