import { readdirSync, readFileSync } from 'node:fs';
import { Endpoint } from '@spanmesh/dmsg/endpoint';
import { FrameReader } from '@spanmesh/dmsg/framing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fuzz } from './fuzz.ts';
import { failureOf, minimise } from './minimise.ts';
import { Random } from './random.ts';
import { Finding, type Target } from './target.ts';
import { BYTE_TARGETS } from './targets.ts';

const CORPUS = new URL('./corpus/', import.meta.url);
const corpus = readdirSync(CORPUS).filter((file) => file.endsWith('.bin'));
/** Inputs of each target in these tests: a second or two in all. */
const RUNS: Record<string, number> = { framing: 4000, endpoint: 3000, pair: 1500, payload: 3000, crypto: 150 };
const SEED = 1;

/** A target that reports a finding if an input contains both of two bytes. */
class PlantedTarget implements Target {
  readonly name = 'planted';
  readonly maxBytes = 256;
  readonly controlBytes = 1;
  readonly counts = {};

  generate(random: Random, buf: Uint8Array): number {
    random.fill(buf, 0, 256);
    return 256;
  }

  run(input: Uint8Array): void {
    if (input.includes(7, 1) && input.includes(9, 1)) throw new Finding('both');
  }
}

describe('the corpus', () => {
  it.each(corpus)('%s causes no finding any more', (file) => {
    const name = file.split('-')[0]!;
    BYTE_TARGETS[name]!().run(readFileSync(new URL(file, CORPUS)));
  });
});

describe.each(Object.keys(BYTE_TARGETS))('target %s', (name) => {
  it(`finds nothing in its first inputs (seed ${SEED})`, () => {
    const findings: string[] = [];
    const outcome = fuzz(BYTE_TARGETS[name]!(), {
      seed: SEED,
      runs: RUNS[name]!,
      report: (line) => findings.push(line),
    });
    expect(findings).toEqual([]);
    expect(outcome).toMatchObject({ inputs: RUNS[name], findings: 0 });
    // Inputs that never reach the tested code would find nothing, either.
    for (const count of Object.values(outcome.counts)) expect(count).toBeGreaterThan(0);
  });

  it('makes the same inputs from the same seed', () => {
    const inputs = (seed: number) => {
      const [target, random] = [BYTE_TARGETS[name]!(), new Random(seed)];
      const buf = new Uint8Array(target.maxBytes);
      return Array.from({ length: 40 }, () =>
        Buffer.from(buf.subarray(0, target.generate(random, buf))).toString('hex'),
      );
    };
    expect(inputs(5)).toEqual(inputs(5));
    expect(inputs(5)).not.toEqual(inputs(6));
  });
});

describe('a finding', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('is made as small as possible', () => {
    const input = new Uint8Array(200).fill(1);
    input[50] = 9;
    input[150] = 7;
    expect([...minimise(new PlantedTarget(), input)]).toEqual([0, 9, 7]);
  });

  const firstFinding = (name: string): string | undefined => {
    const [target, random] = [BYTE_TARGETS[name]!(), new Random(SEED)];
    const buf = new Uint8Array(target.maxBytes);
    for (let i = 0; i < 2000; i++) {
      const failure = failureOf(target, buf.subarray(0, target.generate(random, buf)));
      if (failure !== null) return failure.message;
    }
    return undefined;
  };

  it('is an endpoint that ignores a message', () => {
    const { receive } = Endpoint.prototype;
    let calls = 0;
    vi.spyOn(Endpoint.prototype, 'receive').mockImplementation(function (this: Endpoint, frame) {
      if (++calls % 500 !== 0) receive.call(this, frame);
    });
    expect(firstFinding('endpoint')).toMatch(/expected|should be/);
  });

  it('is an endpoint that does not report a loss', () => {
    vi.spyOn(Endpoint.prototype, 'lost').mockImplementation(() => {});
    expect(firstFinding('endpoint')).toBe('not empty after lost()');
  });

  it('is a frame reader whose result depends on how the stream is cut', () => {
    const { push } = FrameReader.prototype;
    vi.spyOn(FrameReader.prototype, 'push').mockImplementation(function (this: FrameReader, chunk, sink) {
      return chunk.length === 64 || push.call(this, chunk, sink);
    });
    expect(firstFinding('framing')).toMatch(/^cut: /);
  });
});
