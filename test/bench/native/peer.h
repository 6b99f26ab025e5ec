/* Peers of the load generators: they speak first, in plaintext, and answer what a router opens. */
#pragma once
#include "dmsg.h"
#include <time.h>

struct peer {
  int fd, linkid;
  uint32_t sent;
  struct bytes in, out;
};

static uint8_t aux_data[1 << 20];

static inline double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static inline void say(struct peer *p, uint32_t cmd, uint64_t msgid, uint64_t at16, uint64_t at24, const uint8_t *payload, size_t bytes, size_t aux) {
  static __thread size_t summed;
  static __thread uint32_t sum;
  size_t head = (cmd & 255) * UNIT, whole = head + padded(aux);
  make_room(&p->out, whole);
  struct header *h = (struct header *)(p->out.buf + p->out.end);
  memset(h, 0, head);
  h->magic = MAGIC;
  h->salt = p->sent++ & 255;
  h->msgid = msgid;
  h->at16 = at16;
  h->at24 = at24;
  h->cmd = cmd;
  h->aux_bytes = (uint32_t)(p->linkid ? padded(aux) / UNIT : aux);
  if (aux > 0) {
    if (summed != padded(aux)) sum = crc32c(aux_data, summed = padded(aux));
    h->aux_crc = sum;
    memcpy((uint8_t *)h + head, aux_data, padded(aux));
  }
  if (payload != NULL) memcpy((uint8_t *)h + UNIT, payload, bytes);
  seal(h);
  p->out.end += whole;
}

/* Opens a LNK_SPAN of a HAMMER2 node; the nodes are told apart by `node`, all are in one cluster. */
static inline void say_span(struct peer *p, uint64_t msgid, uint32_t node) {
  uint8_t payload[384] = {0};
  payload[0] = 0xc1;                            /* cluster */
  memcpy(payload + 16, &node, sizeof node);     /* node */
  payload[33] = 3;                              /* peer_type: HAMMER2 */
  say(p, LNK_SPAN | CREATE, msgid, 0, 0, payload, 368, 0);
}

/* Connects, and queues a LNK_CONN that asks for all peer types. */
static inline struct peer *join(int port, int linkid, uint16_t media) {
  struct peer *p = calloc(1, sizeof *p);
  struct sockaddr_in address = loopback(port);
  if (p == NULL) fail("memory");
  p->linkid = linkid;
  p->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(p->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
  no_delay(p->fd);
  uint8_t payload[448] = {0};
  memcpy(payload, &media, sizeof media);
  memset(payload + 48, 0xff, 8); /* peer_mask: all types */
  payload[56] = linkid ? 1 : 3;  /* peer_type */
  say(p, (linkid ? LNK_CONN_LINKID : LNK_CONN_CIRCUIT) | CREATE, 0x1000, 0, 0, payload, linkid ? 392 : 264, 0);
  return p;
}

static inline void answer(struct peer *p, uint32_t flag, const struct header *h) {
  say(p, LNK_ERROR | flag | REPLY | (p->linkid ? 0 : REVTRANS), h->msgid, 0, 0, NULL, 0, 0);
}

/* Answers the router's LNK_CONN and relays. */
static inline void answer_links(struct peer *p, const struct header *h) {
  uint32_t base = h->cmd & BASE;
  if ((h->cmd & (CREATE | REPLY)) != CREATE) return;
  if (base == LNK_CONN_CIRCUIT || base == LNK_CONN_LINKID || base == LNK_SPAN) answer(p, CREATE, h);
}
