import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { check } from './main.ts';

const LISTEN = {
  '--grpc-listen': '127.0.0.1:0',
  '--service-listen': '127.0.0.1:0',
  '--http-listen': '127.0.0.1:0',
  '--console-listen': '',
};

it('checks the settings, and the files that they name', async () => {
  await check(LISTEN);
  await expect(check({ ...LISTEN, '--grpc-listen': 'nowhere' })).rejects.toThrow('--grpc-listen');
  await expect(check({ ...LISTEN, '--api-tokens-file': '/nowhere' })).rejects.toThrow('there is no such file');
});

it('runs until it is told to stop', async () => {
  const code = `import(${JSON.stringify(import.meta.resolve('./main.ts'))}).then(({ run }) => run(${JSON.stringify(LISTEN)}))`;
  const child = spawn(process.execPath, ['--eval', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stdout) {
    said += chunk;
    if (!child.killed && said.includes('"topology is listening"')) child.kill('SIGTERM');
  }
  expect(await ended).toEqual([0, null]);
  expect(said).toContain('"topology is listening"');
});
