import { expect, it } from 'vitest';
import { decodeLeaseRecord, encodeLeaseRecord, type LeaseRecord } from './lease-record.ts';

// Written once more: a change of them must be noticed.
const MAX_EPOCH = 2 ** 48;

const record: LeaseRecord = { holder: 'h', address: 'a:1', epoch: 1, ttl: 1, settings: '', beat: 0 };

// Limits: lease/lease-record.ts MAX_TTL_MS, lease/lease-record.ts MAX_SETTINGS_CHARS, lease/epoch.ts MAX_EPOCH
it('fields are accepted up to their limits, and beyond them the record counts as none', () => {
  const bounds: [Partial<LeaseRecord>, Partial<LeaseRecord>][] = [
    [{ ttl: 3_600_000 }, { ttl: 3_600_001 }],
    [{ settings: 'x'.repeat(256) }, { settings: 'x'.repeat(257) }],
    [{ epoch: MAX_EPOCH }, { epoch: MAX_EPOCH + 1 }],
    [{ ttl: 1 }, { ttl: 0 }],
    [{ epoch: 0 }, { epoch: -1 }],
  ];
  for (const [at, past] of bounds) {
    expect(decodeLeaseRecord(encodeLeaseRecord({ ...record, ...at }))).toEqual({ ...record, ...at });
    expect(decodeLeaseRecord(encodeLeaseRecord({ ...record, ...past }))).toBeNull();
  }
});

it('texts and numbers are limited, and what an earlier version leaves out has its default', () => {
  const read = (more: object) => decodeLeaseRecord(encodeLeaseRecord({ ...record, ...more } as LeaseRecord));
  for (const [field, most] of Object.entries({ holder: 256, address: 1024 })) {
    expect(read({ [field]: 'x'.repeat(most) })).not.toBeNull();
    expect(read({ [field]: 'x'.repeat(most + 1) })).toBeNull();
  }
  expect([read({ beat: -1 }), read({ beat: 0.5 }), read({ epoch: 0.5 }), read({ ttl: 0.5 })]).toEqual(
    Array(4).fill(null),
  );
  expect(read({ settings: undefined, beat: undefined })).toEqual(record);
  expect(decodeLeaseRecord(new TextEncoder().encode('{'))).toBeNull();
});
