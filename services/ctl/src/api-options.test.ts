import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addAddressOptions, addApiOptions, parseAddress, parseTime, readApiOptions } from './api-options.ts';
import { RecordingTerminal } from './terminal.fixture.ts';

function read(args: readonly string[], env: Record<string, string> = {}) {
  const terminal = new RecordingTerminal(env);
  const program = addAddressOptions(new Command()).enablePositionalOptions();
  const command = addApiOptions(program.command('do'));
  let options: unknown;
  command.action(() => {
    options = readApiOptions(command, terminal);
  });
  program.parse(args, { from: 'user' });
  return options;
}

describe('readApiOptions', () => {
  it('has defaults', () => {
    expect(read(['do'])).toEqual({ address: '127.0.0.1:7987', timeoutMs: 10_000, output: 'text' });
  });

  it('takes options on either side of the command, the nearer one first, then the environment', () => {
    const env = { SPANMESH_ADDRESS: 'env:1' };
    expect(read(['do'], env)).toMatchObject({ address: 'env:1' });
    expect(read(['--address', 'before:2', 'do'], env)).toMatchObject({ address: 'before:2' });
    expect(read(['--address', 'before:2', 'do', '--address', 'after:3', '--timeout', '2s'], env)).toMatchObject({
      address: 'after:3',
      timeoutMs: 2000,
    });
  });
});

describe('parseAddress', () => {
  it.each(['127.0.0.1:7987', 'host.example:1', '[::1]:65535'])('takes %s', (text) => {
    expect(parseAddress(text)).toBe(text);
  });

  it.each(['', 'host', ':1', 'host:0', 'host:65536', '::1:5', 'http://host:1', 'a b:1', 'host:1x'])(
    'refuses %j',
    (text) => {
      expect(() => parseAddress(text)).toThrow();
    },
  );
});

it('says of a URL what is too much of it', () => {
  expect(() => parseAddress('http://127.0.0.1:7987')).toThrow('Expected it without http://, like 127.0.0.1:7987.');
});

describe('parseTime', () => {
  it.each([
    ['10', 10_000],
    ['1.5s', 1500],
    ['500ms', 500],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('reads %s', (text, ms) => {
    expect(parseTime(text)).toBe(ms);
  });

  it.each(['', '0', '-1', '1d', 's', '1e9', '1000h'])('refuses %j', (text) => {
    expect(() => parseTime(text)).toThrow();
  });
});
