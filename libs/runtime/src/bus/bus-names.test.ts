import { expect, it } from 'vitest';
import {
  ALL_EVENTS,
  BUCKETS,
  bucketOf,
  eventSubject,
  eventsOfKind,
  processAnswers,
  subjectOf,
  subjectWithin,
} from './bus-names.ts';
import { checkBucket, checkPattern, checkSubject, subjectMatches } from './bus-subjects.ts';

it('the name of an installation is put before its buckets and subjects, and taken off again', () => {
  expect(bucketOf('main', 'leases')).toBe('main-leases');
  expect(subjectOf('main', 'a.b')).toBe('main.a.b');
  expect(subjectWithin('main', 'main.a.b')).toBe('a.b');
  expect(BUCKETS).toEqual(['leases', 'gateways', 'targets']);
  for (const bucket of BUCKETS) expect(checkBucket(bucketOf('main', bucket))).toBeUndefined();
});

it('events have subjects by kind and gateway, in whose name nothing separates tokens', () => {
  const subject = eventSubject('peer-up', 'gw.1*>\t');
  expect(subject).toBe('events.peer-up.gw_1___');
  expect(checkSubject(subject)).toBeUndefined();
  expect([checkPattern(ALL_EVENTS), checkPattern(eventsOfKind('peer-up'))]).toEqual([true, true]);
  expect(subjectMatches(ALL_EVENTS, subject)).toBe(true);
  expect([subjectMatches(eventsOfKind('peer-up'), subject), subjectMatches(eventsOfKind('peer'), subject)]).toEqual([
    true,
    false,
  ]);
  expect(processAnswers('q')).toBe('processes.answer.q');
});
