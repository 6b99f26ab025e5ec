import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { fileTrouble } from './file-trouble.ts';

function troubleOf(path: string): string {
  try {
    readFileSync(path);
  } catch (error) {
    return fileTrouble(error);
  }
  return '';
}

it('puts usual errors into words, and others by the system’s code', () => {
  expect(troubleOf('/nonexistent/file')).toBe('there is no such file or directory');
  expect(troubleOf('/')).toBe('it is a directory');
  expect(troubleOf(`${import.meta.filename}/file`)).toBe('a part of this path is no directory');
  expect(fileTrouble(Object.assign(new Error('EIO: …'), { code: 'EIO' }))).toBe('EIO');
  expect(fileTrouble(new Error('odd\u001b'))).toBe('odd\\x1b');
});
