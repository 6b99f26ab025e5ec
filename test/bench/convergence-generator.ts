/**
 * Load generator, a process of its own, for machines without a C compiler (otherwise native/converge.c). One peer
 * offers N spans, C peers wait until each holds relays of all of them; then one span is closed and opened again,
 * several times. Arguments: port dialect N C flaps. Prints one JSON object: wall times in seconds and milliseconds, and
 * the generator's own share of CPU time, which shows whether the generator was the bottleneck.
 */
import { performance } from 'node:perf_hooks';
import { type BenchDialect, CREATE, DELETE, ERROR, GeneratorPeer, REPLY, SPAN, spanBody } from './generator-peer.ts';

const [port, dialect, spans, receivers, flaps] = [
  Number(process.argv[2]),
  process.argv[3] as BenchDialect,
  Number(process.argv[4]),
  Number(process.argv[5]),
  Number(process.argv[6]),
];
/** Flaps that are not measured. */
const WARM_UP = 5;

let answered = 0;
let opened = 0;
let closed = 0;
let awaited: { of: () => number; reach: number; done: () => void } | null = null;

function count(peer: GeneratorPeer, buf: Buffer, at: number, cmd: number) {
  const base = cmd & 0xffffff;
  if (base === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) opened++;
  else if (base === ERROR && (cmd & (DELETE | REPLY)) === DELETE) {
    closed++;
    peer.closed(buf, at);
  } else if (base === ERROR && (cmd & (CREATE | REPLY)) >> 0 === (CREATE | REPLY) >> 0) answered++;
  else return;
  if (awaited !== null && awaited.of() >= awaited.reach) {
    const { done } = awaited;
    awaited = null;
    done();
  }
}

function until(of: () => number, reach: number): Promise<void> {
  if (of() >= reach) return Promise.resolve();
  return new Promise((done) => {
    awaited = { of, reach, done };
  });
}

const source = await GeneratorPeer.open(port, dialect, 's', count);
for (let i = 0; i < receivers; i++) await GeneratorPeer.open(port, dialect, `r${i}`, count);
await until(() => answered, 1 + receivers);

const cpuBefore = process.cpuUsage();
const began = performance.now();
for (let n = 0; n < spans; n++) source.send(SPAN | CREATE, 0x10000 + n, 0, 0, 0, 0, spanBody(dialect, n), 0);
source.flush();
await until(() => opened, spans * receivers);
const loadSeconds = (performance.now() - began) / 1000;
const cpu = process.cpuUsage(cpuBefore);

const times: number[] = [];
const middle = spans >> 1;
let id = 0x10000 + middle;
let nextId = 0x10000000;
for (let flap = -WARM_UP; flap < flaps; flap++) {
  const start = performance.now();
  const closedBefore = closed;
  source.send(ERROR | DELETE, id, 0, 0, 0, 0, null, 0);
  source.flush();
  await until(() => closed, closedBefore + receivers);
  const openedBefore = opened;
  id = nextId++;
  source.send(SPAN | CREATE, id, 0, 0, 0, 0, spanBody(dialect, middle), 0);
  source.flush();
  await until(() => opened, openedBefore + receivers);
  if (flap >= 0) times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    loadSeconds,
    generatorCpu: (cpu.user + cpu.system) / 1e6 / loadSeconds,
    flapMeanMs: times.reduce((a, b) => a + b, 0) / times.length,
    flapWorstMs: times.at(-1),
  }),
);
process.exit(0);
