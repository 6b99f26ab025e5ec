import { WatchMediaResponse } from '@spanmesh/proto/v1/dial';
import { FakeClock } from '@spanmesh/runtime/fake-clock';
import { describe, expect, it } from 'vitest';
import { FIRST_WATCH_RETRY_MS, MAX_WATCH_RETRY_MS } from '../limits.ts';
import { FakePort } from '../testing/fake-port.fixture.ts';
import { GatewayLink } from './gateway-link.ts';
import { OrderError } from './gateway-port.ts';

/** An opened watch of a gateway. Pauses are not shortened unless `random` does so. */
function rig({ random = () => 0 }: { random?: () => number } = {}) {
  const clock = new FakeClock();
  const port = new FakePort();
  const told: string[] = [];
  const link = new GatewayLink(
    { name: 'gw.of.a', boot: '2', firstBoot: '1', epoch: 7 },
    {
      port,
      clock,
      random,
      sink: {
        begin: () => told.push('begin'),
        message: (_, { closed }) => told.push(`message ${closed.join()}`),
        live: () => told.push('live'),
        broken: (_, { message }) => told.push(`broken: ${message}`),
      },
    },
  );
  link.open();
  const last = () => port.watches.at(-1)!;
  const says = (fields: Partial<WatchMediaResponse>) => last().sink.message(WatchMediaResponse.create(fields as never));
  const ends = (why = 'away') => last().sink.ended(new OrderError('unknown', why));
  const END = { snapshotEnd: true, gateway: 'gw.of.a.2', firstBoot: '1' };
  return { clock, port, told, link, last, says, ends, END };
}

describe('the watch of a gateway', () => {
  it('begins with the epoch of the term; the gateway is live when its snapshot is complete', () => {
    const { link, port, told, says, END, last } = rig();
    expect([last().epoch, link.key, link.id, link.name]).toEqual([7, 'gw.of.a.1', 'gw.of.a.2', 'gw.of.a']);
    expect([link.isLive, link.isWatched, link.heard]).toEqual([false, true, false]);
    says({ closed: [1] });
    expect(link.isLive).toBe(false);
    says({ closed: [2], ...END });
    expect([link.isLive, link.isWatched, link.heard]).toEqual([true, true, true]);
    says({ closed: [3] });
    says({ closed: [4], ...END });
    expect(told).toEqual(['begin', 'message 1', 'message 2', 'live', 'message 3', 'message 4']);
    expect(port.watches).toHaveLength(1);
  });

  it('of a gateway that does not state its first boot is identified by its id', () => {
    const clock = new FakeClock();
    const port = new FakePort();
    const none = () => {};
    const sink = { begin: none, message: none, live: none, broken: none };
    const link = new GatewayLink(
      { name: 'gw', boot: '1', firstBoot: '1', epoch: 7 },
      { port, clock, random: () => 0, sink },
    );
    link.open();
    port.watches[0]!.sink.message(WatchMediaResponse.create({ snapshotEnd: true, gateway: 'gw.1' }));
    expect(link.isLive).toBe(true);
  });

  it('begins again when it breaks, after a pause that doubles up to two seconds', () => {
    const { link, clock, port, told, ends } = rig();
    for (const pause of [100, 200, 400, 800, 1600, 2000, 2000]) {
      ends();
      expect([link.isWatched, clock.nextAt()]).toEqual([false, clock.now() + pause]);
      clock.advance(pause);
      expect(link.isWatched).toBe(true);
    }
    expect([FIRST_WATCH_RETRY_MS, MAX_WATCH_RETRY_MS, port.watches.length]).toEqual([100, 2000, 8]);
    expect(told.slice(0, 3)).toEqual(['begin', 'broken: away', 'begin']);
  });

  it('has pauses that are shortened at random by up to a quarter', () => {
    const { clock, ends } = rig({ random: () => 1 });
    ends();
    expect(clock.nextAt()).toBe(75);
  });

  it('has short pauses again after it was live; the gateway then counts as heard', () => {
    const { link, clock, says, ends, END } = rig();
    ends();
    clock.advance(100);
    says(END);
    ends();
    expect([link.isLive, link.heard, clock.nextAt()]).toEqual([false, true, 200]);
  });

  it('ends when another gateway, or another process of the same name, answers', () => {
    for (const [gateway, firstBoot] of [
      ['other.1', '1'],
      ['gw.of.a.3', '3'],
    ]) {
      const { link, told, says, last } = rig();
      says({ snapshotEnd: true, gateway, firstBoot } as Partial<WatchMediaResponse>);
      expect([last().isCancelled, link.isWatched, link.heard]).toEqual([true, false, false]);
      expect(told).toEqual(['begin', `broken: another gateway answers there: ${gateway}`]);
    }
  });

  it('ignores messages of an earlier watch', () => {
    const { clock, port, told, ends, says } = rig();
    ends();
    clock.advance(100);
    const { length } = told;
    port.watches[0]!.sink.message(WatchMediaResponse.create({}));
    port.watches[0]!.sink.ended(new OrderError('unknown', 'late'));
    expect(told).toHaveLength(length);
    says({});
    expect(told).toHaveLength(length + 1);
  });

  it.each([
    ['reads', () => {}],
    ['is live', ({ says, END }: ReturnType<typeof rig>) => says(END)],
    ['waits', ({ ends }: ReturnType<typeof rig>) => ends()],
  ])('that %s ends with its GatewayLink, and reports nothing more', (_, begin) => {
    const made = rig();
    begin(made);
    const { link, clock, port, told, says, ends } = made;
    const wasWatched = link.isWatched;
    told.length = 0;
    link.close();
    expect([link.isWatched, link.isLive, port.isClosed, clock.pending]).toEqual([false, false, true, 0]);
    expect(port.watches[0]!.isCancelled).toBe(wasWatched);
    says({});
    ends();
    clock.advance(10_000);
    expect([told, port.watches.length]).toEqual([[], 1]);
  });
});
