import { vi } from 'vitest';

// As where Node is not inside as we expect: every socket goes the public way.
vi.mock('./node-socket.ts', () => ({ descriptorOf: () => -1, reopen: () => null }));
