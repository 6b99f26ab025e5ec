import type { CommandInfo } from './command-tree.ts';
import { type CommandWords, commandWords } from './completion-words.ts';

/** A text in single quotes, for a POSIX shell and zsh. */
export function quotedForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Patterns of a `case`: the command's path with each of the names, as in `'spanmesh nodes --dialect'`. */
function patterns(words: CommandWords, names: readonly string[]): string {
  return names.map((name) => quotedForShell(`${words.path} ${name}`)).join('|');
}

/** The script for bash: `source <(spanmesh completion bash)`, or a file of bash-completion. */
export function bashCompletion(tree: CommandInfo): string {
  const all = commandWords(tree);
  const paths = all.slice(1).map(({ path }) => quotedForShell(path));
  const values = all.flatMap((words) =>
    words.options.flatMap(({ name, value }) => {
      if (value === null) return [];
      const reply = value === 'any' ? '' : value === 'file' ? '-f' : `-W ${quotedForShell(value.choices.join(' '))}`;
      const fill = reply === '' ? '' : `mapfile -t COMPREPLY < <(compgen ${reply} -- "$cur"); `;
      return [`    ${patterns(words, [name])}) ${fill}return ;;`];
    }),
  );
  const takers = all.flatMap((words) => {
    const names = words.options.filter(({ value }) => value !== null).map(({ name }) => name);
    return names.length === 0 ? [] : [patterns(words, names)];
  });
  const words = all.map(({ path, commands, options, takesFile }) => {
    const names = [...commands.map(({ name }) => name), ...(path === 'spanmesh' ? ['help'] : [])].join(' ');
    const flags = options.map(({ name }) => name).join(' ');
    return `    ${quotedForShell(path)}) commands=${quotedForShell(names)} options=${quotedForShell(flags)} file=${takesFile ? 1 : ''} ;;`;
  });
  return `# Completion for spanmesh, of bash. Made by \`spanmesh completion bash\`.
_spanmesh() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path=spanmesh commands='' options='' file='' i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in
      # What is behind these is no command.
      ${takers.join('|\\\n      ')}) i=$((i + 1)) ;;
      ${paths.join('|\\\n      ')}) path="$path \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path $prev" in
${values.join('\n')}
  esac
  case "$path" in
${words.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
  elif [[ -n $file ]]; then
    mapfile -t COMPREPLY < <(compgen -f -- "$cur")
  else
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
  fi
}
complete -o filenames -F _spanmesh spanmesh
`;
}
