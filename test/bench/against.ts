import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { HERE } from './rounds.ts';

const run = promisify(execFile);

/** The code that measures, and the waiting that it uses. */
const MEASURES = ['test/bench', 'libs/runtime/src/patience.fixture.ts'];

/** npm's arguments to install what services need, and nothing else: no development packages, and no scripts. */
const ONLY_SERVICES = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];

/** The commit to compare with cannot be checked out. */
export class RevisionError extends Error {}

/**
 * Checks a commit out beside this one, but with the measuring code of this one, so that both are measured alike.
 * Packages are linked from here if the lock files are equal, and installed otherwise (`services`: only what services
 * need). Call `remove` at the end.
 * @throws RevisionError
 */
export async function checkOut(
  revision: string,
  { packages = 'all' }: { readonly packages?: 'all' | 'services' } = {},
): Promise<{ tree: string; remove: () => Promise<void> }> {
  const git = (...args: string[]) => run('git', ['-C', HERE, ...args]);
  await git('cat-file', '-e', `${revision}^{commit}`).catch((cause: unknown) => {
    const how = 'a shallow clone lacks it until `git fetch --unshallow`';
    throw new RevisionError(`${revision} is not in the history of this checkout: ${how}`, { cause });
  });
  const directory = await mkdtemp(join(tmpdir(), 'spanmesh-against-'));
  const tree = join(directory, 'tree');
  const remove = async () => {
    await git('worktree', 'remove', '--force', tree).catch(() => {});
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await git('worktree', 'add', '--detach', tree, revision);
    if ((await lockOf(tree)) === (await lockOf(HERE))) await linkPackages(tree);
    else await run('npm', ['ci', ...(packages === 'all' ? [] : ONLY_SERVICES)], { cwd: tree });
    for (const path of MEASURES) await cp(join(HERE, path), join(tree, path), { recursive: true });
    return { tree, remove };
  } catch (cause) {
    await remove();
    throw new RevisionError(`cannot check ${revision} out: ${cause instanceof Error ? cause.message : cause}`, {
      cause,
    });
  }
}

function lockOf(tree: string): Promise<string> {
  return readFile(join(tree, 'package-lock.json'), 'utf8');
}

/** Links all packages except our own, which the tree has itself: in node_modules those are symbolic links. */
async function linkPackages(tree: string): Promise<void> {
  await link('node_modules', 2);

  async function link(directory: string, depth: number): Promise<void> {
    await mkdir(join(tree, directory));
    for (const name of await readdir(join(HERE, directory))) {
      const path = join(directory, name);
      const isScope = name.startsWith('@') && depth === 2;
      if (isScope) await link(path, 1);
      else if ((await lstat(join(HERE, path))).isSymbolicLink())
        await cp(join(HERE, path), join(tree, path), { verbatimSymlinks: true });
      else await symlink(join(HERE, path), join(tree, path));
    }
  }
}
