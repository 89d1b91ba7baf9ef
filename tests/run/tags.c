/* ranks: 2 3 */
/* tests/run/tags.c -- a run over a library whose tags end where those of its
 * plan do: training, comparing gradients, one matrix of several stages,
 * evaluation.  With one tag less it is refused before the first step.
 *
 * The library's answers and messages pass through here by MPI's profiling
 * interface.
 */
#define TAP_MPI
#include "tests/run/h5.h"
#include "tests/wire/tool.h"

static int bound;   /* 0: what the library says */
static int largest; /* of the tags of messages since it was last set to -1 */

int
MPI_Comm_get_attr (MPI_Comm comm, int key, void *value, int *given)
{
  int code = PMPI_Comm_get_attr (comm, key, value, given);
  if (key == MPI_TAG_UB && bound > 0)
    *(int **)value = &bound;
  return code;
}

int
MPI_Isend (const void *data, int n, MPI_Datatype type, int to, int tag,
           MPI_Comm comm, MPI_Request *request)
{
  largest = tag > largest ? tag : largest;
  return PMPI_Isend (data, n, type, to, tag, comm, request);
}

int
MPI_Irecv (void *data, int n, MPI_Datatype type, int from, int tag,
           MPI_Comm comm, MPI_Request *request)
{
  largest = tag > largest ? tag : largest;
  return PMPI_Irecv (data, n, type, from, tag, comm, request);
}

enum { STEPS = 4 };

static void
config (const struct rig *r, struct config *c)
{
  rig_config (r, 4, c);
  rig_language (c);
  c->tied = true;
  snprintf (c->head, CONFIG_TEXT, "ln-shared");
  snprintf (c->span, CONFIG_WORD, "2");
  c->micro = 2;
  c->clip = 0.5;
  c->agreement = 2;
}

/* Everything of a run that sends. */
static double
run_all (struct rig *r, const struct config *c)
{
  double loss[4], accuracy[4];
  struct evaluation v = {.loss = loss, .accuracy = accuracy};
  struct session s;
  rig_session (r->w, c, &s);
  rig_must (session_begin (&s, 0, STEPS));
  for (int64_t step = 0; step < STEPS; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  rig_must (session_evaluate (&s, DATA_VALID, 0, NULL, &v));
  session_close (&s);
  return loss[3];
}

static int
tags_of (struct rig *r, const struct config *c)
{
  struct session s;
  rig_session (r->w, c, &s);
  int n = (int)plan_tags (s.design->plan);
  session_close (&s);
  return n;
}

static void
test_refused (struct rig *r, const struct config *c, int n)
{
  struct session_spec spec = {.design = {.guess_costs = true}};
  struct tool_capture said;
  struct session s;
  char text[8192], want[64], have[64];
  bound = n - 2;
  tool_capture_begin (&said);
  enum status e = session_open (r->w, c, &spec, &s);
  tool_capture_end (&said, text, sizeof text);
  bound = 0;
  snprintf (want, sizeof want, "up to %d", n - 1);
  snprintf (have, sizeof have, "up to %d", n - 2);
  bool told =
      wire_rank (r->w) > 0 ||
      (strstr (text, want) && strstr (text, have) &&
       strstr (text, "4 stages x 2 micro-batches") && tool_lines (text) == 1);
  tap_ok (e == E_LIMIT && told, "a tag less: refused, with both numbers");
}

int
main (int argc, char **argv)
{
  struct rig r;
  struct config c;
  rig_open (&argc, &argv, &r);
  h5_language (&r, "data", 40);
  config (&r, &c);
  double loss = run_all (&r, &c);
  int n = tags_of (&r, &c);
  largest = -1;
  bound = n - 1;
  double same = run_all (&r, &c);
  bound = 0;
  tap_ok (isfinite (loss) && same == loss, "the same loss, %.6f", loss);
  tap_ok (largest >= 0 && largest < n, "%d tags, the largest used is %d", n,
          largest);
  test_refused (&r, &c, n);
  rig_close (&r);
  return tap_done ();
}
