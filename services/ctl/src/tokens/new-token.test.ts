import { parseApiTokens } from '@spanmesh/runtime/access/api-tokens';
import { describe, expect, it } from 'vitest';
import { main } from '../main.ts';
import { RecordingTerminal } from '../terminal.fixture.ts';

async function tokens(...args: string[]) {
  const terminal = new RecordingTerminal();
  const code = await main(['tokens', 'new', ...args], terminal);
  return { code, printed: terminal.printed, noted: terminal.noted };
}

describe('tokens new', () => {
  it('prints a token once, and its line for the tokens file', async () => {
    const { code, printed, noted } = await tokens('--role', 'operate', 'ann');
    expect(code).toBe(0);
    const line = noted.trimEnd().split('\n').at(-1)!;
    expect(noted).not.toContain(printed.trim());
    const known = parseApiTokens('tokens', Buffer.from(line));
    expect(known.userOf(printed.trim())).toMatchObject({ name: 'ann', role: 'operate' });
  });

  it.each([
    [['ann'], /required option '--role <role>' not specified/],
    [['--role', 'root', 'ann'], /Allowed choices are read, operate/],
    [['--role', 'read', 'a b'], /the name must be made of/],
  ])('refuses %j', async (args, message) => {
    const { code, printed, noted } = await tokens(...args);
    expect([code, printed]).toEqual([2, '']);
    expect(noted).toMatch(message);
  });
});
