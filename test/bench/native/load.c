/*
 * Load generator: one peer owns a span, another runs transactions on its relay through the router, INFLIGHT at a time.
 *   load PORT circuit|linkid INFLIGHT AUX_REQUEST AUX_REPLY SECONDS OWNER_PORT
 * Both peers speak first, in plaintext. Prints one JSON object: round trips per second, and latencies in microseconds.
 */
#include "peer.h"
#include <pthread.h>

enum { OWNER_SPAN = 0x2000, OWN_SPAN = 0x2001, FIRST_MSGID = 1 << 20, SLOTS = 4096, MAX_SAMPLES = 1 << 22, OWNER_NODE = 0xf5 };

static int aux_reply;

static void flush_out(struct peer *p) {
  while (p->out.begin < p->out.end) {
    ssize_t n = write(p->fd, p->out.buf + p->out.begin, p->out.end - p->out.begin);
    if (n < 0) fail("write");
    p->out.begin += (size_t)n;
  }
}

static void fill(struct peer *p) {
  make_room(&p->in, 1 << 20);
  ssize_t n = read(p->fd, p->in.buf + p->in.end, p->in.capacity - p->in.end);
  if (n <= 0) fail("read");
  p->in.end += (size_t)n;
}

static void *own(void *argument) {
  struct peer *p = argument;
  struct header *h;
  size_t aux;
  say_span(p, OWNER_SPAN, OWNER_NODE);
  flush_out(p);
  for (;;) {
    fill(p);
    while ((h = next_message(&p->in, p->linkid, &aux)) != NULL) {
      answer_links(p, h);
      if ((h->cmd & 0xf00000) != 0x500000 || (h->cmd & (CREATE | REPLY)) != CREATE) continue;
      if (p->linkid) say(p, (BLK_READ & ~255u) | 1 | REPLY | CREATE | DELETE, h->msgid, h->at24, h->at16, NULL, 0, aux_reply);
      else say(p, LNK_ERROR | REPLY | CREATE | DELETE | REVTRANS, h->msgid, h->at16, 0, NULL, 0, aux_reply);
    }
    flush_out(p);
  }
  return NULL;
}

/* Waits for the relay of the owner's span, and returns its msgid. */
static uint64_t find_relay(struct peer *p) {
  struct header *h;
  size_t aux;
  uint64_t relay = 0;
  if (p->linkid) say_span(p, OWN_SPAN, OWNER_NODE + 1);
  flush_out(p);
  while (relay == 0) {
    fill(p);
    while ((h = next_message(&p->in, p->linkid, &aux)) != NULL) {
      answer_links(p, h);
      int is_span = (h->cmd & BASE) == LNK_SPAN && (h->cmd & (CREATE | REPLY)) == CREATE;
      if (is_span && ((uint8_t *)h)[UNIT + 16] == OWNER_NODE) relay = h->msgid;
    }
    flush_out(p);
  }
  return relay;
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count != 8) fail("arguments");
  int port = atoi(arguments[1]), linkid = strcmp(arguments[2], "linkid") == 0, inflight = atoi(arguments[3]);
  int aux_request = atoi(arguments[4]);
  aux_reply = atoi(arguments[5]);
  double seconds = atof(arguments[6]);
  if (inflight < 1 || inflight > SLOTS) fail("inflight");
  make_crc_tables();
  struct peer *owner = join(atoi(arguments[7]), linkid, 'o'), *p = join(port, linkid, 'r');
  pthread_t thread;
  if (pthread_create(&thread, NULL, own, owner)) fail("thread");
  uint64_t relay = find_relay(p), begun = 0;
  static double sent_at[SLOTS];
  static int free_slots[SLOTS];
  static float samples[MAX_SAMPLES];
  int free_count = 0;
  long done = 0;
  size_t sample_count = 0, aux;
  for (int i = 0; i < inflight; i++) free_slots[free_count++] = i;
  double began = now(), end = began + seconds;
  for (;;) {
    double at = now();
    while (at < end && free_count > 0) {
      int slot = free_slots[--free_count];
      uint64_t msgid = FIRST_MSGID + begun++ * SLOTS + (uint64_t)slot;
      sent_at[slot] = at;
      if (linkid) say(p, BLK_READ | CREATE | DELETE, msgid, OWN_SPAN, relay, NULL, 0, aux_request);
      else say(p, BLK_READ | CREATE | DELETE | REVCIRC, msgid, relay, 0, NULL, 0, aux_request);
    }
    flush_out(p);
    if (free_count == inflight) break;
    fill(p);
    at = now();
    struct header *h;
    while ((h = next_message(&p->in, linkid, &aux)) != NULL) {
      answer_links(p, h);
      if ((h->cmd & REPLY) == 0 || (h->cmd & DELETE) == 0 || h->msgid < FIRST_MSGID) continue;
      if (h->error != 0) fail("error in an answer");
      int slot = (int)((h->msgid - FIRST_MSGID) % SLOTS);
      if (sample_count < MAX_SAMPLES) samples[sample_count++] = (float)((at - sent_at[slot]) * 1e6);
      free_slots[free_count++] = slot;
      done++;
    }
  }
  double wall = now() - began;
  qsort(samples, sample_count, sizeof *samples, by_size);
  printf("{\"roundTripsPerSecond\":%.1f,\"roundTrips\":%ld,\"p50Us\":%.1f,\"p99Us\":%.1f}\n", done / wall, done, samples[sample_count / 2],
         samples[sample_count * 99 / 100]);
  return 0;
}
