import { expect, it } from 'vitest';
import { recordingLogger } from '../tls/certificates.fixture.ts';
import { consoleToLog } from './console-to-log.ts';

// Limits: log/console-to-log.ts MAX_CHARS
it('turns whatever is printed, however long, into lines of the log, until it is undone', () => {
  const { lines, logger } = recordingLogger();
  const printed: unknown[] = [];
  const own = (...said: unknown[]) => printed.push(said);
  const target = { debug: own, error: own, info: own, log: own, trace: own, warn: own };
  const undo = consoleToLog(logger, target);
  target.log('reader closed', new Error('parse error'));
  target.error('x'.repeat(100_000));
  expect(printed).toEqual([]);
  const said = lines.map((line) => JSON.parse(line) as { level: string; said: string });
  expect(said[0]).toMatchObject({ level: 'warn', said: expect.stringMatching(/^reader closed Error: parse error\n/) });
  expect(said[1]!.said).toHaveLength(4000);
  undo();
  target.log('again');
  expect(printed).toEqual([['again']]);
});
