import { expect, it } from 'vitest';
import { countedNames } from './key-files.ts';
import { KeysError } from './keys-error.ts';
import { MAX_PEER_FILES } from './limits.ts';

// Limits: keys/limits.ts MAX_PEER_FILES
it('remote/ may have a limited number of files; names that begin with a dot do not count', () => {
  const names = Array.from({ length: MAX_PEER_FILES }, (_, n) => `${n}.pub`);
  expect(countedNames([...names, '..data', '.1.pub.swp'])).toHaveLength(MAX_PEER_FILES);
  expect(() => countedNames([...names, 'one-more.pub'])).toThrow(KeysError);
});
