import { createTopologyProcess, type TopologyProcess } from '@spanmesh/topology/process';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { axeViolations, openBrowser, openPage } from './browser.ts';
import { type Patch, patchOf } from './pixels.ts';
import { attachTold } from './told-gateway.ts';
import { isLive, simOf, standaloneWith } from './world.ts';

/** Without a graphics processor the browser takes long to compute each picture of the map. */
const PATIENT = { timeout: 60_000 };

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser?.close());

it('10,000 nodes: the first view, the whole tree, and the end of the tree are shown', {
  timeout: 120_000,
}, async () => {
  const { standalone, stop } = await standaloneWith();
  const sim = simOf(standalone, { peers: 4, spans: 2500, dialect: 'circuit' });
  sim.start();
  const { page, faults } = await openPage(browser);
  try {
    await expect.poll(() => standalone.counts().treeNodes).toBe(10_000);
    const began = performance.now();
    await page.goto(standalone.consoleUrl);
    await page.locator('.tiles').getByText('10,000').first().waitFor();
    const first = Math.round(performance.now() - began);
    await isLive(page);
    const whole = Math.round(performance.now() - began);
    await page.getByRole('link', { name: 'Tree' }).click();
    const tree = page.getByRole('tree');
    await tree.focus();
    await page.keyboard.press('End');
    await tree.getByRole('treeitem', { selected: true }).waitFor();
    // Only the visible items are in the document.
    expect(await tree.getByRole('treeitem').count()).toBeLessThan(100);
    console.log(`10,000 nodes: first view after ${first} ms, all of them after ${whole} ms`);
    expect(await axeViolations(page)).toEqual([]);
    expect(faults).toEqual([]);
  } finally {
    await page.context().close();
    await sim.stop();
    await stop();
  }
});

describe('the map of 5,000 peers', { timeout: 180_000 }, () => {
  const peers = 5000;
  let topology: TopologyProcess;
  let endGateway: () => void;
  let page: Page;
  /** A page that examines screenshots of the other page. */
  let eye: Page;
  let faults: string[];
  /** Where the gateway is drawn when the whole map is shown: in the middle. */
  let middle: Patch;

  beforeAll(async () => {
    const env = {
      SPANMESH_GRPC_LISTEN: '127.0.0.1:0',
      SPANMESH_SERVICE_LISTEN: '127.0.0.1:0',
      SPANMESH_HTTP_LISTEN: '127.0.0.1:0',
      SPANMESH_CONSOLE_LISTEN: '127.0.0.1:0',
      SPANMESH_LOG_LEVEL: 'silent',
    };
    topology = createTopologyProcess({ env, flags: {} });
    await topology.start();
    endGateway = await attachTold(topology.ports.serviceAddress, 'told', peers);
    ({ page, faults } = await openPage(browser, { width: 720, height: 540 }));
    page.setDefaultTimeout(PATIENT.timeout);
    eye = await page.context().newPage();
    await page.bringToFront();
    await page.goto(`${topology.console.url}#/map`);
    await isLive(page);
    await map().locator('canvas').first().waitFor();
  });

  afterAll(async () => {
    await page?.context().close();
    endGateway?.();
    await topology?.stop();
  });

  const map = () => page.locator('.map');
  const drawnPeers = async () => (await patchOf(map(), '#2d8a4e', eye)).pixels;
  const gateway = () => patchOf(map(), '#1f5fbf', eye);
  /** Waits for the gateway's distance from the middle, in px to the right. */
  const right = () => expect.poll(async () => (await gateway()).x - middle.x, PATIENT);
  const down = () => expect.poll(async () => (await gateway()).y - middle.y, PATIENT);

  /** The gateway's distance from the middle, once it does not move any more. */
  async function restsAt(): Promise<number> {
    for (let before = Number.NaN; ; ) {
      const { x } = await gateway();
      if (x === before) return x - middle.x;
      before = x;
    }
  }

  async function showAll(): Promise<void> {
    await page.getByRole('button', { name: 'All' }).click();
    await right().toBeCloseTo(0, 0);
  }

  it('is drawn: all peers, around their gateway', async () => {
    await expect.poll(drawnPeers, PATIENT).toBeGreaterThan(peers);
    middle = await gateway();
    const box = await map().boundingBox();
    expect(Math.abs(middle.x - (box?.width ?? 0) / 2)).toBeLessThan(2);
    expect(middle.pixels).toBeGreaterThan(400);
    expect(await axeViolations(page)).toEqual([]);
  });

  it('shows the name of the peer under the mouse', async () => {
    const { x: left, y: top } = (await map().boundingBox()) ?? { x: 0, y: 0 };
    const pointed = async () => {
      await page.mouse.move(left + 2, top + 2);
      await page.mouse.move(left + middle.x, top + middle.y);
      return page.locator('.picked').textContent();
    };
    await expect.poll(pointed, PATIENT).toBe('gateway told.00000001 5000 connections');
    await page.mouse.move(left + 2, top + 2);
  });

  it('finds a peer, moves to it, and shows its name', async () => {
    const find = page.getByLabel('Find');
    await find.fill(`peer ${peers}`);
    await page.getByText('1 found', { exact: true }).waitFor();
    await find.press('Enter');
    const isIt = /^connection told\.00000001:5000 .* peer 5000 192\.0\.2\.1:15000$/;
    await expect.poll(() => page.locator('.picked').textContent(), PATIENT).toMatch(isIt);
    // The gateway is not in the visible part now, and only the found peer is drawn in full colour.
    await expect.poll(async () => (await gateway()).pixels, PATIENT).toBe(0);
    await expect.poll(drawnPeers, PATIENT).toBeLessThan(100);
    await find.fill('nobody is called so');
    await page.getByText('0 found', { exact: true }).waitFor();
    expect(await page.getByRole('button', { name: 'Go there' }).isDisabled()).toBe(true);
    await find.fill('');
    await showAll();
  });

  it('is moved with the mouse, and zoomed with the wheel', async () => {
    const { x: left, y: top } = (await map().boundingBox()) ?? { x: 0, y: 0 };
    const [x, y] = [left + middle.x, top + middle.y];
    await page.mouse.move(x + 100, y + 50);
    await page.mouse.down();
    await page.mouse.move(x + 150, y + 50);
    await page.mouse.move(x + 200, y + 50);
    await page.mouse.up();
    // The map moves on for a moment after the mouse button is released.
    await right().toBeGreaterThan(95);
    await showAll();
    // The point under the mouse stays in place: the gateway, beside it, moves away.
    await page.mouse.move(x + 100, y);
    await page.mouse.wheel(0, -120);
    await right().toBeLessThan(-20);
    await page.mouse.move(left + 2, top + 2);
    await showAll();
  });

  it('is moved and zoomed with the keyboard, and with the buttons', async () => {
    await map().focus();
    await map().press('ArrowLeft');
    await right().toBeGreaterThan(20);
    const step = await restsAt();
    await map().press('+');
    await right().toBeCloseTo(1.5 * step, -1);
    await page.getByRole('button', { name: 'Zoom out' }).press('Enter');
    await right().toBeCloseTo(step, -1);
    await page.getByRole('button', { name: 'Zoom in' }).press('Enter');
    await right().toBeCloseTo(1.5 * step, -1);
    await map().press('-');
    await right().toBeCloseTo(step, -1);
    await map().press('ArrowRight');
    await right().toBeCloseTo(0, -1);
    await map().press('ArrowUp');
    await down().toBeGreaterThan(20);
    await map().press('ArrowDown');
    await map().press('ArrowDown');
    await down().toBeLessThan(-20);
    await map().press('Home');
    await down().toBeCloseTo(0, 0);
  });

  it('no fault has occurred in the page', () => expect(faults).toEqual([]));
});
