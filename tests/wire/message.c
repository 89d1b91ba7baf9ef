/* ranks: 1 2 3 5 */
/* tests/wire/message.c -- tensors along the pipe: contents, identity, posts
 * ahead, withdrawal, limits, and faults that must be noticed. */
#include "base/clock.h"
#include "base/fault.h"
#include "tests/wire/tool.h"
#include <limits.h>
#include <time.h>

static struct wire_id
id_of (int64_t step, int micro)
{
  return (struct wire_id){step, micro, 1, -1};
}

/* Each rank sends a tensor to the one behind it. */
static void
test_sizes (struct wire *w)
{
  static const size_t sizes[] = {0, 4, 60, 64, 1000, 4096, 300012, 4 << 20};
  int me = wire_pipe_rank (w), last = wire_pipe_size (w) - 1;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *in_block, *out_block;
    struct tensor in = tool_tensor (sizes[i], &in_block);
    struct tensor out = tool_tensor (sizes[i], &out_block);
    int post = WIRE_NONE, send = WIRE_NONE;
    struct wire_id id = id_of ((int64_t)i << 40, (int)i);
    bool good = true;
    if (me > 0)
      good = wire_post (w, -1, &in, me - 1, 7, &post) == OK;
    tool_fill (out.data, out.bytes, (uint64_t)me);
    if (me < last)
      good = wire_send (w, -1, &out, me + 1, 7, id, &send) == OK && good;
    good = wire_wait (w, &post, &id, NULL) == OK && good;
    good = wire_wait (w, &send, NULL, NULL) == OK && good;
    good = good && post == WIRE_NONE && send == WIRE_NONE;
    if (me > 0)
      good = good && tool_is (in.data, in.bytes, (uint64_t)me - 1);
    good = good && tool_is (out.data, out.bytes, (uint64_t)me);
    tap_ok (good && wire_under_way (w) == 0, "%zu bytes to the next rank",
            sizes[i]);
    mem_free (&in_block);
    mem_free (&out_block);
  }
}

#define AHEAD 12

/* Many receives are posted before anything is sent, messages come in another
 * order, and memory is closed meanwhile, as it is in a training step. */
static void
test_ahead (struct wire *w)
{
  int me = wire_pipe_rank (w), last = wire_pipe_size (w) - 1;
  char *blocks[2 * AHEAD];
  struct tensor in[AHEAD], out[AHEAD];
  int post[AHEAD], send[AHEAD];
  for (int i = 0; i < AHEAD; i++) {
    in[i] = tool_tensor (5000, &blocks[2 * i]);
    out[i] = tool_tensor (5000, &blocks[2 * i + 1]);
    post[i] = send[i] = WIRE_NONE;
    tool_fill (out[i].data, 5000, (uint64_t)(100 * me + i));
  }
  bool good = true;
  mem_close ();
  for (int i = 0; i < AHEAD && me > 0; i++)
    good = wire_post (w, -1, &in[i], me - 1, 40 + i, &post[i]) == OK && good;
  for (int k = 0; k < AHEAD && me < last; k++) {
    int i = k * 5 % AHEAD;
    struct wire_id id = id_of (3, i);
    good =
        wire_send (w, -1, &out[i], me + 1, 40 + i, id, &send[i]) == OK && good;
  }
  for (int i = 0; i < AHEAD; i++) {
    struct wire_id id = id_of (3, i);
    wire_poll (w);
    good = wire_wait (w, &post[i], &id, NULL) == OK && good;
  }
  for (int i = 0; i < AHEAD; i++)
    good = wire_wait (w, &send[i], NULL, NULL) == OK && good;
  mem_open ();
  for (int i = 0; i < AHEAD && me > 0; i++)
    good = good && tool_is (in[i].data, 5000, (uint64_t)(100 * (me - 1) + i));
  tap_ok (good, "%d messages posted ahead, sent in another order", AHEAD);
  for (int i = 0; i < 2 * AHEAD; i++)
    mem_free (&blocks[i]);
}

static const struct tensor_form in_eights = {TENSOR_F32, TENSOR_BLOCKED, 8};

/* What pipe rank 1 says about a message that is not the one it awaits. */
static enum status
receive_wrong (struct wire *w, struct wire_id sent, struct wire_id awaited,
               size_t sent_bytes, struct tensor_form form)
{
  char *block;
  struct tensor t = tool_tensor (800, &block);
  int request = WIRE_NONE;
  enum status s = OK;
  fail_clear ();
  if (wire_pipe_size (w) == 1) {
    request = WIRE_NONE;
  } else if (wire_pipe_rank (w) == 0) {
    t.bytes = sent_bytes;
    t.form = form;
    s = wire_send (w, -1, &t, 1, 9, sent, &request);
  } else if (wire_pipe_rank (w) == 1) {
    t.form = in_eights;
    s = wire_post (w, -1, &t, 0, 9, &request);
  }
  if (s == OK)
    s = wire_wait (w, &request, wire_pipe_rank (w) == 1 ? &awaited : NULL,
                   NULL);
  mem_free (&block);
  return s;
}

static void
test_identity (struct wire *w)
{
  static const struct {
    const char *what;
    struct wire_id sent;
    size_t bytes;
    struct tensor_form form;
    const char *words; /* of the message; NULL: it is right */
  } rows[] = {
      {"right", {5, 2, 1, -1}, 800, {TENSOR_F32, TENSOR_BLOCKED, 8}, NULL},
      {"step", {6, 2, 1, -1}, 800, {TENSOR_F32, TENSOR_BLOCKED, 8}, "step 6"},
      {"micro-batch",
       {5, 3, 1, -1},
       800,
       {TENSOR_F32, TENSOR_BLOCKED, 8},
       "micro-batch 3"},
      {"border",
       {5, 2, 2, -1},
       800,
       {TENSOR_F32, TENSOR_BLOCKED, 8},
       "border 2"},
      {"stream", {5, 2, 1, 0}, 800, {TENSOR_F32, TENSOR_BLOCKED, 8}, "stream"},
      {"size", {5, 2, 1, -1}, 640, {TENSOR_F32, TENSOR_BLOCKED, 8}, "640"},
      {"block",
       {5, 2, 1, -1},
       800,
       {TENSOR_F32, TENSOR_BLOCKED, 16},
       "f32, channels in blocks of 16 came; f32, channels in blocks of 8"},
      {"layout",
       {5, 2, 1, -1},
       800,
       {TENSOR_F32, TENSOR_LAST, 0},
       "f32, channels last came"},
      {"type", {5, 2, 1, -1}, 800, {TENSOR_BF16, TENSOR_BLOCKED, 8}, "bf16"},
      {"any type", {5, 2, 1, -1}, 800, {7, TENSOR_BLOCKED, 8}, "type 7"},
  };
  struct wire_id awaited = {5, 2, 1, -1};
  bool receiver = wire_pipe_rank (w) == 1;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    enum status s =
        receive_wrong (w, rows[i].sent, awaited, rows[i].bytes, rows[i].form);
    const char *words = rows[i].words;
    enum status want = receiver && words ? E_PROTOCOL : OK;
    bool named = want == OK || (strstr (fail_message (), "pipe rank 0") &&
                                strstr (fail_message (), words));
    tap_ok (s == want && named, "a message with the %s%s", rows[i].what,
            words ? " of another is noticed" : " one");
    fail_clear ();
  }
}

static void
test_cancel (struct wire *w)
{
  int me = wire_pipe_rank (w), last = wire_pipe_size (w) - 1;
  char *first_block, *second_block, *out_block;
  struct tensor first = tool_tensor (256, &first_block);
  struct tensor second = tool_tensor (256, &second_block);
  struct tensor out = tool_tensor (256, &out_block);
  int early = WIRE_NONE, post = WIRE_NONE, send = WIRE_NONE;
  struct wire_id id = id_of (1, 0);
  tool_fill (out.data, 256, 55);
  bool good = true;
  if (me > 0) {
    good = wire_post (w, -1, &first, me - 1, 3, &early) == OK;
    wire_cancel (w, &early);
    good = good && early == WIRE_NONE && wire_under_way (w) == 0;
    good = wire_post (w, -1, &second, me - 1, 3, &post) == OK && good;
  }
  wire_barrier (w);
  if (me < last)
    good = wire_send (w, -1, &out, me + 1, 3, id, &send) == OK && good;
  good = wire_wait (w, &post, &id, NULL) == OK && good;
  good = wire_wait (w, &send, NULL, NULL) == OK && good;
  if (me > 0)
    good = good && tool_is (second.data, 256, 55) &&
           !tool_is (first.data, 256, 55);
  tap_ok (good, "a withdrawn receive takes no message");
  wire_cancel (w, &early);
  tap_ok (early == WIRE_NONE, "nothing can be withdrawn");
  mem_free (&first_block);
  mem_free (&second_block);
  mem_free (&out_block);
}

/* More requests than the table has room for: it grows, outside a step. */
static void
test_many (struct wire *w)
{
  enum { N = 4200 };
  int *request = NULL, me = wire_pipe_rank (w);
  char *block;
  struct tensor t = tool_tensor (64, &block);
  bool good = MEM_NEW (N, &request, "requests") == OK;
  for (int i = 0; i < N && good && me == 1; i++)
    good = wire_post (w, -1, &t, 0, 1000 + i, &request[i]) == OK;
  tap_ok (good && wire_under_way (w) == (me == 1 ? N : 0), "%d receives", N);
  for (int i = 0; i < N && me == 1; i++)
    wire_cancel (w, &request[(i * 11 + 5) % N]);
  tap_ok (wire_under_way (w) == 0, "withdrawn in another order");
  mem_free (&request);
  mem_free (&block);
}

/* The receiver waits long, but the message is short: what lies behind the
 * moment of sending is small. */
static void
test_late (struct wire *w)
{
  int me = wire_pipe_rank (w), request = WIRE_NONE;
  char *block;
  struct tensor t = tool_tensor (4000, &block);
  struct wire_id id = id_of (1, 0);
  double late = 0, waited = 0;
  const struct timespec nap = {.tv_nsec = 200000000};
  enum status s = OK;
  wire_barrier (w);
  if (me == 0 && wire_pipe_size (w) > 1) {
    nanosleep (&nap, NULL);
    s = wire_send (w, -1, &t, 1, 2, id, &request);
  } else if (me == 1) {
    s = wire_post (w, -1, &t, 0, 2, &request);
  }
  double from = clock_now_s ();
  if (s == OK)
    s = wire_wait (w, &request, me == 1 ? &id : NULL, &late);
  waited = clock_now_s () - from;
  tap_ok (s == OK && late >= 0 && late <= waited,
          "transfer is part of waiting");
  tap_ok (me != 1 || (waited > 0.1 && late < 0.5 * waited),
          "waiting for a late sender is not transfer: %.3f of %.3f s", 0.0,
          0.0);
  /* Sent long ago: all of the wait, if any, is transfer, and it is short. */
  if (me == 0 && wire_pipe_size (w) > 1)
    s = wire_send (w, -1, &t, 1, 2, id, &request);
  wire_barrier (w);
  if (me == 1) {
    s = wire_post (w, -1, &t, 0, 2, &request);
    nanosleep (&nap, NULL);
  }
  from = clock_now_s ();
  if (s == OK)
    s = wire_wait (w, &request, me == 1 ? &id : NULL, &late);
  waited = clock_now_s () - from;
  tap_ok (s == OK && late >= 0 && late <= waited + 1e-6,
          "a message that was sent before");
  mem_free (&block);
}

static void
test_traffic (struct wire *w)
{
  double bytes;
  int64_t messages;
  bool good = wire_grid (w, 1) == OK; /* counts anew */
  int me = wire_pipe_rank (w), last = wire_pipe_size (w) - 1;
  char *in_block, *out_block;
  struct tensor in = tool_tensor (1280, &in_block);
  struct tensor out = tool_tensor (1280, &out_block);
  for (int i = 0; i < 3; i++) {
    int post = WIRE_NONE, send = WIRE_NONE;
    struct wire_id id = id_of (i, 0);
    if (me > 0)
      good = wire_post (w, -1, &in, me - 1, 1, &post) == OK && good;
    if (me < last)
      good = wire_send (w, -1, &out, me + 1, 1, id, &send) == OK && good;
    good = wire_wait (w, &post, &id, NULL) == OK && good;
    good = wire_wait (w, &send, NULL, NULL) == OK && good;
  }
  wire_traffic (w, &bytes, &messages);
  tap_ok (good && messages == (me < last ? 3 : 0) &&
              bytes == 1280.0 * (double)messages,
          "bytes and messages are counted");
  mem_free (&in_block);
  mem_free (&out_block);
}

static void
test_limits (struct wire *w)
{
  int me = wire_pipe_rank (w), size = wire_pipe_size (w), request = WIRE_NONE;
  char *block;
  struct tensor t = tool_tensor (64, &block);
  struct wire_id id = id_of (0, 0);
  if (size > 1) {
    int peer = me == 0 ? 1 : 0;
    t.bytes = (size_t)INT_MAX * 64;
    tap_ok (wire_send (w, -1, &t, peer, 1, id, &request) == E_LIMIT,
            "more lines than an int counts, sent");
    fail_clear ();
    tap_ok (wire_post (w, -1, &t, peer, 1, &request) == E_LIMIT,
            "more lines than an int counts");
    fail_clear ();
    t.bytes = 64;
    fault_plant ("message:1@1");
    enum status s = OK;
    if (me == 1)
      s = wire_send (w, -1, &t, 0, 1, id, &request);
    fault_plant (NULL);
    tap_ok (s == (me == 1 ? E_FAULT : OK) && request == WIRE_NONE,
            "a planted fault on rank 1");
    fail_clear ();
  }
  tap_ok (TOOL_CHECK_FAILS ((void)wire_send (w, -1, &t, me, 1, id, &request)),
          "a message to oneself fails a check");
  tap_ok (TOOL_CHECK_FAILS ((void)wire_post (w, -1, &t, size, 1, &request)),
          "so does one to nobody");
  tap_ok (size == 1 || (TOOL_CHECK_FAILS (
                            (void)wire_post (w, 0, &t, me == 0, 1, &request)) &&
                        strstr (fail_message (), "wire_windows") != NULL),
          "a window that was not made names the missing call");
  int wrong = 17;
  tap_ok (TOOL_CHECK_FAILS ((void)wire_wait (w, &wrong, NULL, NULL)),
          "waiting for what is not under way fails a check");
  fail_clear ();
  mem_free (&block);
}

int
main (int argc, char **argv)
{
  struct wire *w;
  fault_plant (NULL);
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  if (wire_size (w) > 1) {
    char *block;
    int request;
    struct tensor t = tool_tensor (64, &block);
    int peer = wire_rank (w) == 0;
    tap_ok (TOOL_CHECK_FAILS ((void)wire_post (w, -1, &t, peer, 1, &request)) &&
                strstr (fail_message (), "wire_grid") != NULL,
            "a message before wire_grid names the missing call");
    fail_clear ();
    mem_free (&block);
  }
  tap_ok (wire_grid (w, 1) == OK, "a grid of one replica");
  test_sizes (w);
  test_ahead (w);
  test_identity (w);
  test_cancel (w);
  test_many (w);
  test_late (w);
  test_traffic (w);
  test_limits (w);
  wire_close (&w);
  tap_ok (w == NULL && mem_leaks () == 0, "closed, nothing left behind");
  return tap_done ();
}
