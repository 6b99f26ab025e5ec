import { describe, expect, it } from 'vitest';
import { readSettings, SettingError, setting } from './setting.ts';
import { boolean, duration, hostPort, integer, list, listenAddress, oneOf, optional, text } from './setting-types.ts';

const specs = {
  listen: setting({
    env: 'SPANMESH_DMSG_LISTEN',
    flag: '--dmsg-listen',
    default: '127.0.0.1:987',
    describe: 'where peers connect',
    parse: hostPort(),
  }),
  depth: setting({
    env: 'SPANMESH_DEPTH',
    flag: '--depth',
    default: '4',
    describe: '',
    parse: integer({ min: 1, max: 9 }),
  }),
};

function errorOf(run: () => unknown): SettingError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(SettingError);
    return error as SettingError;
  }
  throw new Error('nothing was thrown');
}

describe('readSettings', () => {
  it('takes the flag before the environment before the default, each with its type', () => {
    const values = readSettings(specs, { env: {}, flags: {} });
    const port: number = values.listen.port;
    expect([port, values.depth]).toEqual([987, 4]);
    expect(readSettings(specs, { env: { SPANMESH_DEPTH: '5' }, flags: {} }).depth).toBe(5);
    expect(readSettings(specs, { env: { SPANMESH_DEPTH: '5' }, flags: { '--depth': '6' } }).depth).toBe(6);
  });

  it('names the setting as the operator wrote it, the value and the fault, in one line', () => {
    const fromEnv = errorOf(() => readSettings(specs, { env: { SPANMESH_DMSG_LISTEN: 'foo:99999' }, flags: {} }));
    expect(fromEnv.message).toBe("SPANMESH_DMSG_LISTEN: 'foo:99999': port must be 1..65535");
    expect(fromEnv.setting).toBe('SPANMESH_DMSG_LISTEN');
    const fromFlag = errorOf(() => readSettings(specs, { env: {}, flags: { '--depth': 'x\ny' } }));
    expect(fromFlag.message).toBe("--depth: 'x y': must be an integer");
  });

  it('shortens a long value', () => {
    const error = errorOf(() => readSettings(specs, { env: { SPANMESH_DEPTH: '1'.repeat(10_000) }, flags: {} }));
    expect(error.message.length).toBeLessThan(200);
  });

  it('refuses a declaration whose names are no setting names', () => {
    expect(() => setting({ ...specs.depth, env: 'DEPTH' })).toThrow(TypeError);
    expect(() => setting({ ...specs.depth, flag: 'depth' })).toThrow(TypeError);
  });
});

describe('setting types', () => {
  it.each([
    ['text', text({ min: 1 }), 'x', 'x'],
    ['integer', integer(), '-12', -12],
    ['duration in ms', duration(), '250', 250],
    ['duration 250ms', duration(), '250ms', 250],
    ['duration 1.5s', duration(), '1.5s', 1500],
    ['duration 2m', duration(), '2m', 120_000],
    ['boolean yes', boolean(), 'yes', true],
    ['boolean 0', boolean(), '0', false],
    ['oneOf', oneOf(['linkid', 'circuit']), 'circuit', 'circuit'],
    ['empty list', list(integer()), ' ', []],
    [
      'list',
      list(hostPort()),
      'a:1, [::1]:2',
      [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
      ],
    ],
    ['listenAddress', listenAddress(), '127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['optional, not given', optional(integer()), '', null],
    ['optional, given', optional(integer()), '7', 7],
  ] as [string, (text: string) => unknown, string, unknown][])('%s', (_, parse, written, value) => {
    expect(parse(written)).toEqual(value);
  });

  it.each([
    [text({ min: 1 }), '', 'must not be empty'],
    [text({ max: 2 }), 'abc', 'at most 2'],
    [text({ pattern: /^[a-z]+$/, says: 'must be lower-case letters' }), 'A', 'must be lower-case letters'],
    [integer({ min: 1, max: 5 }), '6', 'must be 1..5'],
    [integer(), '1.5', 'must be an integer'],
    [integer(), '', 'must be an integer'],
    [integer(), '9999999999999999', 'must be -'],
    [duration(), '5 parsecs', 'must be a duration'],
    [duration({ min: 100 }), '50ms', 'must be 100ms..'],
    [duration(), '1000h', 'must be 0ms..'],
    [boolean(), 'maybe', 'must be true or false'],
    [oneOf(['a', 'b']), 'c', 'must be one of a, b'],
    [list(integer({ max: 5 })), '1,2,9', 'value 3: must be'],
    [list(integer(), { max: 2 }), '1,2,3', 'at most 2 values'],
    [hostPort(), 'x:0', 'port must be 1..65535'],
  ] as [(text: string) => unknown, string, string][])('%# refuses %j', (parse, written, message) => {
    expect(() => parse(written)).toThrow(message);
  });
});

// Limits: settings/setting.ts MAX_SHOWN, settings/setting-types.ts MAX_DURATION_MS
it('a value is shown whole in an error up to 80 characters, and a duration is 24 days at most', () => {
  const wait = setting({ env: 'SPANMESH_WAIT', flag: '--wait', default: '1', describe: 'x', parse: duration() });
  const read = (value: string) => readSettings({ wait }, { env: { SPANMESH_WAIT: value }, flags: {} }).wait;
  expect(() => read('x'.repeat(80))).toThrow(`'${'x'.repeat(80)}'`);
  expect(() => read('x'.repeat(81))).toThrow(`'${'x'.repeat(80)}…'`);
  expect(read('2147483647')).toBe(2 ** 31 - 1);
  expect(() => read('2147483648')).toThrow('2147483647ms');
});
