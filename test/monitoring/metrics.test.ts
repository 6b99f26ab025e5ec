import { expect, it } from 'vitest';
import { metricsTexts } from '../docs/tables.ts';
import { promtool } from './promtool.ts';

it('every process exposes metrics that promtool accepts without complaint', async () => {
  const texts = await metricsTexts();
  expect(texts.map(([service]) => service)).toEqual(['standalone', 'link-gateway', 'topology', 'volconf']);
  for (const [service, text] of texts) expect(promtool(['check', 'metrics'], text), service).toBe('');
});
