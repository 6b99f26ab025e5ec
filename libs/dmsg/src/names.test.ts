import { describe, expect, it } from 'vitest';
import { BLK_READ, CREATE, DELETE, LNK_CONN_CIRCUIT, LNK_ERROR, REPLY, REVCIRC, REVTRANS } from './command.ts';
import { commandName, describeCommand, peerTypeName } from './names.ts';

describe('names', () => {
  it('of peer types are those of the shell', () => {
    expect([0, 1, 2, 3, 63, 4, 64].map(peerTypeName)).toEqual([
      'NONE',
      'ROUTER',
      'BLOCK',
      'HAMMER2',
      'CLIENT',
      '?PEERTYPE?',
      '?PEERTYPE?',
    ]);
  });

  it('of commands leave the flags to describeCommand', () => {
    expect(commandName(0xa0001106)).toBe('LNK_CONN');
    expect(commandName(0x80900101)).toBe('0x900101');
    expect(describeCommand(CREATE + LNK_CONN_CIRCUIT)).toBe('LNK_CONN|CREATE');
    expect(describeCommand(CREATE + DELETE + REPLY + REVTRANS + REVCIRC + LNK_ERROR)).toBe(
      'LNK_ERROR|CREATE|DELETE|REPLY|REVTRANS|REVCIRC',
    );
    expect(describeCommand(BLK_READ)).toBe('BLK_READ');
  });
});
