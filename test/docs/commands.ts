import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One command of a ```sh block. */
export interface DocCommand {
  /** File and line, for messages. */
  readonly where: string;
  readonly command: string;
}

/** README.md and all documents in docs/, as paths relative to the root. */
export function documents(root: string): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  return [
    'README.md',
    'CONTRIBUTING.md',
    ...docs
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name))
      .sort(),
  ];
}

/**
 * The commands of a document: every line of its ```sh blocks, without comments; continuation lines (ending in a
 * backslash) are joined. Commands that must not be run are in blocks of another kind (```text, ```console).
 */
export function commandsOf(root: string, document: string): DocCommand[] {
  const commands: DocCommand[] = [];
  let inside = false;
  let pending = '';
  for (const [n, line] of readFileSync(join(root, document), 'utf8').split('\n').entries()) {
    if (line.startsWith('```')) {
      inside = !inside && line.trim() === '```sh';
      continue;
    }
    if (!inside) continue;
    const text = pending + line.replace(/\s+#\s.*$/, '').trim();
    pending = '';
    if (text === '' || text.startsWith('#')) continue;
    if (text.endsWith('\\')) pending = text.slice(0, -1);
    else commands.push({ where: `${document}:${n + 1}`, command: text });
  }
  return commands;
}
