/*
 * The floor: the least that routed round trips can cost. A router of the circuit dialect with one thread, without state
 * machine, limits or error handling: it reads, checks both CRCs, rewrites the ids in place, and writes each run of
 * messages for the same peer at once. Prints its port, and runs until it is killed.
 */
#include "dmsg.h"
#include <fcntl.h>
#include <sys/epoll.h>

enum { MAX_PEERS = 256, MAX_SPANS = 1024, MAX_ROUTED = 1 << 16, READ_BYTES = 1 << 20, SPAN_BYTES = 384, FIRST_ID = 1 << 20 };

struct peer {
  int fd;
  uint32_t sent;
  struct bytes in, out;
};

struct span {
  struct peer *owner;
  uint64_t msgid;
  uint8_t payload[SPAN_BYTES];
};

/* A transaction that is passed on: the peer that opened it, and that peer's msgid. */
struct routed {
  struct peer *from;
  uint64_t msgid, circuit;
};

static struct peer *peers[MAX_PEERS];
static int peer_count;
static struct span spans[MAX_SPANS];
static uint64_t span_count;
static struct routed routed[MAX_ROUTED];
static uint32_t free_ids[MAX_ROUTED], free_count;

static void flush_out(struct peer *p) {
  while (p->out.begin < p->out.end) {
    ssize_t n = write(p->fd, p->out.buf + p->out.begin, p->out.end - p->out.begin);
    if (n <= 0) return;
    p->out.begin += (size_t)n;
  }
}

/* Writes at once if nothing waits; bytes that the kernel does not take wait. */
static void put(struct peer *p, const uint8_t *at, size_t bytes) {
  if (p->out.begin == p->out.end) {
    ssize_t n = write(p->fd, at, bytes);
    if (n > 0) at += n, bytes -= (size_t)n;
  }
  if (bytes == 0) return;
  make_room(&p->out, bytes);
  memcpy(p->out.buf + p->out.end, at, bytes);
  p->out.end += bytes;
}

static void say(struct peer *p, uint32_t cmd, uint64_t msgid, const uint8_t *payload, size_t bytes) {
  uint64_t words[2048 / 8] = {0};
  struct header *h = (struct header *)words;
  h->magic = MAGIC;
  h->salt = p->sent++ & 255;
  h->msgid = msgid;
  h->cmd = cmd;
  if (payload != NULL) memcpy((uint8_t *)words + UNIT, payload, bytes);
  seal(h);
  put(p, (uint8_t *)words, head_bytes(h));
}

static void relay(struct peer *to, uint64_t number) {
  if (spans[number].owner != to) say(to, LNK_SPAN | CREATE, number + 1, spans[number].payload, SPAN_BYTES);
}

/* Rewrites the ids of a message, and returns the peer that it goes to; NULL: it is not passed on. */
static struct peer *pass(struct peer *p, struct header *h) {
  uint32_t base = h->cmd & BASE;
  if ((h->cmd & (CREATE | REPLY)) == CREATE && h->at16 == 0) {
    say(p, LNK_ERROR | CREATE | REPLY | REVTRANS, h->msgid, NULL, 0);
    if (base == LNK_CONN_CIRCUIT) {
      for (uint64_t i = 0; i < span_count; i++) relay(p, i);
    } else if (base == LNK_SPAN && span_count < MAX_SPANS) {
      struct span *span = &spans[span_count];
      span->owner = p;
      span->msgid = h->msgid;
      memcpy(span->payload, (uint8_t *)h + UNIT, SPAN_BYTES);
      for (int i = 0; i < peer_count; i++) relay(peers[i], span_count);
      span_count++;
    }
    return NULL;
  }
  if ((h->cmd & (CREATE | REPLY)) == CREATE) {
    if (h->at16 > span_count || free_count == 0) fail("relay");
    struct span *span = &spans[h->at16 - 1];
    uint32_t id = free_ids[--free_count];
    routed[id] = (struct routed){p, h->msgid, h->at16};
    h->msgid = FIRST_ID + id;
    h->at16 = span->msgid;
    return span->owner;
  }
  if ((h->cmd & REPLY) == 0 || h->msgid < FIRST_ID || h->msgid >= FIRST_ID + MAX_ROUTED) return NULL;
  struct routed *r = &routed[h->msgid - FIRST_ID];
  if (h->cmd & DELETE) free_ids[free_count++] = (uint32_t)(h->msgid - FIRST_ID);
  h->msgid = r->msgid;
  h->at16 = r->circuit;
  return r->from;
}

static void take(struct peer *p) {
  struct peer *to = NULL;
  uint8_t *start = NULL;
  size_t bytes = 0, aux;
  struct header *h;
  while ((h = next_message(&p->in, 0, &aux)) != NULL) {
    uint32_t crc = h->hdr_crc;
    seal(h);
    if (h->hdr_crc != crc) fail("hdr_crc");
    if (aux > 0 && crc32c((uint8_t *)h + head_bytes(h), aux) != h->aux_crc) fail("aux_crc");
    struct peer *next = pass(p, h);
    if (next != NULL) {
      h->salt = next->sent++ & 255;
      seal(h);
    }
    if (next != to || next == NULL) {
      if (to != NULL) put(to, start, bytes);
      to = next;
      start = (uint8_t *)h;
      bytes = 0;
    }
    bytes += head_bytes(h) + aux;
  }
  if (to != NULL) put(to, start, bytes);
}

static void welcome(int epoll, int listener) {
  struct peer *p = calloc(1, sizeof *p);
  if (p == NULL || peer_count == MAX_PEERS) fail("peers");
  p->fd = accept(listener, NULL, NULL);
  if (p->fd < 0) fail("accept");
  fcntl(p->fd, F_SETFL, O_NONBLOCK);
  no_delay(p->fd);
  peers[peer_count++] = p;
  struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = p}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd, &event);
  uint8_t payload[SPAN_BYTES] = {0};
  memset(payload + 48, 0xff, 8); /* peer_mask: all types */
  payload[56] = 1;               /* peer_type */
  say(p, LNK_CONN_CIRCUIT | CREATE, FIRST_ID - 1, payload, 264);
}

static void read_all(struct peer *p) {
  for (;;) {
    make_room(&p->in, READ_BYTES);
    ssize_t n = read(p->fd, p->in.buf + p->in.end, READ_BYTES);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      close(p->fd);
      for (int i = 0; i < peer_count; i++)
        if (peers[i] == p) peers[i--] = peers[--peer_count];
      span_count = 0; /* a run is over: its owner and requester leave together */
      return;
    }
    p->in.end += (size_t)n;
    take(p);
  }
}

int main(void) {
  make_crc_tables();
  for (uint32_t i = 0; i < MAX_ROUTED; i++) free_ids[free_count++] = i;
  struct sockaddr_in address = loopback(0);
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16)) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  int epoll = epoll_create1(0);
  struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[64];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < n; i++) {
      struct peer *p = events[i].data.ptr;
      if (p == NULL) {
        welcome(epoll, listener);
      } else {
        flush_out(p);
        read_all(p);
      }
    }
  }
}
