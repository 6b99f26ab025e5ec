import type { CommandInfo } from './command-tree.ts';
import { quotedForShell } from './completion-bash.ts';
import { commandWords } from './completion-words.ts';

/** `name:description`, the format of _describe. */
function described({ name, description }: { readonly name: string; readonly description: string }): string {
  return quotedForShell(`${name.replaceAll(':', '\\:')}:${description}`);
}

/** The script for zsh: `source <(spanmesh completion zsh)`, or a file `_spanmesh` in its fpath. */
export function zshCompletion(tree: CommandInfo): string {
  const all = commandWords(tree);
  const paths = all.slice(1).map(({ path }) => quotedForShell(path));
  const values = all.flatMap(({ path, options }) =>
    options.flatMap(({ name, value }) => {
      if (value === null) return [];
      const reply =
        value === 'any'
          ? ''
          : value === 'file'
            ? '_files; '
            : `compadd -- ${value.choices.map(quotedForShell).join(' ')}; `;
      return [`    ${quotedForShell(`${path} ${name}`)}) ${reply}return ;;`];
    }),
  );
  const takers = all.flatMap(({ path, options }) =>
    options.filter(({ value }) => value !== null).map(({ name }) => quotedForShell(`${path} ${name}`)),
  );
  const words = all.map(
    ({ path, commands, options, takesFile }) => `    ${quotedForShell(path)})
      commands=(${commands.map(described).join(' ')})
      options=(${options.map(described).join(' ')})
      file=${takesFile ? 1 : "''"} ;;`,
  );
  return `#compdef spanmesh
# Completion for spanmesh, of zsh. Made by \`spanmesh completion zsh\`.
_spanmesh() {
  local at=spanmesh file=''
  local -a commands options
  integer i
  for ((i = 2; i < CURRENT; i++)); do
    case "$at $words[i]" in
      # What is behind these is no command.
      ${takers.join('|\\\n      ')}) i=$((i + 1)) ;;
      ${paths.join('|\\\n      ')}) at="$at $words[i]" ;;
    esac
  done
  case "$at $words[CURRENT-1]" in
${values.join('\n')}
  esac
  case "$at" in
${words.join('\n')}
  esac
  if [[ $PREFIX == -* ]]; then
    _describe -o option options
  elif [[ -n $file ]]; then
    _files
  else
    _describe command commands
  fi
}
if [[ $funcstack[1] == _spanmesh ]]; then
  _spanmesh "$@"
else
  compdef _spanmesh spanmesh
fi
`;
}
