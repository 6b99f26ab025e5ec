import { ProcessInfo, SetLogLevelRequest } from '@spanmesh/proto/v1/process';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LOG_LEVEL_MS, MAX_LOG_LEVEL_MS } from '../log/log-level-control.ts';
import { gatewayName, isCalled, isMeant, readLogLevelOrder } from './log-level-order.ts';

// Written once more: a change of them must be noticed.
const MAX_NAME_CHARS = 300;

const read = (request: Partial<SetLogLevelRequest>) => readLogLevelOrder(SetLogLevelRequest.fromPartial(request));

describe('an order of a log level', () => {
  it('is for all processes, and for a quarter of an hour, unless it says otherwise', () => {
    expect(read({ level: 'debug' })).toEqual({ level: 'debug', forMs: DEFAULT_LOG_LEVEL_MS, service: '', process: '' });
  });

  it('without a level returns to the settings; an unknown level makes it no order', () => {
    expect(read({})).toMatchObject({ level: null });
    expect(read({ level: 'loud' })).toMatch(/^There is no level like this: /);
  });

  // Limits: log/log-level-control.ts MAX_LOG_LEVEL_MS
  it('lasts a day at most', () => {
    expect(read({ level: 'debug', durationMs: MAX_LOG_LEVEL_MS })).toMatchObject({ forMs: 86_400_000 });
    expect(read({ level: 'debug', durationMs: MAX_LOG_LEVEL_MS + 1 })).toMatch(/^A level lasts 24 hours at most/);
  });

  // Limits: process/log-level-order.ts MAX_NAME_CHARS
  it.each(['service', 'process'] as const)('names a %s of 300 characters at most', (which) => {
    const name = 'x'.repeat(MAX_NAME_CHARS);
    expect(read({ level: 'debug', [which]: name })).toMatchObject({ [which]: name });
    expect(read({ level: 'debug', [which]: `${name}x` })).toBe('A name has at most 300 characters.');
  });
});

describe('a process', () => {
  const info = ProcessInfo.fromPartial({ id: 'p-1', host: 'h-1', gateway: 'gw.1.0badcafe', service: 'link-gateway' });

  it.each(['', 'p-1', 'h-1', 'gw.1.0badcafe', 'gw.1'])('is called %j', (name) => {
    expect(isCalled(info, name)).toBe(true);
    expect(isMeant(info, { service: '', process: name })).toBe(true);
    expect(isMeant(info, { service: 'link-gateway', process: name })).toBe(true);
    expect(isMeant(info, { service: 'topology', process: name })).toBe(false);
  });

  it.each(['p-2', 'gw', 'link-gateway'])('is not called %j', (name) => {
    expect(isCalled(info, name)).toBe(false);
    expect(isMeant(info, { service: 'link-gateway', process: name })).toBe(false);
  });

  it('that is a gateway is named without its boot id, too', () => {
    expect([gatewayName('gw.1.0badcafe'), gatewayName('gw')]).toEqual(['gw.1', 'gw']);
  });
});
