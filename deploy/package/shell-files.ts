import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { buildProgram } from '../../services/ctl/src/program.ts';
import { bashCompletion } from '../../services/ctl/src/reference/completion-bash.ts';
import { fishCompletion } from '../../services/ctl/src/reference/completion-fish.ts';
import { zshCompletion } from '../../services/ctl/src/reference/completion-zsh.ts';
import { manPages } from '../../services/ctl/src/reference/man-pages.ts';
import { nowhere } from '../../services/ctl/src/reference/nowhere.ts';
import { wholeTree } from '../../services/ctl/src/reference/whole-tree.ts';

/**
 * The day of the commit, or of SOURCE_DATE_EPOCH, so that packing the same twice gives the same. Empty if neither is
 * known.
 */
function dateOfSource(): string {
  const { SOURCE_DATE_EPOCH: given } = process.env;
  const seconds =
    given ?? spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: import.meta.dirname, encoding: 'utf8' }).stdout;
  return /^\d+\s*$/.test(seconds ?? '') ? new Date(Number(seconds) * 1000).toISOString().slice(0, 10) : '';
}

/**
 * Writes the man pages and the completions below `root`, where Debian's man and shells look for them. Compressed
 * without names and times, so that the result is always the same.
 */
export async function shellFilesForDebian(root: string): Promise<void> {
  const tree = await wholeTree(buildProgram(nowhere()));
  const files: (readonly [string, string | Buffer])[] = [
    ['usr/share/bash-completion/completions/spanmesh', bashCompletion(tree)],
    ['usr/share/zsh/vendor-completions/_spanmesh', zshCompletion(tree)],
    ['usr/share/fish/vendor_completions.d/spanmesh.fish', fishCompletion(tree)],
    ...manPages(tree, dateOfSource()).map(
      ({ file, text }) => [`usr/share/man/man1/${file}.gz`, gzipSync(text, { level: 9 })] as const,
    ),
  ];
  for (const [path, content] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** Writes the man pages into `man` of an npm package. @returns their paths, for its manifest */
export async function manPagesForNpm(directory: string): Promise<string[]> {
  mkdirSync(join(directory, 'man'), { recursive: true });
  return manPages(await wholeTree(buildProgram(nowhere())), dateOfSource()).map(({ file, text }) => {
    writeFileSync(join(directory, 'man', file), text);
    return `man/${file}`;
  });
}
