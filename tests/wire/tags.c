/* ranks: 1 2 3 5 */
/* tests/wire/tags.c -- every traffic counts its own tags: the same tag on all
 * ways at once, and a library whose tags end early.
 *
 * The question for MPI_TAG_UB is answered here in place of the library, by its
 * profiling interface: some end at 2^23 - 1, and the standard promises 32767.
 */
#include "base/fault.h"
#include "tests/wire/tool.h"

#include <inttypes.h>
#include <limits.h>

static int bound; /* 0: what the library says */

int
MPI_Comm_get_attr (MPI_Comm comm, int key, void *value, int *given)
{
  int code = PMPI_Comm_get_attr (comm, key, value, given);
  if (key == MPI_TAG_UB && bound > 0)
    *(int **)value = &bound;
  return code;
}

/* -- all ways at once ------------------------------------------------------ */

enum { WAYS = WIRE_WAYS + 1 }; /* and a window */

static int
way_at (int i)
{
  return i < WIRE_WAYS ? -1 - i : 0;
}

/* What way i carries; way and id are not the same numbers. */
static struct wire_id
id_at (int i)
{
  return (struct wire_id){.step = 100 + i, .border = 7 * i};
}

/* Receives are posted in one order, and messages sent in the other: on a
 * common communicator they would meet each other's. */
static void
test_ways (struct wire *w)
{
  int me = wire_pipe_rank (w), last = wire_pipe_size (w) - 1;
  int post[WAYS], sent[WAYS], first = 0;
  char *block[2 * WAYS];
  struct tensor in[WAYS], out[WAYS];
  bool good = wire_windows (w, 1, &first, &last) == OK;
  for (int i = 0; i < WAYS; i++) {
    in[i] = tool_tensor (640, &block[2 * i]);
    out[i] = tool_tensor (640, &block[2 * i + 1]);
    tool_fill (out[i].data, 640, (uint64_t)(100 * me + i));
    post[i] = sent[i] = WIRE_NONE;
    if (me > 0)
      good =
          wire_post (w, way_at (i), &in[i], me - 1, 0, &post[i]) == OK && good;
  }
  for (int i = WAYS; i-- > 0 && me < last;)
    good = wire_send (w, way_at (i), &out[i], me + 1, 0, id_at (i), &sent[i]) ==
               OK &&
           good;
  for (int i = 0; i < WAYS; i++) {
    struct wire_id id = id_at (i);
    good = wire_wait (w, &post[i], &id, NULL) == OK && good;
    good = wire_wait (w, &sent[i], NULL, NULL) == OK && good;
    if (me > 0)
      good = good && tool_is (in[i].data, 640, (uint64_t)(100 * (me - 1) + i));
  }
  tap_ok (good, "tag 0 on %d ways at once", WAYS);
  for (int i = 0; i < 2 * WAYS; i++)
    mem_free (&block[i]);
}

/* -- where tags end -------------------------------------------------------- */

static bool
speaks_of (int64_t wanted, int had)
{
  char want[32], have[32];
  snprintf (want, sizeof want, "up to %" PRId64, wanted);
  snprintf (have, sizeof have, "up to %d", had);
  bool both = strstr (fail_message (), want) && strstr (fail_message (), have);
  fail_clear ();
  return both;
}

static void
test_numbers (struct wire *w)
{
  int most = wire_tag_most (w);
  tap_ok (most >= 32767, "tags up to %d", most);
  tap_ok (wire_tags (w, most + INT64_C (1), "all of them") == OK,
          "as many tags as there are");
  if (most < INT_MAX)
    tap_ok (wire_tags (w, most + INT64_C (2), "too many") == E_LIMIT &&
                speaks_of (most + INT64_C (1), most),
            "one more is refused");
}

/* A message under the last tag, and one behind it. */
static void
test_bound (struct wire *w)
{
  int me = wire_pipe_rank (w), last = wire_pipe_size (w) - 1;
  int post = WIRE_NONE, sent = WIRE_NONE;
  char *block;
  struct tensor t = tool_tensor (64, &block);
  struct wire_id id = {.step = 3};
  bool good = true;
  bound = 100;
  good = wire_grid (w, 1) == OK;
  tap_ok (good && wire_tag_most (w) == 100, "the grid asks");
  good = wire_tags (w, 101, "x") == OK && wire_tags (w, 102, "x") == E_LIMIT;
  tap_ok (good && speaks_of (101, 100), "101 tags are 0 to 100");
  if (me == 0 && last > 0)
    good = wire_send (w, WIRE_STEPS, &t, 1, 101, id, &sent) == E_LIMIT &&
           speaks_of (101, 100) &&
           wire_send (w, WIRE_STEPS, &t, 1, 100, id, &sent) == OK;
  if (me == 1)
    good = wire_post (w, WIRE_STEPS, &t, 0, 101, &post) == E_LIMIT &&
           speaks_of (101, 100) &&
           wire_post (w, WIRE_STEPS, &t, 0, 100, &post) == OK;
  good = wire_wait (w, &post, &id, NULL) == OK && good;
  good = wire_wait (w, &sent, NULL, NULL) == OK && good;
  tap_ok (good && wire_under_way (w) == 0,
          "the last tag carries a message, the next one is refused");
  bound = 0;
  mem_free (&block);
}

static void
test_misuse (struct wire *w)
{
  int peer = (wire_pipe_rank (w) + 1) % wire_pipe_size (w), request;
  char *block;
  struct tensor t = tool_tensor (64, &block);
  if (wire_pipe_size (w) > 1) {
    bool good = TOOL_CHECK_FAILS ((void)wire_post (w, -WIRE_WAYS - 1, &t, peer,
                                                   0, &request)) &&
                TOOL_CHECK_FAILS (
                    (void)wire_post (w, WIRE_STEPS, &t, peer, -1, &request));
    tap_ok (good, "no way, no tag");
  }
  fail_clear ();
  mem_free (&block);
}

int
main (int argc, char **argv)
{
  struct wire *w;
  fault_plant (NULL);
  if (wire_open (&argc, &argv, &w) != OK || wire_grid (w, 1) != OK)
    return 1;
  test_ways (w);
  test_numbers (w);
  test_bound (w);
  test_misuse (w);
  wire_close (&w);
  return tap_done ();
}
