import { describe, expect, it } from 'vitest';
import { natsSettings } from '../bus/nats/nats-settings.ts';
import { createLogger } from '../log/logger.ts';
import { lettersApart, misspeltSettings, warnOfMisspelt } from './misspelt-settings.ts';
import { setting } from './setting.ts';

describe('variables that look like settings', () => {
  it.each([
    ['SPANMESH_NATS_URLS', 'SPANMESH_NATS_URL'],
    ['SPANMESH_NAST_URL', 'SPANMESH_NATS_URL'],
    ['SPAMMESH_NATS_USER', undefined],
    ['spanmesh_nats_user', 'SPANMESH_NATS_USER'],
    ['SPANMESHNATS_URL', 'SPANMESH_NATS_URL'],
    ['SPANMESH_NATS_URL', undefined],
    ['SPANMESH_GATEWAY_NAME', undefined],
    ['NATS_URL', undefined],
    [`SPANMESH_${'X'.repeat(10_000)}`, undefined],
  ])('%s: %s', (variable, meant) => {
    expect(misspeltSettings({ [variable]: 'x' }, natsSettings)).toEqual(
      meant === undefined ? [] : [{ variable, meant }],
    );
  });

  // Limits: settings/misspelt-settings.ts MAX_NAME_CHARS
  it('are compared up to a length that no setting has', () => {
    const env = `SPANMESH_${'X'.repeat(91)}`;
    const long = { long: setting({ env, flag: '--x', default: '', describe: '', parse: String }) };
    const ofChars = (chars: number) => `SPANMESH_Y${'X'.repeat(chars - 10)}`;
    expect(misspeltSettings({ [ofChars(100)]: '' }, long)).toEqual([{ variable: ofChars(100), meant: env }]);
    expect(misspeltSettings({ [ofChars(101)]: '' }, long)).toEqual([]);
  });

  it('are named in the log, without what they hold', () => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const logger = createLogger({ level: 'warn', service: 'test', destination });
    warnOfMisspelt({ SPANMESH_NATS_PASSWROD: 'swordfish' }, natsSettings, logger);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      variable: 'SPANMESH_NATS_PASSWROD',
      meant: 'SPANMESH_NATS_PASSWORD',
    });
    expect(lines[0]).not.toContain('swordfish');
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
