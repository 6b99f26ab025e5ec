/**
 * Load generator, a process of its own. One peer owns a span, another runs transactions on its relay through the
 * router, INFLIGHT at a time. Arguments: port dialect inflight auxRequest auxReply seconds [owner's port [its private
 * key, router's key]]. Prints one JSON object: round trips and latencies, and the generator's own share of CPU time,
 * which shows whether the generator was the bottleneck.
 */
import { performance } from 'node:perf_hooks';
import { answerBlock, askForBlock, asksForBlock, isAnswer, type RelayName } from './generator-blocks.ts';
import { encryptedBy } from './generator-keys.ts';
import { type BenchDialect, CREATE, GeneratorPeer, type OnMessage, REPLY, SPAN, spanBody } from './generator-peer.ts';

/** The numbers of the two nodes, and the msgids of their spans. */
const OWNER = { node: 0xf5, span: 0x2000 };
const REQUESTER = { node: 0xf6, span: 0x2001 };
const FIRST_MSGID = 0x100000;
/** Most latencies that are kept. */
const SAMPLES = 1 << 22;

const port = Number(process.argv[2]);
const dialect = process.argv[3] as BenchDialect;
const inflight = Number(process.argv[4]);
const auxRequest = Number(process.argv[5]);
const auxReply = Number(process.argv[6]);
const seconds = Number(process.argv[7]);
const ownerPort = Number(process.argv[8] ?? port);
const [ownKey, routerKey] = process.argv.slice(9);
const options = ownKey !== undefined && routerKey !== undefined ? { secure: encryptedBy(ownKey, routerKey) } : {};

const onRequest: OnMessage = (peer, buf, at, cmd) => {
  if (asksForBlock(cmd)) answerBlock(peer, buf, at, auxReply);
};
const owner = await GeneratorPeer.open(ownerPort, dialect, 'owner', onRequest, options);

let relay: RelayName | null = null;
let onRelay: () => void = () => {};
let onAnswer: (slot: number) => void = () => {};
const onMessage: OnMessage = (_peer, buf, at, cmd) => {
  if ((cmd & 0xffffff) === SPAN && (cmd & (CREATE | REPLY)) >> 0 === CREATE >> 0) {
    if (buf.readUInt32LE(at + 80) !== OWNER.node) return;
    relay = { lo: buf.readUInt32LE(at + 8), hi: buf.readUInt32LE(at + 12) };
    onRelay();
  } else if (isAnswer(buf, at, cmd, FIRST_MSGID)) {
    onAnswer(buf.readUInt32LE(at + 8) & 4095);
  }
};
const requester = await GeneratorPeer.open(port, dialect, 'requester', onMessage, options);

owner.send(SPAN | CREATE, OWNER.span, 0, 0, 0, 0, spanBody(dialect, OWNER.node), 0);
owner.flush();
if (dialect === 'linkid') {
  requester.send(SPAN | CREATE, REQUESTER.span, 0, 0, 0, 0, spanBody(dialect, REQUESTER.node), 0);
  requester.flush();
}
if (relay === null) await new Promise<void>((resolve) => (onRelay = resolve));

const latencies = new Float64Array(SAMPLES);
const sentAt = new Float64Array(4096);
let samples = 0;
let done = 0;
let next = 0;
let open = 0;
const cpuBefore = process.cpuUsage();
const began = performance.now();
const end = began + seconds * 1000;

function request(slot: number, now: number) {
  sentAt[slot] = now;
  open++;
  const id = FIRST_MSGID + (next++ % 0xf0000) * 4096 + slot;
  askForBlock(requester, id, relay!, REQUESTER.span, auxRequest);
}

await new Promise<void>((resolve) => {
  onAnswer = (slot) => {
    const now = performance.now();
    open--;
    done++;
    if (samples < SAMPLES) latencies[samples++] = now - sentAt[slot]!;
    if (now < end) request(slot, now);
    else if (open === 0) resolve();
  };
  for (let slot = 0; slot < inflight; slot++) request(slot, began);
  requester.flush();
});
const wall = (performance.now() - began) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const sorted = latencies.subarray(0, samples).sort();
console.log(
  JSON.stringify({
    roundTripsPerSecond: done / wall,
    auxMbPerSecond: (done * (auxRequest + auxReply)) / wall / 1e6,
    p50Us: sorted[samples >> 1]! * 1000,
    p99Us: sorted[Math.floor(samples * 0.99)]! * 1000,
    generatorCpu: (cpu.user + cpu.system) / 1e6 / wall,
  }),
);
process.exit(0);
