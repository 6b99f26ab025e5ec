import { readFileSync } from 'node:fs';

interface Manifest {
  readonly scripts: Readonly<Record<'start', string>>;
}

const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest;

/** The options of Node that a service is started with (docs/decisions/017-options-of-node.md): those of `npm start`. */
export const START_OPTIONS: readonly string[] = optionsOfNode(scripts.start);

/** The options between `node` and the program in a command line. */
export function optionsOfNode(command: string): string[] {
  const [, options] = /(?:^|\/)node ((?:--\S+ )*)\S/.exec(command) ?? [];
  return (
    options
      ?.trim()
      .split(' ')
      .filter((option) => option !== '') ?? []
  );
}
