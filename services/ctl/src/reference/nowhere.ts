import { Writable } from 'node:stream';
import type { Terminal } from '../terminal.ts';

/** For commands that are only looked at: nothing is printed or read. */
export function nowhere(): Terminal {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  return { out: sink, err: sink, in: process.stdin, env: {} };
}
