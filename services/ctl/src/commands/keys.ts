import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';

const DIRECTORY = 'the keys directory; otherwise SPANMESH_KEYS_DIR';

/** `spanmesh keys init|check` */
export function addKeys(program: Command, terminal: Terminal): void {
  const keys = program.command('keys').description('keys of this host and of its DMSG peers (docs/security.md)');
  keys
    .command('init')
    .description(
      'make a key pair for this host, readable for its owner only, and remote/ for keys of peers; nothing is overwritten',
    )
    .argument('[dir]', DIRECTORY)
    .action(async (directory: string | undefined) => {
      const [{ initKeys }, { keysDirectory }] = await Promise.all([
        import('../keys/init.ts'),
        import('../keys/keys-directory.ts'),
      ]);
      await initKeys(keysDirectory(directory, terminal), terminal);
    });
  keys
    .command('check')
    .description('say what a peer at an address gets, encrypted, plaintext or refused, and which file decides it')
    .argument('<address>', 'numeric address of the peer')
    .argument('[dir]', DIRECTORY)
    .action(async (address: string, directory: string | undefined) => {
      const [{ checkKeys }, { keysDirectory }] = await Promise.all([
        import('../keys/check.ts'),
        import('../keys/keys-directory.ts'),
      ]);
      await checkKeys(address, keysDirectory(directory, terminal), terminal);
    });
}
