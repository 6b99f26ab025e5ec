import { eventually } from '@spanmesh/runtime/patience.fixture';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { openBrowser, openPage } from '../console/browser.ts';
import { Installation } from '../peer/installation.ts';
import { sample } from '../peer/scrape.ts';
import { CREATE, GeneratorPeer, SPAN, spanBody } from './generator-peer.ts';
import { cpuSeconds, residentKb } from './machine.ts';
import { openMapPeers } from './map-peers.ts';
import { count, printTable } from './table.ts';

const NODES = 10_000;
const PAGES = 20;
const MAPS = [500, 5000];
/** Milliseconds after which the benchmark gives up waiting for the browser. */
const PATIENCE_MS = 120_000;
/** Number of frames that are measured while something moves. */
const FRAMES = 120;
/** How long the CPU time of untouched pages is measured, ms. */
const IDLE_MS = 10_000;

/**
 * The cost of the console: bytes and times of a page with many nodes and peers, and topology's memory with many pages.
 */
export async function benchConsole(): Promise<void> {
  const browser = await openBrowser();
  try {
    await withInstallation(async (installation, url) => {
      await offerNodes(installation, NODES);
      await benchTree(browser, url, installation.topology.child.pid ?? 0);
      await benchPages(browser, url, installation.topology.child.pid ?? 0);
    });
    const rows: string[][] = [];
    for (const peers of MAPS) {
      await withInstallation(async (installation, url) => {
        await openMapPeers(installation.gateways[0]?.dmsg.circuit ?? 0, peers);
        await known(installation, peers);
        rows.push([count(peers), ...(await benchMap(browser, url))]);
      });
    }
    printTable('The map: moved about in, software rendering', [
      ['peers', 'drawn after ms', 'CPU of the page', 'frame ms, median', 'longest', 'CPU of the page'],
      ...rows,
    ]);
  } finally {
    await browser.close();
  }
}

/** Runs `fn` with a topology and a gateway, and stops them afterwards; that also ends the peers' connections. */
async function withInstallation(fn: (installation: Installation, url: string) => Promise<void>): Promise<void> {
  const env = { SPANMESH_CONSOLE_LISTEN: '127.0.0.1:0', SPANMESH_LOG_LEVEL: 'info' };
  const installation = await Installation.start(1, env);
  try {
    const { topology } = installation;
    const url = await eventually(() => /"console":"(http:[^"]+)"/.exec(topology.output)?.[1], 'a console');
    await fn(installation, url);
  } finally {
    await installation.stop();
  }
}

async function offerNodes(installation: Installation, nodes: number): Promise<void> {
  const port = installation.gateways[0]?.dmsg.circuit ?? 0;
  const peer = await GeneratorPeer.open(port, 'circuit', 'nodes', () => {}, { takes: 'nothing' });
  for (let n = 1; n <= nodes; n++) {
    peer.send(SPAN | CREATE, 0x10000 + n, 0, 0, 0, 0, spanBody('circuit', n), 0);
  }
  peer.flush();
  await known(installation, nodes);
}

/** Waits until topology knows this many nodes. */
function known({ topology }: Installation, nodes: number): Promise<true> {
  return eventually(
    async () => ((await sample(topology.ports.http, 'spanmesh_topology_nodes')) === nodes ? true : undefined),
    `${nodes} nodes are known`,
  );
}

async function patientPage(browser: Browser): Promise<Page> {
  const { page } = await openPage(browser);
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

const isLive = (page: Page): Promise<void> => page.locator('[data-state=good]').waitFor();

async function benchTree(browser: Browser, url: string, pid: number): Promise<void> {
  const page = await patientPage(browser);
  const cpu = await PageCpu.of(page);
  let bytes = 0;
  page.on('response', (response) => {
    if (response.request().method() === 'GET') bytes += Number(response.headers()['content-length'] ?? 0);
  });
  const topologyBefore = cpuSeconds(pid);
  const began = performance.now();
  await page.goto(url);
  await page.locator('.tiles').getByText(count(NODES)).first().waitFor();
  const first = [ms(performance.now() - began), ms(await cpu.taken())];
  await isLive(page);
  const whole = [ms(performance.now() - began), ms(await cpu.total())];
  const topology = ms((cpuSeconds(pid) - topologyBefore) * 1000);
  const withoutMap = bytes;
  await page.getByRole('link', { name: 'Tree' }).click();
  await page.getByRole('treeitem').nth(5).waitFor();
  await cpu.taken();
  const frames = await framesWhile(page, `document.querySelector('.tree').scrollTop += 320`);
  const scrolled = ((await cpu.taken()) / FRAMES).toFixed(1);
  await page.getByRole('link', { name: 'Map' }).click();
  await page.locator('.map canvas').first().waitFor();
  await page.context().close();
  printTable(`A page with ${count(NODES)} nodes`, [
    ['', 'ms', 'of them CPU of the page', 'CPU of topology'],
    ['first view', ...first, ''],
    ['all of it', ...whole, topology],
    ['a frame while scrolling, median', frames[0] ?? '', scrolled, ''],
    ['the longest', frames[1] ?? '', '', ''],
  ]);
  console.log(`bytes, compressed: ${kib(withoutMap)} KiB, with the map ${kib(bytes)} KiB`);
}

/** The CPU time of a page's main thread, the measure that depends least on other work on the machine. */
class PageCpu {
  readonly #session: CDPSession;
  #before = 0;

  private constructor(session: CDPSession) {
    this.#session = session;
  }

  static async of(page: Page): Promise<PageCpu> {
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    return new PageCpu(session);
  }

  /** CPU time since the page was opened, ms. */
  async total(): Promise<number> {
    const { metrics } = await this.#session.send('Performance.getMetrics');
    return 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN);
  }

  /** CPU time since the last call, ms. */
  async taken(): Promise<number> {
    const total = await this.total();
    const taken = total - this.#before;
    this.#before = total;
    return taken;
  }
}

async function benchPages(browser: Browser, url: string, pid: number): Promise<void> {
  const rows: string[][] = [];
  const pages: Page[] = [];
  for (const wanted of [0, 1, PAGES]) {
    while (pages.length < wanted) {
      // Every page in a browser context of its own, with its own cookies and connections.
      const page = await patientPage(browser);
      pages.push(page);
      await page.goto(`${url}#/tree`);
      await isLive(page);
    }
    const before = cpuSeconds(pid);
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    const share = ((cpuSeconds(pid) - before) * 1000) / IDLE_MS;
    rows.push([String(wanted), (residentKb(pid) / 1024).toFixed(0), `${(share * 100).toFixed(1)} %`]);
  }
  for (const page of pages) await page.context().close();
  printTable(`topology with open pages, ${count(NODES)} nodes`, [
    ['pages', 'resident MiB', 'of a core, idle'],
    ...rows,
  ]);
}

async function benchMap(browser: Browser, url: string): Promise<string[]> {
  const page = await patientPage(browser);
  const cpu = await PageCpu.of(page);
  const began = performance.now();
  await page.goto(`${url}#/map`);
  await isLive(page);
  await page.locator('.map canvas').first().waitFor();
  // Waits until the page has drawn a frame.
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  const drawn = performance.now() - began;
  const drawnCpu = await cpu.taken();
  const wheel = `{
    const box = document.querySelector('.map').getBoundingClientRect();
    const at = { clientX: box.x + box.width / 3, clientY: box.y + box.height / 3, bubbles: true, cancelable: true };
    const target = document.elementFromPoint(at.clientX, at.clientY);
    target.dispatchEvent(new WheelEvent('wheel', { ...at, deltaY: n % 20 < 10 ? -60 : 60 }));
  }`;
  await cpu.taken();
  const frames = await framesWhile(page, wheel);
  const each = ((await cpu.taken()) / FRAMES).toFixed(1);
  await page.context().close();
  return [ms(drawn), ms(drawnCpu), ...frames, each];
}

/** Runs a step before each of `n` frames. @returns median and longest time between frames, ms */
async function framesWhile(page: Page, step: string): Promise<string[]> {
  const script = `new Promise((done) => {
    const times = [];
    let last = null;
    let n = 0;
    const frame = (now) => {
      if (last !== null) times.push(now - last);
      last = now;
      if (n++ === ${FRAMES}) { done(times); return; }
      ${step};
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  })`;
  const times = ((await page.evaluate(script)) as number[]).sort((a, b) => a - b);
  return [ms(times[times.length >> 1] ?? Number.NaN), ms(times.at(-1) ?? Number.NaN)];
}

const ms = (value: number): string => count(value);
const kib = (bytes: number): string => (bytes / 1024).toFixed(0);
