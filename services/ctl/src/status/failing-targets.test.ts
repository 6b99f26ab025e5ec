import { Target } from '@spanmesh/proto/v1/volconf';
import { describe, expect, it } from 'vitest';
import { failingTargetsNote } from './failing-targets.ts';

const target = (name: string, attempts: number, lastError: string) =>
  Target.fromPartial({ name, path: `span:${name}.example`, attempts, lastError });
const all = (...targets: Target[]) => ({ targets, nextPageToken: '' });

describe('targets that volconf cannot reach', () => {
  it('do not include targets in their first attempt, and are empty when volconf could not be asked', () => {
    expect(failingTargetsNote(all(target('a', 1, ''), target('b', 0, '')))).toEqual([]);
    expect(failingTargetsNote(all())).toEqual([]);
    expect(failingTargetsNote(null)).toEqual([]);
  });

  it('do not include targets whose connection was lost and is in its first attempt since', () => {
    const dialled = (attempts: number) => ({ ...target('a', attempts, 'the connection was lost'), gateway: 'gw.1' });
    expect(failingTargetsNote(all(dialled(1)))).toEqual([]);
    expect(failingTargetsNote(all(dialled(2)))).toHaveLength(1);
  });

  it('are named with their last error, without control characters', () => {
    expect(failingTargetsNote(all(target('a', 1, ''), target('lab', 2, 'refused \x1b[2J')))).toEqual([
      'volconf cannot reach 1 target: lab (span:lab.example): refused \\x1b[2J',
    ]);
  });

  it('are named up to three, and counted with "at least" where there are more pages', () => {
    const targets = ['a', 'b', 'c', 'd'].map((name) => target(name, 1, 'gone'));
    const [note] = failingTargetsNote({ targets, nextPageToken: 'd' });
    expect(note).toMatch(
      /^volconf cannot reach at least 4 targets: a .*; b .*; c .*; spanmesh volconf list --state connect/,
    );
    expect(note).not.toMatch(/ d \(/);
  });
});
