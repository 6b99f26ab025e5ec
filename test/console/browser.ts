import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';

/** The path of Debian's chromium. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * Opens Debian's chromium. The map needs WebGL, which chromium computes in software. @throws Error that says what is
 * missing
 */
export function openBrowser(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(`${CHROMIUM} is missing: apt-get install chromium, or set CHROMIUM`);
  const args = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--force-color-profile=srgb'];
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/**
 * A page with the faults that have occurred in it: errors of scripts, and requests refused by the content security
 * policy.
 */
export interface WatchedPage {
  readonly page: Page;
  readonly faults: string[];
}

export async function openPage(
  browser: Browser,
  {
    width = 1280,
    height = 800,
    colorScheme = 'light',
  }: { width?: number; height?: number; colorScheme?: 'light' | 'dark' } = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, ignoreHTTPSErrors: true });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(String(error.stack)));
  page.on('console', (message) => {
    // Requests that fail because the server is away, or is refused, are no fault of the page.
    if (message.type() === 'error' && !/net::ERR_|status of 4\d\d/.test(message.text())) faults.push(message.text());
  });
  return { page, faults };
}

/** The accessibility problems that axe finds, a line each. */
export async function axeViolations(page: Page): Promise<string[]> {
  // The page's policy forbids foreign scripts; evaluation through the browser is not affected by it.
  const { violations } = (await page.evaluate(`${AXE};\naxe.run(document)`)) as AxeResults;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`),
  );
}
