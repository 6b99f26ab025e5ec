// Makes test/data/kubernetes/*.json from the declarations of the npm package kubernetes-models and those beside it:
//  node test/deploy/make-schemas.ts OUT DIRECTORY... -- NAME...
// OUT gets the JSON Schemas of the named objects (IoK8sApiAppsV1Deployment) and of all types that they refer to. If two
// directories declare the same type, the first one counts. README.md in test/data/kubernetes contains the arguments
// that were used.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Schema } from './json-schema.ts';

const PREFIX = 'I';

/** A TypeScript type expression of the declarations as JSON Schema; names of other types become references. */
function schemaOf(expression: string, inside: ReadonlyMap<string, Schema>): Schema {
  const text = expression.trim();
  const array = /^Array<(.+)>$/s.exec(text);
  if (array !== null) return { type: 'array', items: schemaOf(array[1]!, inside) };
  const map = /^\{\s*\[key: string\]: (.+?);?\s*\}$/s.exec(text);
  if (map !== null) return { type: 'object', additionalProperties: schemaOf(map[1]!, inside) };
  if (/^"[^"]*"( \| "[^"]*")*$/.test(text)) {
    return { type: 'string', enum: text.split(' | ').map((word) => JSON.parse(word) as string) };
  }
  if (/^\w+( \| \w+)+$/.test(text)) {
    return { type: text.split(' | ').sort() as Schema['type'] };
  }
  if (['string', 'number', 'boolean'].includes(text)) return { type: text as 'string' };
  if (['unknown', 'any', '{}', 'object'].includes(text)) return {};
  if (text.startsWith('{')) return objectOf(text.slice(1, -1), inside);
  const literal = /^(\w+)\["(\w+)"\]$/.exec(text);
  if (literal !== null) return inside.get(`${literal[1]}.${literal[2]}`) ?? { type: 'string' };
  return { $ref: `#/$defs/${text.replace(PREFIX, '')}` };
}

/** The members of an object type, whose comments have been removed. */
function objectOf(body: string, inside: ReadonlyMap<string, Schema>): Schema {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  let rest = body;
  for (;;) {
    const head = /^\s*"?([^"\s?:[]+)"?(\??): /.exec(rest);
    if (head === null) break;
    rest = rest.slice(head[0].length);
    const end = endOfType(rest);
    properties[head[1]!] = schemaOf(rest.slice(0, end), inside);
    if (head[2] === '') required.push(head[1]!);
    rest = rest.slice(end + 1);
  }
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}), additionalProperties: false };
}

/** The position of the semicolon that ends a type, outside of braces. */
function endOfType(text: string): number {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}') depth--;
    else if (text[i] === ';' && depth === 0) return i;
  }
  return text.length;
}

/** All types that a file declares, by their full names. */
function* declared(source: string): Generator<[string, Schema]> {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '');
  const inside = new Map<string, Schema>();
  for (const [, member, value] of code.matchAll(/static (apiVersion|kind): ("[^"]+");/g)) {
    for (const [, name] of code.matchAll(/export declare class (\w+)/g)) {
      inside.set(`${name}.${member}`, schemaOf(value!, inside));
    }
  }
  const full = (name: string) =>
    (new RegExp(`\\b${name} as (I(?:Io|Com)\\w+)`).exec(code)?.[1] ?? name).replace(PREFIX, '');
  for (const found of code.matchAll(/export interface (I\w+)(?: extends (\w+))?[^{]*\{/g)) {
    const [head, name, base] = found;
    const from = found.index + head.length;
    const object = objectOf(code.slice(from, closing(code, from)), inside);
    // The members of TypeMeta, apiVersion and kind, are declared by every object itself.
    const extended = base === undefined || base === 'TypeMeta' ? {} : { $ref: `#/$defs/${base.replace(PREFIX, '')}` };
    yield [full(name!), { ...object, ...extended }];
  }
  for (const [, name, type] of code.matchAll(/export (?:declare )?type (I\w+) = ([^;]+(?:\{[^}]*\})?);/g)) {
    if (!type!.startsWith(PREFIX)) yield [full(name!), schemaOf(type!, inside)];
  }
}

function closing(code: string, from: number): number {
  let depth = 1;
  for (let i = from; ; i++) {
    if (code[i] === '{') depth++;
    else if (code[i] === '}' && --depth === 0) return i;
  }
}

/** An object type with the members of the type that it extends. */
function merged({ $ref, ...own }: Schema, all: ReadonlyMap<string, Schema>): Schema {
  const base = all.get($ref!.replace('#/$defs/', ''));
  if (base === undefined) throw new Error(`${$ref} is not declared`);
  const required = [...(base.required ?? []), ...(own.required ?? [])];
  return {
    ...own,
    properties: { ...base.properties, ...own.properties },
    ...(required.length > 0 ? { required } : {}),
  };
}

/** The names that a schema refers to. */
function references(schema: Schema): string[] {
  return [...JSON.stringify(schema).matchAll(/"#\/\$defs\/(\w+)"/g)].map(([, name]) => name!);
}

function main([out, ...args]: string[]): void {
  const split = args.indexOf('--');
  const all = new Map<string, Schema>();
  for (const directory of args.slice(0, split)) {
    for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.d.ts') || name.includes('_schemas')) continue;
      for (const [type, schema] of declared(readFileSync(join(directory, name), 'utf8'))) {
        if (!all.has(type)) all.set(type, schema);
      }
    }
  }
  const wanted = args.slice(split + 1);
  const kept = new Map<string, Schema>();
  for (const name of wanted) {
    if (kept.has(name)) continue;
    const declaration = all.get(name);
    const extending = declaration?.$ref !== undefined && declaration.properties !== undefined;
    const schema = extending ? merged(declaration, all) : declaration;
    // A type of a package that is not installed accepts any value.
    if (schema === undefined) console.warn(`${name} is not declared`);
    kept.set(name, schema ?? {});
    if (schema === undefined) continue;
    wanted.push(...references(schema));
  }
  const $defs = Object.fromEntries([...kept].sort(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(out!, `${JSON.stringify({ $defs }, null, 1)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) main(process.argv.slice(2));
