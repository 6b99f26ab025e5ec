import { Sim } from '@spanmesh/ctl/sim/sim';
import { eventually } from '@spanmesh/runtime/patience.fixture';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ServiceProcess } from '../peer/installation.ts';
import { LivePeer } from '../peer/live-peer.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import type { RawPeer } from '../peer/raw-peer.ts';
import { DialledHost } from '../peer/volconf-world.ts';
import { axeViolations, openBrowser, openPage } from './browser.ts';

let installation: NatsInstallation;
let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
  const env = { SPANMESH_CONSOLE_LISTEN: '127.0.0.1:0', SPANMESH_LOG_LEVEL: 'info' };
  installation = await NatsInstallation.start({ topologies: 2, gateways: 2, volconfs: 1 }, env);
});
afterAll(async () => {
  await browser?.close();
  await installation?.stop();
});

/** The address of a replica's console, from its log. */
function consoleOf(topology: ServiceProcess): Promise<string> {
  return eventually(() => /"console":"(http:[^"]+)"/.exec(topology.output)?.[1], 'it says where its console is');
}

function simOn(port: number, seed: number, load = 0): Sim {
  const connect = { host: '127.0.0.1', port };
  const options = { connect, peers: 6, dialect: 'circuit', spans: 1, clusters: 2, seed, churnMs: 0, load } as const;
  return new Sim(options, { onSummary: () => {}, onNote: () => {} });
}

async function addTarget(page: Page, name: string, path: string): Promise<void> {
  await page.getByRole('button', { name: 'Add a target' }).click();
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Address').fill(path);
  await page.getByLabel('Dialect').selectOption('circuit');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
}

it('a page of the standby adds targets at volconf, shows their states, and removes them', async () => {
  const [, standby] = installation.topologies;
  if (standby === undefined) throw new Error('too few');
  const answers = (raw: RawPeer): void => void LivePeer.over(raw).openConn();
  const host = await new DialledHost('127.0.0.1', 0, 'circuit', answers).listen();
  const { page, faults } = await openPage(browser);
  try {
    await page.goto(`${await consoleOf(standby)}#/targets`);
    await page.getByText('There is none.').waitFor();
    await addTarget(page, 'lab', `127.0.0.1:${host.port}`);
    await addTarget(page, 'nowhere', '127.0.0.1:1');
    const row = (name: string) => page.getByRole('row').filter({ has: page.getByText(name, { exact: true }) });
    await row('lab').getByRole('cell', { name: 'running', exact: true }).waitFor();
    await row('lab')
      .getByRole('cell', { name: /^gateway-[12]\.\S+:\d+$/ })
      .waitFor();
    await row('nowhere')
      .getByRole('cell', { name: /nobody answers there.* ago$/ })
      .waitFor();
    await row('nowhere')
      .getByRole('cell', { name: /^(now|in .*)$/ })
      .waitFor();
    expect(await axeViolations(page)).toEqual([]);
    // The connection is dialled again: the page shows it as lost, then as established.
    (await host.next()).socket.resetAndDestroy();
    await row('lab').getByText(/ ago$/).waitFor();
    await row('lab').getByRole('cell', { name: 'running', exact: true }).waitFor();
    for (const name of ['lab', 'nowhere']) {
      await page.getByRole('button', { name: `Remove ${name}` }).click();
      await page.getByRole('button', { name: 'Remove', exact: true }).click();
      await row(name).waitFor({ state: 'detached' });
    }
    await page.getByText('There is none.').waitFor();
    await eventually(() => (host.open === 0 ? true : undefined), 'the connection of a removed target is hung up');
    await page.getByRole('link', { name: 'Events' }).click();
    await page.getByLabel('Kind').selectOption('operator-act');
    await page
      .getByRole('cell', { name: /^lab Volconf\/RemoveTarget .*at the console/ })
      .first()
      .waitFor();
  } finally {
    await page.context().close();
    host.stop();
  }
  expect(faults).toEqual([]);
});

it('a page of the standby drains a gateway in another process, and the map shows the trunk to the other gateway', async () => {
  const [, standby] = installation.topologies;
  const [one, two] = installation.gateways;
  if (standby === undefined || one === undefined || two === undefined) throw new Error('too few');
  const sims = [simOn(one.dmsg.circuit, 3, 20), simOn(two.dmsg.circuit, 3, 20)];
  // Both gateways have peers with the same nodes, so the best link of a node may be at either gateway, and some
  // transactions use the trunk.
  for (const sim of sims) sim.start();
  const { page, faults } = await openPage(browser);
  try {
    await page.goto(`${await consoleOf(standby)}#/gateways`);
    const row = (name: string) => page.getByRole('row').filter({ has: page.getByRole('cell', { name }) });
    const connections = (name: string) => row(name).getByRole('cell').nth(2);
    await expect.poll(() => connections('gateway-1').textContent()).toBe('6');
    await expect.poll(() => connections('gateway-2').textContent()).toBe('6');
    await page.getByRole('button', { name: 'Drain gateway-1' }).click();
    await page.getByLabel(/Share/).fill('50');
    await page.getByLabel(/Time/).fill('10');
    await page.getByRole('button', { name: 'Drain', exact: true }).click();
    await row('gateway-1')
      .getByText(/^done: 3 of 3 closed/)
      .waitFor({ timeout: 30_000 });
    expect(
      await row('gateway-2')
        .getByText(/closed/)
        .count(),
    ).toBe(0);
    // The drained gateway's peers reconnect, also to it: it still accepts peers.
    await expect.poll(() => connections('gateway-1').textContent()).toBe('6');
    expect(await axeViolations(page)).toEqual([]);
    await page.getByRole('link', { name: 'Map' }).click();
    await page.locator('.map canvas').first().waitFor();
    const box = await page.locator('.map').boundingBox();
    if (box === null) throw new Error('no map');
    // The map shows two gateways above each other in the middle.
    await expect
      .poll(async () => {
        for (let y = box.y + 20; y < box.y + box.height; y += 8) {
          await page.mouse.move(box.x + box.width / 2, y);
          const told = (await page.locator('.picked').textContent()) ?? '';
          if (told.startsWith('gateway ')) return told;
        }
        return '';
      })
      .toMatch(
        /^gateway gateway-(1\.\S+ 6 connections, trunk to gateway-2|2\.\S+ 6 connections, trunk to gateway-1)\.\S+$/,
      );
    expect(await axeViolations(page)).toEqual([]);
  } finally {
    await page.context().close();
    for (const sim of sims) await sim.stop();
  }
  expect(faults).toEqual([]);
});

it('a page of the standby continues after a fail-over, shows what is missing, and shows later changes', async () => {
  const [leader, standby] = installation.topologies;
  const [one, two] = installation.gateways;
  if (leader === undefined || standby === undefined || one === undefined || two === undefined)
    throw new Error('too few');
  const sim = simOn(one.dmsg.circuit, 1);
  sim.start();
  const { page, faults } = await openPage(browser);
  const more = simOn(two.dmsg.circuit, 2);
  try {
    await page.goto(`${await consoleOf(standby)}#/`);
    await page.getByText('The installation is well.').waitFor();
    await page.locator('.tiles div', { hasText: 'nodes' }).getByText('6', { exact: true }).waitFor();
    await leader.stop('SIGKILL');
    await page.getByText(/the topology replica at \S+ is missing for/).waitFor({ timeout: 30_000 });
    expect(await axeViolations(page)).toEqual([]);
    await page.locator('[data-state=good]').waitFor();
    await page.getByRole('cell', { name: /leader, epoch/ }).waitFor();
    await page.locator('.changes li', { hasText: 'leader-changed' }).first().waitFor();
    more.start();
    await page.locator('.tiles div', { hasText: 'nodes' }).getByText('12', { exact: true }).waitFor();
    await page.locator('.changes li', { hasText: 'peer-up' }).first().waitFor();
    await standby.stop('SIGKILL');
    await page.getByText(/^disconnected for|disconnected for .* trying again/).waitFor();
    const again = standby.again();
    installation.topologies[1] = again;
    await again.ready();
  } finally {
    await page.context().close();
    await more.stop();
    await sim.stop();
  }
  expect(faults).toEqual([]);
});
