import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sim } from '@spanmesh/ctl/sim/sim';
import { createApiToken } from '@spanmesh/runtime/access/api-tokens';
import type { RunningStandalone } from '@spanmesh/standalone/standalone';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { axeViolations, openBrowser, openPage, type WatchedPage } from './browser.ts';
import { isLive, PEERS, simOf, standaloneWith } from './world.ts';

/** The images of README and docs/console.md are made here on request, so that they show the present console. */
const IMAGES = join(import.meta.dirname, '../../docs/images');
const MAKES_IMAGES = process.env.SPANMESH_MAKE_IMAGES === 'true';
/** The most compressed bytes that the page may load, including the map: the promised limit. */
const MOST_BYTES = 200 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
  if (MAKES_IMAGES) mkdirSync(IMAGES, { recursive: true });
});
afterAll(() => browser?.close());

async function shot(page: Page, name: string): Promise<void> {
  if (MAKES_IMAGES) await page.screenshot({ path: join(IMAGES, `console-${name}.png`), animations: 'disabled' });
}

describe('a console without sign-in', () => {
  let standalone: RunningStandalone;
  let stop: () => Promise<void>;
  let sim: Sim;
  beforeAll(async () => {
    ({ standalone, stop } = await standaloneWith());
    sim = simOf(standalone, { load: 2 });
    sim.start();
  });
  afterAll(async () => {
    await sim.stop();
    await stop();
  });

  let watched: WatchedPage;
  let page: Page;
  beforeEach(async () => {
    watched = await openPage(browser);
    page = watched.page;
  });
  afterEach(async () => {
    await page.context().close();
    expect(watched.faults).toEqual([]);
  });
  const open = async (view: string): Promise<void> => {
    await page.goto(`${standalone.consoleUrl}#/${view}`);
    await isLive(page);
  };

  it('shows the status of the installation, as the status command does, with the numbers of the API', async () => {
    await open('');
    await page.getByText('The installation is well.').waitFor();
    await page.locator('.tiles div', { hasText: 'nodes' }).getByText(String(PEERS), { exact: true }).waitFor();
    await page.getByRole('cell', { name: /leader, epoch/ }).waitFor();
    // Rates exist from the second answer of the gateways on.
    for (const rate of ['routed msg/s', 'routed B/s']) {
      const tile = page.locator('.tiles div', { hasText: rate }).locator('dd');
      await expect.poll(() => tile.textContent()).toMatch(/^[1-9]/);
    }
    await shot(page, 'overview');
    expect(await axeViolations(page)).toEqual([]);
  });

  it('shows the tree down to the relays, searches in it, and is controlled with the keyboard', async () => {
    await open('tree');
    const tree = page.getByRole('tree');
    await tree.getByText('peer01.1').waitFor();
    await page.getByLabel('Find').fill('peer01.1');
    await expect.poll(() => tree.getByRole('treeitem').count()).toBe(2);
    await tree.focus();
    for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key);
    await tree.getByText('relayed to').first().waitFor();
    expect(await tree.getByRole('treeitem', { selected: true }).getAttribute('aria-level')).toBe('3');
    expect(await axeViolations(page)).toEqual([]);
    await page.getByLabel('Find').fill('');
    await shot(page, 'tree');
    await page.getByLabel('Dialect').selectOption('linkid');
    await expect.poll(() => tree.getByText('circuit').count()).toBe(0);
    await page.getByLabel('Find').fill('nobody is called so');
    await page.getByText('No peer offers anything like that.').waitFor();
  });

  it('shows a change as it happens', async () => {
    await open('tree');
    await page.getByLabel('Find').fill('peer30.1');
    await page.getByText('No peer offers anything like that.').waitFor();
    const more = simOf(standalone, { peers: 30, seed: 7 });
    more.start();
    try {
      await page.getByRole('treeitem', { name: /peer30\.1/ }).waitFor();
      await page.getByRole('link', { name: 'Overview' }).click();
      await page.locator('.changes li', { hasText: 'peer-up' }).first().waitFor();
    } finally {
      await more.stop();
    }
    await page.locator('.changes li', { hasText: 'peer-down' }).first().waitFor();
    await page.getByRole('link', { name: 'Events' }).click();
    await page.getByLabel('Kind').selectOption('lnk-conn');
    await page.getByLabel('Find').fill('peer30');
    await page
      .getByRole('cell', { name: /"peer30/ })
      .first()
      .waitFor();
    await page.getByLabel('Kind').selectOption('peer-down');
    await page.getByLabel('Find').fill('the peer has closed it');
    await page
      .getByRole('cell', { name: /the peer has closed it/ })
      .first()
      .waitFor();
    expect(await axeViolations(page)).toEqual([]);
  });

  it('explains which links of a node are relayed to whom, and why others are not', async () => {
    await open('tree');
    await page.getByRole('tree').getByRole('link', { name: 'peer01.1' }).click();
    await page.getByRole('heading', { name: 'peer01.1' }).waitFor();
    await page.getByText('it came in on this very connection; the walk stops here').waitFor();
    await page.getByText('✓').first().waitFor();
    await shot(page, 'node');
    expect(await axeViolations(page)).toEqual([]);
  });

  it('lists connections, sorts them, and closes one', async () => {
    await open('connections');
    const rows = page.getByRole('table', { name: 'Connections' }).locator('tbody tr');
    await expect.poll(() => rows.count()).toBe(PEERS);
    await page.getByRole('button', { name: 'Peer' }).click();
    await expect.poll(() => rows.first().textContent()).toContain('BLOCK');
    expect(await axeViolations(page)).toEqual([]);
    const id = (await rows.first().locator('.id').textContent()) ?? '';
    await page.getByRole('button', { name: `Close ${id}` }).click();
    expect(await axeViolations(page)).toEqual([]);
    await page.getByLabel('Why, for the log').fill('tried by a test');
    await page.getByRole('button', { name: 'Close the connection' }).click();
    await page.getByText(id, { exact: true }).waitFor({ state: 'detached' });
    // The closed connection's peer connects again.
    await expect.poll(() => rows.count()).toBe(PEERS);
  });

  it('shows the traffic of each connection, and sorts by it', async () => {
    const busy = simOf(standalone, { peers: 2, spans: 1, dialect: 'circuit', seed: 7, load: 200 });
    busy.start();
    try {
      await open('connections');
      const table = page.getByRole('table', { name: 'Connections' });
      const headings = await table.getByRole('columnheader').allTextContents();
      const first = (heading: string) =>
        table.locator('tbody tr').first().locator('td').nth(headings.indexOf(heading)).textContent();
      const sort = page.getByRole('button', { name: 'Msg/s' });
      await sort.click();
      await sort.click();
      await page
        .getByRole('columnheader', { name: 'Msg/s', exact: false })
        .and(page.locator('[aria-sort=descending]'))
        .waitFor();
      // Rates exist from the second answer of the gateways on.
      for (const heading of ['Msg/s', 'In B/s', 'Out B/s']) {
        await expect.poll(() => first(heading)).toMatch(/^[1-9]/);
      }
      expect(await first('Open')).toMatch(/^[1-9]/);
      expect(await first('Queue')).toMatch(/^\d/);
      expect(await axeViolations(page)).toEqual([]);
      // The picture must show all columns.
      await page.setViewportSize({ width: 1500, height: 560 });
      await page.evaluate('document.querySelector(".scroll").scrollLeft = 0');
      await shot(page, 'connections');
    } finally {
      await busy.stop();
    }
    await expect.poll(() => page.getByRole('table', { name: 'Connections' }).locator('tbody tr').count()).toBe(PEERS);
  });

  it('adds a target, shows its states, and removes it', async () => {
    await open('targets');
    await page.getByText('There is none.').waitFor();
    await page.getByRole('button', { name: 'Add a target' }).click();
    await page.getByLabel('Name').fill('nowhere');
    await page.getByLabel('Address').fill('127.0.0.1:1');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('cell', { name: 'connect', exact: true }).waitFor();
    await page.getByRole('cell', { name: /refused.*ago/i }).waitFor();
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Remove nowhere' }).click();
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByText('There is none.').waitFor();
  });

  it('shows an error of the API where the user has asked', async () => {
    await open('targets');
    await page.getByRole('button', { name: 'Add a target' }).click();
    await page.getByLabel('Name').fill('bad');
    await page.getByLabel('Address').fill('no host:at all');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await expect.poll(() => page.getByRole('dialog').getByRole('alert').textContent()).not.toBe('');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('There is none.').waitFor();
  });

  it('drains a gateway, and shows the progress', async () => {
    await open('gateways');
    await page.getByRole('button', { name: /^Drain / }).click();
    await page.getByLabel(/Share/).fill('50');
    await page.getByLabel(/Time/).fill('10');
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Drain', exact: true }).click();
    await page.getByText(/^done: (\d+) of \1 closed/).waitFor({ timeout: 30_000 });
    expect(await axeViolations(page)).toEqual([]);
  });

  it('draws the map, searches in it, and shows the name under the mouse', async () => {
    await open('map');
    await page.locator('.map canvas').first().waitFor();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await page.getByRole('button', { name: 'All' }).click();
    await expect
      .poll(async () => {
        const box = await page.locator('.map').boundingBox();
        if (box === null) return '';
        await page.mouse.move(box.x + box.width / 2 + 2, box.y + box.height / 2);
        await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
        return page.locator('.picked').textContent();
      })
      .toMatch(/^gateway .* \d+ connections$/);
    await shot(page, 'map');
    expect(await axeViolations(page)).toEqual([]);
  });

  it('loads few bytes', async () => {
    let bytes = 0;
    page.on('response', (response) => {
      if (response.request().method() === 'GET') bytes += Number(response.headers()['content-length'] ?? 0);
    });
    await open('map');
    await page.locator('.map canvas').first().waitFor();
    console.log(`the page with the map: ${bytes} bytes, compressed`);
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(MOST_BYTES);
  });
});

// The cases above have checked the light colours in a wide window.
describe.each([
  { colorScheme: 'dark', width: 1280 },
  { colorScheme: 'light', width: 360 },
] as const)('the page is accessible and fits: $colorScheme, $width px wide', ({ colorScheme, width }) => {
  /** Checks that a view has no accessibility problems, and does not extend beyond the right edge. */
  async function fits(page: Page, view: string): Promise<void> {
    expect([view, await axeViolations(page)]).toEqual([view, []]);
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect([view, overflow]).toEqual([view, 0]);
  }

  it('in every view, and in every dialog', { timeout: 180_000 }, async () => {
    const { standalone, stop } = await standaloneWith();
    const sim = simOf(standalone, { peers: 4, load: 20 });
    sim.start();
    const { page, faults } = await openPage(browser, { colorScheme, width, height: 700 });
    const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true });
    /** Opens a dialog, checks it, and closes it. */
    const asks = async (name: string | RegExp): Promise<void> => {
      await button(name).first().click();
      await page.getByRole('dialog').waitFor();
      await fits(page, String(name));
      await button('Cancel').click();
    };
    try {
      await page.goto(standalone.consoleUrl);
      await isLive(page);
      for (const view of ['', 'tree', 'map', 'connections', 'targets', 'gateways', 'events']) {
        await page.goto(`${standalone.consoleUrl}#/${view}`);
        await page.locator(`nav a[aria-current=page][href="#/${view}"]`).waitFor();
        if (view === 'connections')
          await page
            .getByRole('table')
            .getByText(/^Close…/)
            .first()
            .waitFor();
        await fits(page, view);
        if (view === 'connections') await asks(/^Close /);
        if (view === 'gateways') await asks(/^Drain /);
        if (view === 'targets') {
          await asks('Add a target…');
          await button('Add a target…').click();
          await page.getByLabel('Name').fill('nowhere');
          await page.getByLabel('Address').fill('127.0.0.1:1');
          await button('Add').click();
          await page.getByRole('cell', { name: /refused.*ago/i }).waitFor();
          await fits(page, 'a target that fails');
          await asks('Remove nowhere');
        }
      }
      await page.goto(`${standalone.consoleUrl}#/tree`);
      await page.getByRole('tree').getByRole('link').first().click();
      await page.getByText('relayed').first().waitFor();
      await fits(page, 'node');
      await sim.stop();
      await page.getByText('This node is not there').waitFor();
      await fits(page, 'a node that is gone');
      expect(faults).toEqual([]);
    } finally {
      await page.context().close();
      await sim.stop();
      await stop();
    }
  });

  it('on the sign-in page', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'spanmesh-tokens-'));
    writeFileSync(join(directory, 'tokens'), `${createApiToken({ name: 'rita', role: 'read' }).line}\n`, {
      mode: 0o600,
    });
    const { standalone, stop } = await standaloneWith({ SPANMESH_API_TOKENS_FILE: join(directory, 'tokens') });
    const { page, faults } = await openPage(browser, { colorScheme, width, height: 700 });
    try {
      await page.goto(standalone.consoleUrl);
      await page.getByLabel('Token').fill('spm_wrong');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('This token is not known here.').waitFor();
      await fits(page, 'sign-in');
      expect(faults).toEqual([]);
    } finally {
      await page.context().close();
      await stop();
      rmSync(directory, { recursive: true });
    }
  });
});

it('a token is typed once, and is stored nowhere in the browser; a user who may only read is offered no orders', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spanmesh-tokens-'));
  const rita = createApiToken({ name: 'rita', role: 'read' });
  writeFileSync(join(directory, 'tokens'), `${rita.line}\n`, { mode: 0o600 });
  const { standalone, stop } = await standaloneWith({ SPANMESH_API_TOKENS_FILE: join(directory, 'tokens') });
  const { page, faults } = await openPage(browser);
  try {
    await page.goto(`${standalone.consoleUrl}#/targets`);
    await page.getByLabel('Token').fill('spm_wrong');
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This token is not known here.').waitFor();
    await page.getByLabel('Token').fill(rita.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await isLive(page);
    await page.getByText('rita (read)').waitFor();
    await page.getByText('There is none.').waitFor();
    expect(await page.getByRole('button', { name: 'Add a target' }).count()).toBe(0);
    const kept = await page.evaluate(
      'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, document.documentElement.outerHTML])',
    );
    expect(kept).not.toContain(rita.token);
    expect(await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]')).toEqual([0, 0, '']);
    await page.reload();
    await page.getByText('rita (read)').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Token').waitFor();
    expect(faults).toEqual([]);
  } finally {
    await page.context().close();
    await stop();
    rmSync(directory, { recursive: true });
  }
});

it('labels are shown as text, whatever they contain', async () => {
  const { standalone, stop } = await standaloneWith();
  const { page, faults } = await openPage(browser);
  try {
    await page.goto(`${standalone.consoleUrl}#/targets`);
    await isLive(page);
    await page.getByRole('button', { name: 'Add a target' }).click();
    await page.getByLabel('Name').fill('x');
    await page.getByLabel('Address').fill('<img src=x onerror=alert(1)>:1');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await expect.poll(() => page.getByRole('dialog').getByRole('alert').textContent()).not.toBe('');
    expect(await page.locator('img').count()).toBe(0);
    await page.goto(`${standalone.consoleUrl}#/node/${encodeURIComponent('<script>alert(1)</script>')}`);
    await page.getByText('This node is not there').waitFor();
    expect(faults).toEqual([]);
  } finally {
    await page.context().close();
    await stop();
  }
});
