/* ranks: 2 3 4 */
/* tests/run/windows.c -- the norms of all windows of a rank are under way
 * before the first of them is waited for: waited for one after the other they
 * would be a chain up the pipe.
 *
 * MPI's profiling interface shows the order of what is started and asked for.
 * Whether the norms are right is for other tests (folding, golden).
 */
#define TAP_MPI
#include "tests/run/rig.h"

enum { K = 4, MOST = 64 };

static struct {
  MPI_Request *norm[MOST]; /* started in this step, in order */
  int n;
  int n_asked; /* how many had been started at the first question; -1: none */
} seen;

/* A ballot of a window has an element per stage and one for the head. */
int
MPI_Iallreduce (const void *in, void *out, int n, MPI_Datatype type, MPI_Op op,
                MPI_Comm comm, MPI_Request *request)
{
  if (n == K + 1 && type == MPI_DOUBLE && seen.n < MOST)
    seen.norm[seen.n++] = request;
  return PMPI_Iallreduce (in, out, n, type, op, comm, request);
}

int
MPI_Test (MPI_Request *request, int *done, MPI_Status *status)
{
  for (int i = 0; i < seen.n && seen.n_asked < 0; i++)
    if (seen.norm[i] == request)
      seen.n_asked = seen.n;
  return PMPI_Test (request, done, status);
}

/* Windows of several ranks that this one is in; window h: the stages that loss
 * h reaches, span of them, or all that there are. */
static int
windows (const struct session *s, int span, bool sum)
{
  int n = 0, me = wire_pipe_rank (s->wire);
  for (int h = 0; h < K; h++) {
    int first = h - span + 1 < 0 ? 0 : h - span + 1;
    if (!sum && h < span - 1 && h < K - 1)
      continue; /* every stage has one further on to follow */
    int low = s->design->plan->rank_of[first],
        high = s->design->plan->rank_of[h];
    n += low < high && low <= me && me <= high;
  }
  return n;
}

static void
test_order (struct rig *r, const char *mix, int span)
{
  struct config c;
  struct session s;
  struct ballots b = {.s = NULL};
  bool good = true, sum = strcmp (mix, "sum") == 0;
  rig_config (r, K, &c);
  snprintf (c.span, CONFIG_WORD, "%d", span);
  key_set (KEY_OF (mix), mix, &c);
  c.clip = 0.5;
  rig_session (r->w, &c, &s);
  rig_must (ballot_open (&s, &b));
  int want = windows (&s, span, sum);
  rig_must (session_begin (&s, 0, 3));
  for (int step = 0; step < 3; step++) {
    seen.n = 0;
    seen.n_asked = -1;
    rig_must (session_step (&s, step));
    good = good && seen.n == want && (want == 0 || seen.n_asked == want);
    tap_alone (good, "step %d: %d of %d norms started, %d before a question",
               step, seen.n, want, seen.n_asked);
    rig_must (ballot_cast (&b, step, STOP_NONE));
    rig_must (ballot_read (&b, step));
  }
  rig_must (session_end (&s));
  ballot_close (&b);
  session_close (&s);
  tap_ok (good, "span %d, %s: all norms, then all answers", span, mix);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 40, 16);
  test_order (&r, "furthest", 1);
  test_order (&r, "furthest", 2);
  test_order (&r, "furthest", 3);
  test_order (&r, "furthest", 4);
  test_order (&r, "sum", 2);
  test_order (&r, "sum", 3);
  test_order (&r, "sum", 4);
  rig_close (&r);
  return tap_done ();
}
