import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FakeClock } from '../fake-clock.ts';
import { createLogger } from '../log/logger.ts';
import { Metrics } from '../metrics.ts';
import { agree, ProtocolRule } from './protocol-version.ts';

// Written once more: a change of it must be noticed.
const PROTOCOL_VERSION = 1;

describe('agree', () => {
  it.each([
    [7, 6, 6],
    [7, 7, 7],
    [7, 8, 7],
    [2, 1, 1],
    // 0: a message from before there was a field for the version.
    [1, 0, 1],
    [2, 0, 1],
  ])('we speak %i, they %i: version %i', (own, theirs, version) => {
    expect(agree(own, theirs, 'x')).toEqual({ kind: 'agreed', version });
  });

  it.each([
    [7, 5],
    [7, 9],
    [3, 0],
    [7, 4_294_967_295],
    [1, -1],
  ])('we speak %i, they %i: refused, with both versions and what to do', (own, theirs) => {
    const agreement = agree(own, theirs, 'gateway x');
    const said = theirs === 0 ? 1 : theirs;
    expect(agreement).toMatchObject({ kind: 'refused' });
    const why = agreement.kind === 'refused' ? agreement.why : '';
    expect(why).toContain(`version ${own} `);
    expect(why).toContain(`gateway x version ${said}:`);
    expect(why).toContain(`Upgrade ${said < own ? 'gateway x' : 'this service'},`);
  });

  it('has the same result on both sides', () => {
    const version = fc.integer({ min: 1, max: 20 });
    fc.assert(
      fc.property(version, version, (a, b) => {
        const [ours, theirs] = [agree(a, b, ''), agree(b, a, '')];
        expect(ours.kind).toBe(theirs.kind);
        if (ours.kind === 'agreed') expect(theirs).toEqual(ours);
      }),
    );
  });
});

describe('ProtocolRule', () => {
  // Causes: metric spanmesh_protocol_refusals_total, spanmesh_protocol_version
  it('counts each refusal, and logs the same one once in a while', async () => {
    const clock = new FakeClock();
    const lines: { msg: string; own: number; theirs: number; suppressed: number }[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
    const logger = createLogger({ level: 'info', service: 'test', destination });
    const rule = new ProtocolRule({ own: 5 }, { logger, clock });
    const metrics = new Metrics();
    rule.register(metrics);
    for (let i = 0; i < 100; i++) rule.check(3, { role: 'gateway', who: 'gateway a' });
    rule.check(7, { role: 'leader', who: 'b' });
    expect(rule.check(6, { role: 'leader', who: 'b' })).toEqual({ kind: 'agreed', version: 5 });
    expect(lines).toMatchObject([
      { own: 5, theirs: 3, suppressed: 0 },
      { own: 5, theirs: 7 },
    ]);
    clock.advance(59_999);
    rule.check(3, { role: 'gateway', who: 'gateway a' });
    expect(lines).toHaveLength(2);
    clock.advance(1);
    rule.check(3, { role: 'gateway', who: 'gateway a' });
    expect(lines[2]).toMatchObject({ suppressed: 100, msg: expect.stringContaining('gateway a version 3') });
    const text = await metrics.text();
    expect(text).toContain('spanmesh_protocol_refusals_total{role="gateway"} 102');
    expect(text).toContain('spanmesh_protocol_refusals_total{role="leader"} 1');
    expect(text).toContain('spanmesh_protocol_version 5');
  });

  it('speaks the version of this release unless a test says otherwise', () => {
    const logger = createLogger({ level: 'silent', service: 'test' });
    expect(new ProtocolRule({}, { logger }).own).toBe(PROTOCOL_VERSION);
  });
});
