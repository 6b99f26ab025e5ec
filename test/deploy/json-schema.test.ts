import { describe, expect, it } from 'vitest';
import { problemsOf, type Schemas } from './json-schema.ts';

const schemas: Schemas = {
  $defs: {
    Port: { type: ['number', 'string'] },
    Pod: {
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: {
        name: { type: 'string' },
        policy: { type: 'string', enum: ['Always', 'Never'] },
        ports: { type: 'array', items: { $ref: '#/$defs/Port' } },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        anything: {},
        broken: { $ref: '#/$defs/Missing' },
      },
    },
  },
};

describe('problemsOf', () => {
  it('finds no problem in a valid object', () => {
    const pod = { name: 'a', policy: 'Never', ports: [1, 'http'], labels: { b: 'c' }, anything: [null] };
    expect(problemsOf(pod, 'Pod', schemas)).toEqual([]);
  });

  it.each([
    [[], ': is array, must be object'],
    [{}, ': name is missing'],
    [{ name: 1 }, '.name: is number, must be string'],
    [{ name: null }, '.name: is null, must be string'],
    [{ name: 'a', nmae: 'a' }, ': nmae is not known'],
    [{ name: 'a', policy: 'Sometimes' }, '.policy: is "Sometimes", must be one of Always, Never'],
    [{ name: 'a', ports: [1, true] }, '.ports[1]: is boolean, must be number or string'],
    [{ name: 'a', labels: { b: 1 } }, '.labels.b: is number, must be string'],
    [{ name: 'a', broken: 1 }, '.broken: there is no #/$defs/Missing'],
  ])('finds the problem of %j', (pod, problem) => {
    expect(problemsOf(pod, 'Pod', schemas)).toEqual([problem]);
  });
});
