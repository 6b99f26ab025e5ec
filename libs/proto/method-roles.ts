/**
 * A part of `npm run proto:generate`: writes gen/method-roles.ts, the role that each method of the API asks of its
 * caller (options.proto), so that no process has to read descriptors for it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createFileRegistry, fromBinary, getOption } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { DESCRIPTORS } from './src/descriptors.ts';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(DESCRIPTORS)));
const option = registry.getExtension('spanmesh.v1.role');
const names = registry.getEnum('spanmesh.v1.ApiRole');
if (option === undefined || names === undefined) throw new Error('options.proto has no roles');

const lines: string[] = [];
const operate: string[] = [];
for (const type of registry) {
  if (type.kind !== 'service') continue;
  for (const method of type.methods) {
    const name = names.value[Number(getOption(method, option))]?.localName;
    if (name === undefined || name === 'UNSPECIFIED') continue;
    const path = `/${type.typeName}/${method.name}`;
    lines.push(`  '${path}': '${name.toLowerCase()}',`);
    if (name === 'OPERATE') operate.push(`  | '${path}'`);
  }
}
const text = [
  '// Made by libs/proto/method-roles.ts from the option `role` in proto/.',
  '',
  '/** What each method of the API asks of its caller, by its path. Methods between services are not here. */',
  'export const METHOD_ROLES: Readonly<Record<string, "read" | "operate">> = {',
  ...lines.sort(),
  '};',
  '',
  '/** The paths of those that ask for `operate`. */',
  'export type OperateMethod =',
  `${operate.sort().join('\n')};`,
  '',
].join('\n');
writeFileSync(new URL('gen/method-roles.ts', import.meta.url), text);
