/** For `vi.waitFor` and `vi.waitUntil`: only what hangs takes so long, on a machine that is busy with other things, too. */
export const PATIENCE = { timeout: 60_000 };
