type TypeName = 'string' | 'number' | 'boolean' | 'array' | 'object';

/** The part of JSON Schema that the descriptions of Kubernetes objects use. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: TypeName | readonly TypeName[];
  readonly enum?: readonly string[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** false: only the named properties are allowed; a schema: that of all other properties. */
  readonly additionalProperties?: false | Schema;
}

/** A file of schemas that refer to each other. */
export interface Schemas {
  readonly $defs: Readonly<Record<string, Schema>>;
}

/** The problems of a value, one line each with the path; empty: it is valid. */
export function problemsOf(value: unknown, name: string, schemas: Schemas): string[] {
  const problems: string[] = [];
  check(value, { $ref: `#/$defs/${name}` }, '', schemas, problems);
  return problems;
}

function check(value: unknown, schema: Schema, path: string, schemas: Schemas, problems: string[]): void {
  if (schema.$ref !== undefined) {
    const found = schemas.$defs[schema.$ref.replace('#/$defs/', '')];
    if (found === undefined) problems.push(`${path}: there is no ${schema.$ref}`);
    else check(value, found, path, schemas, problems);
    return;
  }
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const actual = typeName(value);
  if (types.length > 0 && !types.includes(actual as TypeName)) {
    problems.push(`${path}: is ${actual}, must be ${types.join(' or ')}`);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value as string)) {
    problems.push(`${path}: is ${JSON.stringify(value)}, must be one of ${schema.enum.join(', ')}`);
  }
  if (schema.items !== undefined) {
    for (const [i, item] of (value as unknown[]).entries()) {
      check(item, schema.items, `${path}[${i}]`, schemas, problems);
    }
  }
  if (actual === 'object') checkObject(value as Record<string, unknown>, schema, path, schemas, problems);
}

function checkObject(
  value: Record<string, unknown>,
  { properties = {}, required = [], additionalProperties }: Schema,
  path: string,
  schemas: Schemas,
  problems: string[],
): void {
  for (const name of required) {
    if (!(name in value)) problems.push(`${path}: ${name} is missing`);
  }
  for (const [name, member] of Object.entries(value)) {
    const own = properties[name] ?? additionalProperties;
    if (own === false) problems.push(`${path}: ${name} is not known`);
    else if (own !== undefined) check(member, own, `${path}.${name}`, schemas, problems);
  }
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}
