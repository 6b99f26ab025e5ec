/** How long a gateway may take to answer about its traffic, ms: past it the answer says that it is missing. */
export const ASK_MS = 2000;
/** How long a page about traffic is added to, ms: past it the rest of the gateways come in the next one. */
export const PAGE_MS = 3000;
/** Gateways that are asked at a time for one page about traffic. */
export const ASKED_AT_ONCE = 8;
/** How long a connection to a gateway is kept that nobody asks about its traffic, ms. */
export const IDLE_MS = 30_000;
