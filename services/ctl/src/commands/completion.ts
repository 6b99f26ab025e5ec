import { Argument, type Command } from 'commander';
import { type Terminal, write } from '../terminal.ts';

type Shell = 'bash' | 'zsh' | 'fish';

/** `spanmesh completion SHELL` */
export function addCompletion(program: Command, terminal: Terminal): void {
  program
    .command('completion')
    .description('print a script that completes commands and options: source <(spanmesh completion bash)')
    .addArgument(new Argument('<shell>', 'whose script').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: Shell) => {
      const [{ wholeTree }, make] = await Promise.all([import('../reference/whole-tree.ts'), SCRIPTS[shell]()]);
      await write(terminal.out, make(await wholeTree(program)));
    });
}

const SCRIPTS = {
  bash: async () => (await import('../reference/completion-bash.ts')).bashCompletion,
  zsh: async () => (await import('../reference/completion-zsh.ts')).zshCompletion,
  fish: async () => (await import('../reference/completion-fish.ts')).fishCompletion,
} as const;
