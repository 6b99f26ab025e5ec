import { readFileSync } from 'node:fs';
import { CryptoTarget } from './crypto-target.ts';
import { EndpointTarget } from './endpoint-target.ts';
import { FramingTarget } from './framing-target.ts';
import { type FuzzOptions, fuzz, type Outcome } from './fuzz.ts';
import { PairTarget } from './pair-target.ts';
import { PayloadTarget } from './payload-target.ts';
import type { Target } from './target.ts';

/** A target that can be selected by name. */
interface Fuzzed {
  /** Its share of the time when all targets run. */
  readonly share: number;
  readonly fuzz: (options: FuzzOptions) => Outcome | Promise<Outcome>;
  /** Runs one kept input, and throws the finding. */
  readonly replay: (file: string) => void | Promise<void>;
}

/** The targets whose inputs are bytes. */
export const BYTE_TARGETS: Readonly<Record<string, () => Target>> = {
  framing: () => new FramingTarget(),
  endpoint: () => new EndpointTarget(),
  pair: () => new PairTarget(),
  payload: () => new PayloadTarget(),
  crypto: () => new CryptoTarget(),
};

/** All targets. */
export const TARGETS: Readonly<Record<string, Fuzzed>> = {
  framing: bytes('framing', 10),
  endpoint: bytes('endpoint', 9),
  pair: bytes('pair', 5),
  payload: bytes('payload', 3),
  crypto: bytes('crypto', 6),
  // Loaded on demand, because it needs all services.
  gateway: {
    share: 27,
    fuzz: async (options) => (await import('./gateway-fuzz.ts')).fuzzGateway(options),
    replay: async (file) => (await import('./gateway-fuzz.ts')).replayGateway(file),
  },
};

function bytes(name: string, share: number): Fuzzed {
  const make = BYTE_TARGETS[name]!;
  return { share, fuzz: (options) => fuzz(make(), options), replay: (file) => make().run(readFileSync(file)) };
}
