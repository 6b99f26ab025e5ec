import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openMapPeers } from '../bench/map-peers.ts';
import { eventually } from '../peer/eventually.ts';
import { axeViolations, openBrowser, openPage } from './browser.ts';
import { isLive, simOf, standaloneWith } from './world.ts';

/** A browser without a graphics processor computes each look at the map. */
const PATIENT = { timeout: 60_000 };

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(() => browser?.close());

it('10,000 nodes: the first view, the whole tree, and its end are there', { timeout: 120_000 }, async () => {
  const { standalone, stop } = await standaloneWith();
  const sim = simOf(standalone, { peers: 4, spans: 2500, dialect: 'circuit' });
  sim.start();
  const { page, faults } = await openPage(browser);
  try {
    await expect.poll(() => standalone.counts().treeNodes, { timeout: 60_000 }).toBe(10_000);
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
    // Only what is seen is drawn.
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

// With 5,000 it is measured: `npm run bench -- console`.
it('the map of 500 peers: whoever is looked for is found, gone to and named', { timeout: 180_000 }, async () => {
  const peers = 500;
  const { standalone, stop } = await standaloneWith({ SPANMESH_DMSG_LISTEN: 'circuit://127.0.0.1:0' });
  const opened = await openMapPeers(standalone.dmsg[0]?.port ?? 0, peers);
  const { page, faults } = await openPage(browser);
  try {
    await eventually(() => standalone.counts().treeNodes === peers || undefined, 'all peers are in the tree');
    await page.goto(`${standalone.consoleUrl}#/map`);
    await isLive(page);
    await page.locator('.map canvas').first().waitFor();
    const middle = async (): Promise<string | null> => {
      const box = await page.locator('.map').boundingBox();
      if (box === null) return null;
      await page.mouse.move(box.x + box.width / 2 + 40, box.y + box.height / 2 + 40);
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
      return page.locator('.picked').textContent();
    };
    // All of them are around their gateway, which is in the middle.
    await expect.poll(middle, PATIENT).toMatch(new RegExp(`^gateway .* ${peers} connections$`));
    const find = page.getByLabel('Find');
    await find.fill(`peer ${peers}`);
    await page.getByText('1 found', { exact: true }).waitFor();
    await find.press('Enter');
    const isIt = new RegExp(`^connection .* peer ${peers} 127\\.0\\.0\\.1:\\d+$`);
    await expect.poll(() => page.locator('.picked').textContent(), PATIENT).toMatch(isIt);
    // It is where one now looks at.
    await expect.poll(middle, PATIENT).toMatch(isIt);
    await find.fill('nobody is called so');
    await page.getByText('0 found', { exact: true }).waitFor();
    expect(await page.getByRole('button', { name: 'Go there' }).isDisabled()).toBe(true);
    await find.fill('');
    await page.getByRole('button', { name: 'All' }).click();
    await expect.poll(middle, PATIENT).toMatch(/^gateway /);
    expect(await axeViolations(page)).toEqual([]);
    expect(faults).toEqual([]);
  } finally {
    await page.context().close();
    for (const peer of opened) peer.close();
    await stop();
  }
});
