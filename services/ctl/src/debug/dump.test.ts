import { expect, it } from 'vitest';
import { MAX_ID_CHARS, processFolder } from './dump.ts';

// Limits: debug/dump.ts MAX_ID_CHARS
it('the folder of a process is named by the end of its id, 60 characters at most', () => {
  const id = `${'g'.repeat(MAX_ID_CHARS - 9)}.0000000a`;
  expect(processFolder(id)).toBe(`processes/${id}`);
  expect(processFolder(`x${id}`)).toBe(`processes/${id}`);
});
