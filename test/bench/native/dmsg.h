/* Messages of the protocol (docs/protocol.md, "Message"), as far as the floor and the load generator need them. */
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
  MAGIC = 0x4832,
  UNIT = 64,
  LNK_CONN_CIRCUIT = 0x1106,
  LNK_CONN_LINKID = 0x1108,
  LNK_SPAN = 0x1207,
  LNK_ERROR = 0xfff01,
  BLK_READ = 0x500302,
  BASE = 0xffffff,
  MAX_MESSAGE = 2048 + (1 << 20)
};
#define CREATE 0x80000000u
#define DELETE 0x40000000u
#define REPLY 0x20000000u
#define REVTRANS 0x08000000u
#define REVCIRC 0x04000000u

/* The core header. `at16` and `at24`: circuit and verifier, or, linkid, source and target. */
struct header {
  uint16_t magic, reserved;
  uint32_t salt;
  uint64_t msgid, at16, at24;
  uint32_t cmd, aux_crc, aux_bytes, error;
  uint64_t aux_descr;
  uint32_t reserved2, hdr_crc;
};

static inline void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "unexpected");
  exit(1);
}

static uint32_t crc_tables[8][256];

static inline void make_crc_tables(void) {
  for (int n = 0; n < 256; n++) {
    uint32_t c = (uint32_t)n;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
    crc_tables[0][n] = c;
  }
  for (int k = 1; k < 8; k++)
    for (int n = 0; n < 256; n++) crc_tables[k][n] = crc_tables[k - 1][n] >> 8 ^ crc_tables[0][crc_tables[k - 1][n] & 255];
}

/* CRC-32C, by the processor's instruction where the compiler may use it. */
static inline uint32_t crc32c(const void *data, size_t bytes) {
  const uint8_t *at = data;
  uint64_t c = 0xffffffffu;
  for (; bytes >= 8; bytes -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, 8);
#ifdef __SSE4_2__
    c = __builtin_ia32_crc32di(c, word);
#else
    word ^= c;
    c = 0;
    for (int k = 0; k < 8; k++) c ^= crc_tables[7 - k][word >> (8 * k) & 255];
#endif
  }
  for (; bytes > 0; bytes--) c = c >> 8 ^ crc_tables[0][(c ^ *at++) & 255];
  return (uint32_t)c ^ 0xffffffffu;
}

static inline size_t padded(size_t bytes) { return (bytes + UNIT - 1) / UNIT * UNIT; }
static inline size_t head_bytes(const struct header *h) { return (h->cmd & 255) * UNIT; }

static inline void seal(struct header *h) {
  h->hdr_crc = 0;
  h->hdr_crc = crc32c(h, head_bytes(h));
}

/* A buffer with the bytes [begin, end) in it. */
struct bytes {
  uint8_t *buf;
  size_t begin, end, capacity;
};

static inline void make_room(struct bytes *b, size_t more) {
  if (b->begin == b->end) b->begin = b->end = 0;
  if (b->end + more <= b->capacity) return;
  memmove(b->buf, b->buf + b->begin, b->end - b->begin);
  b->end -= b->begin;
  b->begin = 0;
  if (b->end + more <= b->capacity) return;
  b->capacity = 2 * (b->end + more);
  b->buf = realloc(b->buf, b->capacity);
  if (b->buf == NULL) fail("memory");
}

/* The next whole message; NULL: more bytes must come. Only its magic and its sizes are checked. */
static inline struct header *next_message(struct bytes *in, int linkid, size_t *aux) {
  size_t have = in->end - in->begin;
  struct header *h = (struct header *)(in->buf + in->begin);
  if (have < sizeof *h) return NULL;
  if (h->magic != MAGIC) fail("magic");
  *aux = linkid ? h->aux_bytes * (size_t)UNIT : padded(h->aux_bytes);
  if (head_bytes(h) == 0 || head_bytes(h) + *aux > MAX_MESSAGE) fail("size");
  if (have < head_bytes(h) + *aux) return NULL;
  in->begin += head_bytes(h) + *aux;
  return h;
}

static inline struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static inline void no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}
