/*
 * Load generator: one peer offers SPANS spans, RECEIVERS peers wait until each holds relays of all of them; then one span
 * is closed and opened again, FLAPS times.
 *   converge PORT circuit|linkid SPANS RECEIVERS FLAPS
 * Prints one JSON object: wall times in seconds and milliseconds, and the generator's own CPU time as a part of the load's
 * wall time, which shows whether the generator was the bottleneck.
 */
#include "peer.h"
#include <fcntl.h>
#include <poll.h>

enum { FIRST_SPAN = 0x10000, FIRST_FLAP = 0x10000000, WARM_UP_FLAPS = 5, MAX_RECEIVERS = 1024, MAX_FLAPS = 10000, READ_BYTES = 1 << 18 };

static struct peer *peers[1 + MAX_RECEIVERS];
static struct pollfd polls[1 + MAX_RECEIVERS];
static int peer_count;
/* LNK_CONNs answered, relays opened and closed, of all receivers together. */
static long answered, opened, closed;

static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void add(int port, int linkid, uint16_t media) {
  struct peer *p = peers[peer_count] = join(port, linkid, media);
  fcntl(p->fd, F_SETFL, O_NONBLOCK);
  polls[peer_count++].fd = p->fd;
}

/* Writes what the socket takes. */
static void write_some(struct peer *p) {
  while (p->out.begin < p->out.end) {
    ssize_t n = write(p->fd, p->out.buf + p->out.begin, p->out.end - p->out.begin);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) fail("write");
    p->out.begin += (size_t)n;
  }
}

static void read_some(struct peer *p) {
  struct header *h;
  size_t aux;
  make_room(&p->in, READ_BYTES);
  ssize_t n = read(p->fd, p->in.buf + p->in.end, READ_BYTES);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("read");
  p->in.end += (size_t)n;
  while ((h = next_message(&p->in, p->linkid, &aux)) != NULL) {
    uint32_t flags = h->cmd & (CREATE | DELETE | REPLY);
    answer_links(p, h);
    if (flags == CREATE && (h->cmd & BASE) == LNK_SPAN) opened++;
    else if (flags == (CREATE | REPLY) && h->msgid == 0x1000) answered++;
    else if (flags == DELETE) {
      closed++;
      answer(p, DELETE, h);
    }
  }
  write_some(p);
}

static void until(const long *counter, long reach) {
  while (*counter < reach) {
    for (int i = 0; i < peer_count; i++) polls[i].events = (short)(POLLIN | (peers[i]->out.begin < peers[i]->out.end ? POLLOUT : 0));
    if (poll(polls, (nfds_t)peer_count, 20000) <= 0) fail("nothing came for 20 s");
    for (int i = 0; i < peer_count; i++) {
      if (polls[i].revents & POLLOUT) write_some(peers[i]);
      if (polls[i].revents & ~POLLOUT) read_some(peers[i]);
    }
  }
}

int main(int count, char **arguments) {
  if (count != 6) fail("arguments");
  int port = atoi(arguments[1]), linkid = strcmp(arguments[2], "linkid") == 0;
  int spans = atoi(arguments[3]), receivers = atoi(arguments[4]), flaps = atoi(arguments[5]);
  if (receivers < 1 || receivers > MAX_RECEIVERS || flaps < 1 || flaps > MAX_FLAPS) fail("arguments");
  make_crc_tables();
  for (int i = 0; i <= receivers; i++) add(port, linkid, (uint16_t)(i + 1));
  struct peer *source = peers[0];
  for (int i = 0; i < peer_count; i++) write_some(peers[i]);
  until(&answered, peer_count);

  double cpu_before = cpu(), began = now();
  for (int n = 0; n < spans; n++) say_span(source, FIRST_SPAN + (uint64_t)n, (uint32_t)n);
  write_some(source);
  until(&opened, (long)spans * receivers);
  double load = now() - began, used = cpu() - cpu_before;

  double sum = 0, worst = 0;
  uint64_t span = FIRST_SPAN + (uint64_t)(spans / 2);
  for (int flap = -WARM_UP_FLAPS; flap < flaps; flap++) {
    double start = now();
    say(source, LNK_ERROR | DELETE, span, 0, 0, NULL, 0, 0);
    write_some(source);
    until(&closed, closed + receivers);
    span = FIRST_FLAP + (uint64_t)(flap + WARM_UP_FLAPS);
    say_span(source, span, (uint32_t)(spans / 2));
    write_some(source);
    until(&opened, opened + receivers);
    double took = now() - start;
    if (flap < 0) continue;
    sum += took;
    if (took > worst) worst = took;
  }
  printf("{\"loadSeconds\":%.6f,\"generatorCpu\":%.3f,\"flapMeanMs\":%.4f,\"flapWorstMs\":%.4f}\n", load, used / load, sum / flaps * 1e3, worst * 1e3);
  return 0;
}
