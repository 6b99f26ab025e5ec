import { describe, expect, it } from 'vitest';
import { BLK_READ, CREATE, DELETE, LNK_CONN_CIRCUIT, LNK_ERROR, REPLY, REVCIRC, REVTRANS } from './command.ts';
import { errorName } from './error-code.ts';
import { commandName, describeCommand, PeerType, peerTypeName, pfsTypeName } from './names.ts';

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

  it.each([
    [0x00000001, 'LNK_PAD'],
    [0x00000101, 'LNK_PING'],
    [0x00001002, 'LNK_AUTH'],
    [0x00001108, 'LNK_CONN'],
    [0x00001106, 'LNK_CONN'],
    [0x00001207, 'LNK_SPAN'],
    [0x00002008, 'LNK_VOLCONF'],
    [0x000fff01, 'LNK_ERROR'],
    [0x00100101, 'DBG_SHELL'],
    [0x00500102, 'BLK_OPEN'],
    [0x00500202, 'BLK_CLOSE'],
    [0x00500302, 'BLK_READ'],
    [0x00500402, 'BLK_WRITE'],
    [0x00500502, 'BLK_FLUSH'],
    [0x00500602, 'BLK_FREEBLKS'],
    [0x005fff03, 'BLK_ERROR'],
  ])('of the command %i is %s, with and without flags', (word, name) => {
    expect(commandName(word)).toBe(name);
    expect(describeCommand((word | 0xfc000000) >>> 0)).toBe(`${name}|CREATE|DELETE|REPLY|ABORT|REVTRANS|REVCIRC`);
  });

  it('of errors are those of the protocol', () => {
    const words =
      'OK SYNC EOF SOCK FIELD HCRC XCRC ACRC STATE NOPEER NORKEY NOLKEY KEYXCHGFAIL KEYFMT BADURANDOM MSGSEQ EALREADY ' +
      'TRANS IVWRAP MACFAIL ALGO';
    expect(Array.from({ length: 21 }, (_, code) => errorName(code)).join(' ')).toBe(words);
    expect([0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25].map(errorName)).toEqual([
      'E31',
      'NOSUPP',
      'LOSTLINK',
      'IO',
      'PARAM',
      'CANTCIRC',
      'E37',
    ]);
  });

  it('of a pfs_type depend on the type of its peer', () => {
    const names = [PeerType.HAMMER2, PeerType.NONE, PeerType.BLOCK].map((peerType) =>
      Array.from({ length: 11 }, (_, pfsType) => pfsTypeName(pfsType, peerType)),
    );
    expect(names[0]).toEqual(names[1]);
    expect(names[0]).not.toEqual(names[2]);
    for (const of of names) expect(of.filter((name) => name !== undefined).length).toBeGreaterThan(1);
  });
});
