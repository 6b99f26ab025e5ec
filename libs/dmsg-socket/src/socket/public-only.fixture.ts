import { vi } from 'vitest';

// Simulates a Node whose internals are not as expected: every socket uses the public interface only.
vi.mock('./node-socket.ts', () => ({ descriptorOf: () => -1, reopen: () => null }));
