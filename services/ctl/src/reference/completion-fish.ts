import type { CommandInfo } from './command-tree.ts';
import { commandWords } from './completion-words.ts';

/** A text in single quotes, for fish. */
function quotedForFish(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** The script for fish: `spanmesh completion fish | source`, or a file in its completions. */
export function fishCompletion(tree: CommandInfo): string {
  const all = commandWords(tree);
  const takers = all.flatMap(({ path, options }) =>
    options.filter(({ value }) => value !== null).map(({ name }) => quotedForFish(`${path} ${name}`)),
  );
  const lines = all.flatMap(({ path, commands, options, takesFile }) => {
    const here = `complete -c spanmesh -n ${quotedForFish(`__spanmesh_at ${path}`)}`;
    return [
      ...commands.map(
        ({ name, description }) => `${here} -f -a ${quotedForFish(name)} -d ${quotedForFish(description)}`,
      ),
      ...options.map(({ name, description, value }) => {
        const flag = name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`;
        const takes =
          value === null
            ? ''
            : value === 'file'
              ? ' -r -F'
              : value === 'any'
                ? ' -x'
                : ` -x -a ${quotedForFish(value.choices.join(' '))}`;
        return `${here} ${flag}${takes} -d ${quotedForFish(description)}`;
      }),
      ...(takesFile ? [`${here} -F`] : []),
    ];
  });
  return `# Completion for spanmesh, of fish. Made by \`spanmesh completion fish\`.
set -g __spanmesh_commands ${all
    .slice(1)
    .map(({ path }) => quotedForFish(path))
    .join(' ')}
set -g __spanmesh_values ${takers.join(' ')}
function __spanmesh_at
    set -l at spanmesh
    set -l skip 0
    for word in (commandline -opc)[2..]
        if test $skip = 1
            set skip 0
        else if contains -- "$at $word" $__spanmesh_values
            set skip 1
        else if contains -- "$at $word" $__spanmesh_commands
            set at "$at $word"
        end
    end
    test "$at" = "$argv"
end
complete -c spanmesh -f
${lines.join('\n')}
`;
}
