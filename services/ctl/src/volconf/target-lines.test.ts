import { expect, it } from 'vitest';
import { Failure } from '../failure.ts';
import { MAX_TARGETS_FILE_CHARS, parseTargetLines } from './target-lines.ts';

// Limits: volconf/target-lines.ts MAX_TARGETS_FILE_CHARS
it('a file of targets is read up to 16 MiB', () => {
  const line = '{"name":"lab","path":"span:lab.example"}\n';
  const text = `${line}#${'x'.repeat(MAX_TARGETS_FILE_CHARS - line.length - 1)}`;
  expect(parseTargetLines('targets', text).map(({ name }) => name)).toEqual(['lab']);
  expect(() => parseTargetLines('targets', `${text}x`)).toThrow(Failure);
});
