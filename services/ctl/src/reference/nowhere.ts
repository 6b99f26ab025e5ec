import { Writable } from 'node:stream';
import type { Terminal } from '../terminal.ts';

/** A terminal for commands that are described and not run: it drops output, and has no input. */
export function nowhere(): Terminal {
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  return { out: sink, err: sink, in: process.stdin, env: {} };
}
