import type { Writable } from 'node:stream';
import type { OutputFormat } from '../api-options.ts';
import { write } from '../terminal.ts';
import { writeJson, writeJsonLine } from './json.ts';

/** Output formats for programs. */
export type DocumentFormat = 'json' | 'yaml';

export function isDocument(output: OutputFormat): output is DocumentFormat {
  return output === 'json' || output === 'yaml';
}

/** Prints one document. */
export async function writeDocument(output: DocumentFormat, out: Writable, document: unknown): Promise<void> {
  if (output === 'json') return writeJson(out, document);
  // The YAML library is loaded only by commands that need it.
  const { yamlText } = await import('./yaml.ts');
  await write(out, yamlText(document));
}

/** Prints one of many documents: JSON on a line of its own, YAML behind `---`. */
export async function writeDocumentOfStream(output: DocumentFormat, out: Writable, document: unknown): Promise<void> {
  if (output === 'json') return writeJsonLine(out, document);
  const { yamlText } = await import('./yaml.ts');
  await write(out, `---\n${yamlText(document)}`);
}
