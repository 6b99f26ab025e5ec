import { describe, expect, it } from 'vitest';
import { natsSettings } from '../bus/nats/nats-settings.ts';
import { createLogger } from '../log/logger.ts';
import { warnOfUnknown } from '../process/process-frame.ts';
import { readSettings, setting } from './setting.ts';
import { lettersApart, unknownSettings, unknownText } from './unknown-settings.ts';

describe('variables that are called like settings', () => {
  it.each([
    ['SPANMESH_NATS_URLS', 'SPANMESH_NATS_URL'],
    ['SPANMESH_NAST_URL', 'SPANMESH_NATS_URL'],
    ['SPANMESH_MAX_CONECTIONS_PER_ADRESS', 'SPANMESH_MAX_CONNECTIONS_PER_ADDRESS'],
    ['spanmesh_nats_user', 'SPANMESH_NATS_USER'],
    ['SPANMESHNATS_URL', 'SPANMESH_NATS_URL'],
    ['SPANMESH_NO_SUCH', null],
    ['SPANMESH_', null],
    [`SPANMESH_${'X'.repeat(10_000)}`, null],
  ])('%s: is none, and %s is near', (variable, meant) => {
    expect(unknownSettings({ [variable]: 'x' })).toEqual([{ variable, meant }]);
  });

  it.each([
    'SPANMESH_NATS_URL',
    'SPANMESH_GATEWAY_NAME',
    'SPANMESH_VOLCONF_RETRY_MAX',
    'SPANMESH_ADDRESS',
    'SPANMESH_PUBLISH',
    'SPAMMESH_NATS_USER',
    'SPANMESHES',
    'NATS_URL',
  ])('%s is read by somebody, or is none of ours', (variable) => {
    expect(unknownSettings({ [variable]: 'x' })).toEqual([]);
  });

  it('are not those that Kubernetes makes of a Service', () => {
    const address = 'tcp://10.96.0.7:7987';
    const made = {
      SPANMESH_TOPOLOGY_SERVICE_HOST: '10.96.0.7',
      SPANMESH_TOPOLOGY_SERVICE_PORT: '7987',
      SPANMESH_TOPOLOGY_SERVICE_PORT_GRPC: '7987',
      SPANMESH_TOPOLOGY_PORT: address,
      SPANMESH_TOPOLOGY_PORT_7987_TCP: address,
      SPANMESH_TOPOLOGY_PORT_7987_TCP_PROTO: 'tcp',
      SPANMESH_TOPOLOGY_PORT_7987_TCP_PORT: '7987',
      SPANMESH_TOPOLOGY_PORT_7987_TCP_ADDR: '10.96.0.7',
      SPANMESH_SERVICE_HOST: '10.96.0.7',
      SPANMESH_PORT: address,
    };
    expect(unknownSettings(made)).toEqual([]);
    expect(unknownSettings({ SPANMESH_TOPOLOGY_PORT: '7987' })).toHaveLength(1);
  });

  // Limits: settings/unknown-settings.ts MAX_NAME_CHARS
  it('are compared up to a length that no setting has', () => {
    const own = new Set([`SPANMESH_${'X'.repeat(91)}`]);
    const ofChars = (chars: number) => `SPANMESH_Y${'X'.repeat(chars - 10)}`;
    const meantBy = (variable: string) => unknownSettings({ [variable]: '' }, own).map(({ meant }) => meant);
    expect(meantBy(ofChars(100))).toEqual([...own]);
    expect(meantBy(ofChars(101))).toEqual([null]);
  });

  it('are named in order, without what they hold', () => {
    const found = unknownSettings({ SPANMESH_ZZZZZZZZZZ: 'swordfish', SPANMESH_NATS_PASSWROD: 'swordfish' });
    expect(found.map(unknownText)).toEqual([
      'SPANMESH_NATS_PASSWROD is no setting (did you mean SPANMESH_NATS_PASSWORD?)',
      'SPANMESH_ZZZZZZZZZZ is no setting',
    ]);
  });

  // Causes: line this variable is no setting, and is not used
  it('are warned of in the log, without what they hold', () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = createLogger({ level: 'warn', service: 'test', destination });
    const env = { SPANMESH_NATS_PASSWROD: 'swordfish', SPANMESH_LEASE_TTL: '4s' };
    warnOfUnknown(readSettings(natsSettings, { env, flags: {} }), logger);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'warn',
        msg: 'this variable is no setting, and is not used',
        variable: 'SPANMESH_NATS_PASSWROD',
        meant: 'SPANMESH_NATS_PASSWORD',
      },
    ]);
    expect(lines.join('')).not.toContain('swordfish');
  });

  it('are not those that the caller declares', () => {
    const own = setting({ env: 'SPANMESH_TEST_ONLY', flag: '--x', default: '', describe: '', parse: String });
    const lines: string[] = [];
    const logger = createLogger({
      level: 'warn',
      service: 'test',
      destination: { write: (line: string) => void lines.push(line) },
    });
    warnOfUnknown(readSettings({ own }, { env: { SPANMESH_TEST_ONLY: '1' }, flags: {} }), logger);
    expect(lines).toEqual([]);
  });
});

it.each([
  ['', '', 0],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
  ['abc', 'abc', 0],
])('%s and %s are %i letters apart', (a, b, n) => {
  expect(lettersApart(a, b)).toBe(n);
  expect(lettersApart(b, a)).toBe(n);
});
