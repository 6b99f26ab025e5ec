/** How long a gateway may take to answer about its traffic, ms. After that the answer lists it as silent. */
export const ASK_MS = 2000;
/** How long gateways are asked for one page about traffic, ms. After that the other gateways come in the next page. */
export const PAGE_MS = 3000;
/** Gateways that are asked at a time for one page about traffic. */
export const ASKED_AT_ONCE = 8;
/** How long an unused connection to a gateway's service port is kept, ms. */
export const IDLE_MS = 30_000;
