import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Scope of the project's own packages. In a copy they must be those of the copy. */
const OWN = '@spanmesh';

/** A copy of the committed files, with the packages that are installed for the project. */
export class Scratch {
  readonly root: string;

  constructor() {
    this.root = mkdtempSync(join(tmpdir(), 'mutants-'));
    git('worktree', 'add', '--detach', '--force', this.root, 'HEAD');
    const modules = join(this.root, 'node_modules');
    mkdirSync(join(modules, OWN), { recursive: true });
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      if (name !== OWN) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
    }
    for (const at of ['libs', 'services']) {
      for (const name of readdirSync(join(this.root, at)))
        symlinkSync(join(this.root, at, name), join(modules, OWN, name));
    }
  }

  read(file: string): string {
    return readFileSync(join(this.root, file), 'utf8');
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.root, file)), { recursive: true });
    writeFileSync(join(this.root, file), text);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
    git('worktree', 'prune');
  }
}

function git(...args: string[]): void {
  execFileSync('git', ['-C', ROOT, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}
