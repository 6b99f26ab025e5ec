import { expect, it } from 'vitest';
import { buildProgram } from '../program.ts';
import { manPages } from './man-pages.ts';
import { nowhere } from './nowhere.ts';
import { wholeTree } from './whole-tree.ts';

it('has a page for each command, with its subcommands', async () => {
  const pages = new Map(
    manPages(await wholeTree(buildProgram(nowhere())), '2026-01-31').map(({ file, text }) => [file, text]),
  );
  expect(pages.get('spanmesh.1')).toMatch(/^\.TH SPANMESH 1 "2026-01-31" "spanmesh /);
  expect(pages.get('spanmesh.1')).toContain('.BR spanmesh\\-nodes (1)');
  expect(pages.get('spanmesh-volconf.1')).toContain('.SH SPANMESH VOLCONF IMPORT\n');
  // With its choices and its default, as in the help.
  expect(pages.get('spanmesh-sim.1')).toContain(
    'what they speak; both: by turns (circuit, linkid, both; default: circuit)',
  );
  expect(pages.get('spanmesh-status.1')).toContain('.SH EXIT STATUS\n.TP\n.B 1\nthere are problems');
  expect(pages.get('spanmesh-run.1')).toContain('.B \\-\\-dmsg\\-listen <value>');
});

it('has no line that groff would take for a request', async () => {
  const requests = new Set(['TH', 'SH', 'SS', 'PP', 'TP', 'B', 'BR']);
  for (const { file, text } of manPages(await wholeTree(buildProgram(nowhere())), '2026-01-31')) {
    for (const line of text.split('\n')) {
      expect(line, file).not.toMatch(/^'/);
      if (line.startsWith('.')) expect(requests, `${file}: ${line}`).toContain(/^\.([A-Z]+)/.exec(line)?.[1]);
    }
  }
});
