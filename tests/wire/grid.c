/* ranks: 1 3 4 6 */
/* tests/wire/grid.c -- who sits where, windows, and ballots in them. */
#include "base/fault.h"
#include "base/hash.h"
#include "tests/wire/tool.h"

static void
test_grids (struct wire *w)
{
  int size = wire_size (w), rank = wire_rank (w);
  for (int n = 0; n <= size + 1; n++) {
    enum status s = wire_grid (w, n);
    bool fits = n > 0 && size % n == 0;
    tap_ok (s == (fits ? OK : E_CONFIG), "%d replicas on %d ranks", n, size);
    fail_clear ();
    if (!fits)
      continue;
    int pipe = size / n;
    tap_ok (wire_replicas (w) == n && wire_pipe_size (w) == pipe &&
                wire_replica (w) * pipe + wire_pipe_rank (w) == rank &&
                wire_pipe_rank (w) >= 0 && wire_pipe_rank (w) < pipe,
            "%d x %d", n, pipe);
  }
}

static void
test_questions (struct wire *w)
{
  double mine[2] = {wire_node_rank (w), wire_node_size (w)};
  double all[64];
  int n_first = 0, sum = 0, size = wire_size (w);
  bool good = wire_all_gather (w, mine, 2, all) == OK;
  for (int r = 0; r < size && good; r++) {
    n_first += all[2 * r] == 0;
    sum += all[2 * r] == 0 ? (int)all[2 * r + 1] : 0;
  }
  tap_ok (good && n_first >= 1 && sum == size,
          "every rank is counted on one node");
  tap_ok (strlen (wire_host (w)) > 0, "host %s", wire_host (w));
  tap_ok (strstr (wire_describe (w), ", MPI ") != NULL, "%s",
          wire_describe (w));
  tap_note ("%s", wire_describe (w));
}

/* A window for every range of pipe ranks; in each, the last rank sends to all
 * before it, and all vote. */
static int
all_ranges (int size, int *first, int *last)
{
  int n = 0;
  for (int a = 0; a < size; a++)
    for (int b = a; b < size; b++) {
      first[n] = a;
      last[n++] = b;
    }
  return n;
}

static bool
talk_in_window (struct wire *w, int i, int first, int last)
{
  int me = wire_pipe_rank (w), requests[8];
  char *block;
  struct tensor t = tool_tensor (640, &block);
  struct wire_id id = {i, 0, first, last};
  bool good = true;
  uint64_t number = (uint64_t)(1000 * wire_replica (w) + i);
  for (int r = 0; r < 8; r++)
    requests[r] = WIRE_NONE;
  if (me == last && first < last) {
    tool_fill (t.data, t.bytes, number);
    for (int r = first; r < last; r++)
      good = wire_send (w, i, &t, r, 5, id, &requests[r]) == OK && good;
    for (int r = first; r < last; r++)
      good = wire_wait (w, &requests[r], NULL, NULL) == OK && good;
  } else if (first <= me && me < last) {
    good = wire_post (w, i, &t, last, 5, &requests[0]) == OK;
    good = wire_wait (w, &requests[0], &id, NULL) == OK && good;
    good = good && tool_is (t.data, t.bytes, number);
  }
  mem_free (&block);
  return good;
}

static bool
vote_in_window (struct wire *w, int i, int first, int last)
{
  int me = wire_pipe_rank (w), request = WIRE_NONE;
  double in[8] = {0}, out[8], base = 1 + 0.25 * wire_replica (w) + i;
  if (me < first || me > last)
    return true;
  in[me] = base + me;
  in[7] = 1;
  bool good = wire_ballot_start (w, i, in, 8, &request) == OK;
  in[me] = -1; /* start has copied it */
  good = wire_ballot_wait (w, &request, out) == OK && good;
  for (int r = 0; r < 7; r++)
    good = good && out[r] == (first <= r && r <= last ? base + r : 0);
  return good && out[7] == last - first + 1;
}

static void
test_windows (struct wire *w, int n_replicas)
{
  int first[64], last[64];
  bool good = wire_grid (w, n_replicas) == OK;
  int n = all_ranges (wire_pipe_size (w), first, last);
  for (int round = 0; round < 2; round++) { /* replaced by themselves */
    good = wire_windows (w, n, first, last) == OK && good;
    for (int i = 0; i < n; i++)
      good = talk_in_window (w, i, first[i], last[i]) && good;
    for (int i = 0; i < n; i++)
      good = vote_in_window (w, i, first[i], last[i]) && good;
  }
  tap_ok (good, "%d windows over %d pipe ranks, %d replicas", n,
          wire_pipe_size (w), n_replicas);
  good = wire_windows (w, 0, NULL, NULL) == OK;
  tap_ok (good, "no windows");
}

static void
test_misuse (struct wire *w)
{
  int first = 0, last = wire_pipe_size (w);
  tap_ok (TOOL_CHECK_FAILS ((void)wire_windows (w, 1, &first, &last)),
          "a window past the pipe fails a check");
  fail_clear ();
  /* A window leaves the others out. */
  if (wire_pipe_size (w) < 3)
    return;
  last = 1;
  bool good = wire_windows (w, 1, &first, &last) == OK;
  char *block;
  int request = WIRE_NONE, me = wire_pipe_rank (w);
  double vote = 1;
  struct tensor t = tool_tensor (64, &block);
  if (me >= 2)
    good =
        TOOL_CHECK_FAILS ((void)wire_post (w, 0, &t, 0, 1, &request)) &&
        TOOL_CHECK_FAILS ((void)wire_ballot_start (w, 0, &vote, 1, &request)) &&
        good;
  if (me < 2)
    good =
        TOOL_CHECK_FAILS ((void)wire_post (w, 0, &t, 2, 1, &request)) && good;
  tap_ok (good, "who is not in a window cannot use it");
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
  test_questions (w);
  test_grids (w);
  for (int n = 1; n <= wire_size (w); n++)
    if (wire_size (w) % n == 0)
      test_windows (w, n);
  bool good = wire_grid (w, 1) == OK;
  tap_ok (good, "back to one replica");
  test_misuse (w);
  wire_close (&w);
  tap_ok (w == NULL, "closed");
  return tap_done ();
}
