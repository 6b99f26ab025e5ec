import { printable } from './printable.ts';

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  ENOTDIR: 'a part of this path is no directory',
  EISDIR: 'it is a directory',
  EEXIST: 'it is there already',
  EACCES: 'this is not allowed',
  EPERM: 'this is not allowed',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

/** Why a file could not be read or written: in words, or by the system's code for a rare error. Safe to print. */
export function fileTrouble(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code === undefined ? undefined : WORDS[code]) ?? printable(code ?? message);
}
