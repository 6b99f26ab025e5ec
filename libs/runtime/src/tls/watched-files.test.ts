import { rmSync, writeFileSync } from 'node:fs';
import { EventKind } from '@spanmesh/proto/v1/events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { settle } from '../fake-time.fixture.ts';
import { MAX_SECRET_FILE_BYTES } from '../secrets/secret-file.ts';
import { Certificates, recordingLogger } from './certificates.fixture.ts';
import { WatchedFiles } from './watched-files.ts';

// Written once more: a change of them must be noticed.
const LOOK_INTERVAL_MS = 5000;

describe('WatchedFiles', () => {
  let files: Certificates;
  let clock: FakeClock;
  let log: ReturnType<typeof recordingLogger>;
  let told: unknown[][];
  beforeEach(() => {
    files = new Certificates();
    clock = new FakeClock();
    log = recordingLogger();
    told = [];
  });
  afterEach(() => files.remove());

  /** A value of the files' texts, joined; 'bad' is refused. */
  function watch(...paths: string[]): WatchedFiles<string> {
    return new WatchedFiles(
      {
        files: paths,
        parse: (contents) => {
          const texts = contents.map(String);
          if (texts.includes('bad')) throw new Error('it is bad');
          return texts.join('+');
        },
      },
      { clock, logger: log.logger, events: { tell: (one) => told.push([one.kind, one.subject, one.files?.error]) } },
    );
  }

  it('reads its files at once, and throws when they cannot be used', () => {
    expect(watch(files.file('a'), files.file('b')).value).toBe('a+b');
    expect(() => watch(files.file('bad'))).toThrow('it is bad');
    expect(() => watch('/nowhere/x')).toThrow('/nowhere/x: there is no such file');
    expect(() => watch(files.directory)).toThrow(/is not a file/);
    expect(() => watch(files.file(new Uint8Array(MAX_SECRET_FILE_BYTES + 1)))).toThrow(/is larger than/);
  });

  it('reports that it has taken new files, and, once, that it cannot', async () => {
    const file = files.file('a');
    const watched = watch(file);
    await watched.look();
    writeFileSync(file, 'b');
    await watched.look();
    writeFileSync(file, 'bad');
    for (let n = 0; n < 4; n++) await watched.look();
    expect(told).toEqual([
      [EventKind.EVENT_KIND_CERTIFICATES_RELOADED, file, ''],
      [EventKind.EVENT_KIND_CERTIFICATES_BAD, file, 'it is bad'],
    ]);
  });

  it('reports a fault once more after the files were as before, or were changed', async () => {
    const file = files.file('a');
    const watched = watch(file);
    const look = async (text: string) => {
      writeFileSync(file, text);
      await watched.look();
      return watched.failures;
    };
    expect([await look('bad'), await look('bad'), await look('bad')]).toEqual([0, 1, 1]);
    expect([await look('a'), await look('bad'), await look('bad')]).toEqual([1, 1, 2]);
    expect([await look('b'), await look('bad'), await look('bad')]).toEqual([2, 2, 3]);
  });

  it('begins to look once, at equal intervals, and not after a stop', async () => {
    const file = files.file('a');
    const watched = watch(file);
    watched.start();
    watched.start();
    expect([clock.pending, clock.nextAt()]).toEqual([1, LOOK_INTERVAL_MS]);
    writeFileSync(file, 'b');
    clock.advance(LOOK_INTERVAL_MS);
    await expect.poll(() => clock.nextAt()).toBe(2 * LOOK_INTERVAL_MS);
    expect(watched.value).toBe('b');
    // A look that is under way at the stop is the last one.
    clock.advance(LOOK_INTERVAL_MS);
    await watched.stop();
    await settle();
    expect(clock.pending).toBe(0);
  });

  it('takes a changed file at the next look, and calls listeners', async () => {
    const file = files.file('a');
    const watched = watch(file);
    const told: string[] = [];
    const subscription = watched.onChange((value) => told.push(value));
    const changed = new Promise<void>((resolve) => void watched.onChange(() => resolve()));
    watched.start();
    writeFileSync(file, 'b');
    clock.advance(LOOK_INTERVAL_MS);
    await changed;
    subscription.unsubscribe();
    writeFileSync(file, 'c');
    // The first look may be the end of an earlier one.
    await watched.look();
    await watched.look();
    expect([watched.value, told, watched.reloads]).toEqual(['c', ['b'], 2]);
    await watched.stop();
    expect(clock.pending).toBe(0);
  });

  it('calls no listener when nothing has changed', async () => {
    const file = files.file('a');
    const watched = watch(file);
    writeFileSync(file, 'a');
    await watched.look();
    expect([watched.reloads, log.lines]).toEqual([0, []]);
  });

  it('follows symlinks that are swapped', async () => {
    const { cert, key } = files.mount({ cert: 'a', key: 'b' });
    const watched = watch(cert!, key!);
    files.mount({ cert: 'c', key: 'd' });
    await watched.look();
    expect(watched.value).toBe('c+d');
  });

  it.each<[string, (file: string) => void]>([
    ['bad', (file) => writeFileSync(file, 'bad')],
    ['gone', (file) => rmSync(file)],
  ])('keeps its value when a file is %s; reports it once, at the second look', async (_, spoil) => {
    const file = files.file('a');
    const watched = watch(file);
    spoil(file);
    await watched.look();
    // The look may have come half-way through a change.
    expect([watched.value, watched.failures, log.lines]).toEqual(['a', 0, []]);
    await watched.look();
    await watched.look();
    expect([watched.value, watched.failures, log.lines.length]).toEqual(['a', 1, 1]);
    expect(log.lines[0]).toContain('what they held before stays in use');
    writeFileSync(file, 'b');
    await watched.look();
    expect([watched.value, watched.failures, watched.reloads]).toEqual(['b', 1, 1]);
  });
});
