import { parseSync } from '@swc/core';

/** One possible change of a source. */
export interface Mutation {
  /** What kind of change: `boundary`, `negate`, … */
  readonly kind: string;
  /** Start of the replaced text, in bytes of the source's UTF-8, from 0. */
  readonly start: number;
  readonly end: number;
  readonly replace: string;
  /** Line number, from 1. */
  readonly line: number;
  /** The replaced text, shortened. */
  readonly find: string;
}

interface Node {
  readonly type: string;
  readonly span: { readonly start: number; readonly end: number };
  readonly [key: string]: unknown;
}

/** Operators, with the kind of change and the operator that replaces each. */
const OPERATORS: Readonly<Record<string, readonly [kind: string, operator: string]>> = {
  '<': ['boundary', '<='],
  '<=': ['boundary', '<'],
  '>': ['boundary', '>='],
  '>=': ['boundary', '>'],
  '===': ['negate', '!=='],
  '!==': ['negate', '==='],
  '+': ['arithmetic', '-'],
  '-': ['arithmetic', '+'],
  '*': ['arithmetic', '/'],
  '/': ['arithmetic', '*'],
};
/** Nodes that do not affect what a program does: imports and types. */
const SKIPPED = /^(Import|Ts|Export(All|Named))/;
/** Nodes that contain a value besides a type, which is changed: `x as T`, `x!`. */
const WITH_VALUE = /^Ts(As|Const|NonNull|Satisfies)/;
/** Calls that only write to the log. */
const LOGS = /\b(logger|log|#logger|#log)\b[^(]*\.(trace|debug|info|warn|error)\(/;
const SHOWN_CHARS = 80;

/** All changes of a source, in the order of the source, which is TypeScript. */
export function mutationsOf(source: string): Mutation[] {
  const bytes = Buffer.from(source);
  const module = parseSync(source, { syntax: 'typescript', target: 'es2024' }) as unknown as Node;
  const found: Mutation[] = [];
  // The parser's positions begin with 1.
  const at = (offset: number): number => offset - 1;
  const text = (node: Node): string => bytes.subarray(at(node.span.start), at(node.span.end)).toString();
  const add = (kind: string, node: Node, replace: string): void => {
    const start = at(node.span.start);
    const line = bytes.subarray(0, start).toString().split('\n').length;
    found.push({
      kind,
      start,
      end: at(node.span.end),
      replace,
      line,
      find: text(node).replace(/\s+/g, ' ').slice(0, SHOWN_CHARS),
    });
  };
  walk(module, (node) => mutate(node, text, add));
  return found.sort((a, b) => a.start - b.start || a.end - b.end || (a.replace < b.replace ? -1 : 1));
}

/** The source with the change applied. */
export function withMutation(source: string, { start, end, replace }: Mutation): string {
  const bytes = Buffer.from(source);
  return Buffer.concat([bytes.subarray(0, start), Buffer.from(replace), bytes.subarray(end)]).toString();
}

/**
 * Visits nodes, outer ones first. Functions, arguments and elements are wrapped in objects that are not nodes
 * themselves.
 */
function walk(value: unknown, visit: (node: Node) => boolean): void {
  if (Array.isArray(value)) {
    for (const one of value) walk(one, visit);
    return;
  }
  if (!isObject(value)) return;
  if (isNode(value) && ((SKIPPED.test(value.type) && !WITH_VALUE.test(value.type)) || !visit(value))) return;
  for (const child of Object.values(value)) walk(child, visit);
}

/** Adds the changes of one node. False: nothing inside the node may be changed. */
function mutate(
  node: Node,
  text: (node: Node) => string,
  add: (kind: string, node: Node, replace: string) => void,
): boolean {
  switch (node.type) {
    case 'IfStatement':
    case 'ConditionalExpression':
    case 'WhileStatement': {
      const test = node.test as Node;
      add('condition', test, 'false');
      // An endless loop would only show that the loop ends.
      if (node.type !== 'WhileStatement') add('condition', test, 'true');
      return true;
    }
    case 'BinaryExpression': {
      const left = node.left as Node;
      const right = node.right as Node;
      const operator = String(node.operator);
      if (['&&', '||', '??'].includes(operator)) {
        add('logic', node, `(${text(left)})`);
        add('logic', node, `(${text(right)})`);
        return true;
      }
      const change = OPERATORS[operator];
      const isText = /Template|StringLiteral/.test(left.type + right.type);
      if (change !== undefined && !isText) add(change[0], node, `(${text(left)}) ${change[1]} (${text(right)})`);
      return true;
    }
    case 'ExpressionStatement': {
      const statement = text(node);
      if (LOGS.test(statement)) return false;
      const { type } = node.expression as Node;
      const isCall = /^(Call|Await|OptionalChaining)Expression/.test(type);
      if (isCall && !statement.startsWith('super(')) add('call', node, ';');
      else if (type === 'AssignmentExpression') add('assignment', node, ';');
      else if (type === 'UpdateExpression') add('update', node, ';');
      return true;
    }
    case 'ReturnStatement':
      if (isNode(node.argument) && !/Literal$/.test(node.argument.type) && text(node.argument) !== 'undefined') {
        add('return', node.argument, 'undefined');
      }
      return true;
    case 'BreakStatement':
    case 'ContinueStatement':
      add('jump', node, ';');
      return true;
    case 'BooleanLiteral':
      add('constant', node, String(node.value !== true));
      return true;
    case 'NumericLiteral':
      add('constant', node, `(${text(node)} + 1)`);
      return true;
    case 'MemberExpression':
      if (/^Math\.(min|max)$/.test(text(node)))
        add('min-max', node, text(node) === 'Math.min' ? 'Math.max' : 'Math.min');
      return true;
    // The text of an error is for people, so its parts are not changed.
    case 'ThrowStatement':
      add('throw', node, ';');
      return false;
    default:
      return true;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isNode(value: unknown): value is Node {
  return isObject(value) && typeof value.type === 'string' && isObject(value.span);
}
