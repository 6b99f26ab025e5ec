import { Sim } from '@spanmesh/ctl/sim/sim';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../peer/eventually.ts';
import type { ServiceProcess } from '../peer/installation.ts';
import { NatsInstallation } from '../peer/nats-installation.ts';
import { openBrowser, openPage } from './browser.ts';

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

/** Where a replica says that its console is. */
function consoleOf(topology: ServiceProcess): Promise<string> {
  return eventually(() => /"console":"(http:[^"]+)"/.exec(topology.output)?.[1], 'it says where its console is');
}

function simOn(port: number, seed: number): Sim {
  const connect = { host: '127.0.0.1', port };
  const options = { connect, peers: 6, dialect: 'circuit', spans: 1, clusters: 2, seed, churnMs: 0, load: 0 } as const;
  return new Sim(options, { onSummary: () => {}, onNote: () => {} });
}

it('a page of the standby goes on over a fail-over, says what is missing, and shows what comes afterwards', async () => {
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
