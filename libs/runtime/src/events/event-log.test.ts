import { EventKind } from '@spanmesh/proto/v1/events';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { EventCollector } from './event-collector.ts';
import { EventHistory } from './event-history.ts';
import { EventLog } from './event-log.ts';
import { decodeReport } from './event-report.ts';
import type { Happened } from './event-teller.ts';

// Written once more: a change of them must be noticed.
const BURST_MS = 10_000;
const MAX_BURST = 64;
const MAX_COUNTED = 8192;
const MAX_WAITING_EVENTS = 4096;
const REPEAT_MS = 60_000;
const MAX_EVENT_TEXT = 300;

function peerUp(subject: string, principal: string): Happened {
  return { kind: EventKind.EVENT_KIND_PEER_UP, subject, principal };
}

function failed(subject: string): Happened {
  const target = { address: '192.0.2.1:987', gateway: '', error: 'unreachable' };
  return { kind: EventKind.EVENT_KIND_TARGET_FAILED, subject, principal: '', target };
}

/** A process that reports events, and a replica that receives them while `connected`. */
function world() {
  const clock = new FakeClock();
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) });
  const history = new EventHistory({ clock });
  const collector = new EventCollector({ history });
  collector.begin([]);
  const way = { connected: true, loses: 0 };
  const bus = {
    publish: (_: string, data: Uint8Array) => {
      if (way.loses > 0) way.loses--;
      else for (const event of decodeReport(data)) collector.take(event);
    },
  };
  const log = new EventLog(
    { reporter: () => 'gw.1' },
    { bus, isConnected: () => way.connected, clock, logger, random: Math.random },
  );
  return { clock, lines, history, collector, way, log };
}

describe('The events of a process', () => {
  it('are each one line at info, and one entry at a replica', () => {
    const { clock, lines, history, log } = world();
    for (let n = 0; n < 20; n++) log.tell(peerUp(`gw.1:${n}`, `192.0.2.${n}`));
    clock.advance(1000);
    expect(history.all().map(({ subject }) => subject)).toEqual(Array.from({ length: 20 }, (_, n) => `gw.1:${n}`));
    expect(lines).toHaveLength(20);
    expect(lines[0]).toMatchObject({ level: 30, msg: 'peer is up', subject: 'gw.1:0', principal: '192.0.2.0' });
    expect(history.all()[0]).toMatchObject({ reporter: 'gw.1', count: 1, time: new Date(clock.wall() - 1000) });
  });

  it('are not logged again when the reporting code has logged them', () => {
    const { clock, lines, history, log } = world();
    log.tell(peerUp('gw.1:1', 'a'), { isLogged: true });
    clock.advance(1000);
    expect(history.all()).toHaveLength(1);
    expect(lines).toEqual([]);
  });

  it('are reported the first time, and repeats together once an interval, with a count', () => {
    const { clock, lines, history, log } = world();
    for (let n = 0; n < 300; n++) {
      log.tell(failed('backup'), { repeats: 'backup' });
      log.tell(failed('other'), { repeats: 'other' });
      clock.advance(1000);
    }
    const ofBackup = history.all().filter(({ subject }) => subject === 'backup');
    expect(ofBackup[0]).toMatchObject({ count: 1 });
    expect(ofBackup.length).toBeLessThanOrEqual(1 + (300 * 1000) / REPEAT_MS);
    expect(ofBackup[1]?.count).toBeGreaterThan(50);
    clock.advance(2 * REPEAT_MS);
    const all = history.all().filter(({ subject }) => subject === 'backup');
    expect(all.reduce((sum, { count }) => sum + count, 0)).toBe(300);
    expect(lines.filter(({ subject }) => subject === 'backup')).toHaveLength(all.length);
    // The event was forgotten: the next one counts as the first again.
    clock.advance(2 * REPEAT_MS);
    expect(clock.pending).toBe(0);
    log.tell(failed('backup'), { repeats: 'backup' });
    clock.advance(1000);
    expect(history.all().at(-1)).toMatchObject({ subject: 'backup', count: 1 });
  });

  // Limits: events/event-log.ts MAX_BURST
  it('are reported together when one principal causes many; those of others one by one', () => {
    const { clock, lines, history, log } = world();
    const times = 10 * MAX_BURST;
    for (let n = 0; n < times; n++) log.tell(peerUp(`gw.1:${n}`, 'flapping'));
    log.tell(peerUp('gw.1:quiet', 'quiet'));
    clock.advance(2 * BURST_MS);
    const flaps = history.all().filter(({ principal }) => principal === 'flapping');
    expect(flaps).toHaveLength(MAX_BURST);
    expect(flaps.reduce((sum, { count }) => sum + count, 0)).toBe(times);
    expect(lines).toHaveLength(MAX_BURST + 2);
    expect(lines.at(-1)).toMatchObject({ count: times - MAX_BURST, subject: `gw.1:${times - 1}` });
  });

  // Limits: events/event-log.ts MAX_WAITING_EVENTS
  it('wait for a bus that is away; those beyond the limit count as lost', () => {
    const { clock, history, collector, way, log } = world();
    log.tell(peerUp('gw.1:first', 'first'));
    clock.advance(1000);
    way.connected = false;
    const more = MAX_WAITING_EVENTS + 5;
    for (let n = 0; n < more; n++) log.tell(peerUp(`gw.1:${n}`, `peer ${n}`));
    clock.advance(60_000);
    expect(history.all()).toHaveLength(1);
    way.connected = true;
    clock.advance(5000);
    expect(history.all().at(-1)?.subject).toBe(`gw.1:${more - 1}`);
    expect(collector.lost).toBe(5);
  });

  it('are counted when the bus loses them, once the next one arrives', () => {
    const { clock, collector, way, log } = world();
    log.tell(peerUp('gw.1:1', 'a'));
    clock.advance(1000);
    way.loses = 1;
    log.tell(peerUp('gw.1:2', 'a'));
    log.tell(peerUp('gw.1:3', 'a'));
    clock.advance(1000);
    expect(collector.lost).toBe(0);
    log.tell(peerUp('gw.1:4', 'a'));
    clock.advance(1000);
    expect(collector.lost).toBe(2);
  });

  // Limits: events/event-log.ts MAX_COUNTED
  it('are lost, and counted, beyond the number of principals that are tracked', () => {
    const { clock, collector, log } = world();
    for (let n = 0; n < MAX_COUNTED + 10; n++) {
      log.tell(peerUp(`gw.1:${n}`, `peer ${n}`));
      if (n % 1000 === 0) clock.advance(110);
    }
    clock.advance(2 * BURST_MS);
    log.tell(peerUp('gw.1:last', 'last'));
    clock.advance(1000);
    expect(collector.lost).toBe(10);
  });

  it('have texts of bounded length', () => {
    const { clock, history, log } = world();
    log.tell({ ...failed('x'.repeat(10_000)), target: { address: 'y'.repeat(10_000), gateway: '', error: '' } });
    clock.advance(1000);
    expect(history.all()[0]?.subject).toHaveLength(MAX_EVENT_TEXT);
    expect(history.all()[0]?.target?.address).toHaveLength(MAX_EVENT_TEXT);
  });

  it('are all sent when the process stops', () => {
    const { clock, history, log } = world();
    for (let n = 0; n < 2 * MAX_BURST; n++) log.tell(peerUp(`gw.1:${n}`, 'one'));
    log.stop();
    expect(history.all().reduce((sum, { count }) => sum + count, 0)).toBe(2 * MAX_BURST);
    expect(clock.pending).toBe(0);
  });
});
