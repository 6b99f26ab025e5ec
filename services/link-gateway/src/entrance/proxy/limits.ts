/**
 * Largest PROXY header in bytes: addresses and what balancers add, names of certificates included; the format allows 64
 * KiB.
 */
export const MAX_PROXY_HEADER_BYTES = 4096;
