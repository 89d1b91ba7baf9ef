/* train/flow.c -- how large what the stages hand on is, and what they follow.
 *
 * The root mean square of every stage's output, and the norm of the gradient of
 * its body: of the steps with which a row of metrics.csv ends.  No other step
 * computes them.  They ride in the ballot of their step: every replica gives
 * the squares of its own outputs, added in the order of micro-batches, and the
 * root adds replicas in order, so that no bit depends on the folding.
 */
#include "train/train_impl.h"

#include <math.h>
#include <stdio.h>

struct flow {
  struct session *s; /* borrowed */
  double *seen;      /* 2 K: of the newest that was read; NAN before */
  bool *warned;      /* K */
};

int64_t
flow_interval (const struct design *d)
{
  return d->steps > 200 ? d->steps / 100 : 1;
}

/* Whether a row may end with step `step` (from 0). */
static bool
is_due (const struct design *d, int64_t step)
{
  return (step + 1) % flow_interval (d) == 0 || step + 1 == d->steps;
}

enum status
flow_open (struct session *s, struct flow **out)
{
  const size_t n = 2 * (size_t)s->design->K;
  if (s->design->spec.forward_only)
    return OK;
  TRY (MEM_NEW (1, out, "flow"));
  (*out)->s = s;
  TRY (MEM_NEW (n, &(*out)->seen, "flow"));
  TRY (MEM_NEW (n / 2, &(*out)->warned, "flow"));
  for (size_t i = 0; i < n; i++)
    (*out)->seen[i] = NAN;
  return OK;
}

void
flow_close (struct flow **it)
{
  if (!*it)
    return;
  mem_free (&(*it)->seen);
  mem_free (&(*it)->warned);
  mem_free (it);
}

void
flow_ask (struct flow *f, int64_t step)
{
  if (f)
    f->s->flow.on = is_due (f->s->design, step);
}

/* -- ballots -----------------------------------------------------------------
 */

int
flow_votes (const struct flow *f)
{
  return f ? (f->s->design->R + 1) * f->s->design->K : 0;
}

void
flow_cast (const struct flow *f, int64_t step, double *v)
{
  if (!f || !is_due (f->s->design, step))
    return;
  const struct session *s = f->s;
  const int K = s->design->K, r = wire_replica (s->wire);
  for (int i = 0; i < s->n_local; i++) {
    const int k = s->local[i].k;
    v[r * K + k] = s->flow.output[k];
    if (r == 0) /* all have the same */
      v[s->design->R * K + k] = s->flow.gradient[k];
  }
}

void
flow_read (struct flow *f, int64_t step, const double *v)
{
  if (!f || !is_due (f->s->design, step))
    return;
  const struct design *d = f->s->design;
  const int K = d->K;
  for (int k = 0; k < K; k++) {
    double squares = 0;
    for (int r = 0; r < d->R; r++)
      squares += v[r * K + k];
    f->seen[k] = sqrt (squares / session_numbers (d, k));
    f->seen[K + k] = sqrt (v[d->R * K + k]);
  }
}

const double *
flow_result (const struct flow *f)
{
  return f ? f->seen : NULL;
}

/* -- a border that outgrows its neighbours -----------------------------------
 *
 * In a residual network what a stage hands on is what came plus what it adds,
 * so that outputs of neighbours are of one size, in whatever network that
 * learns (twice to three times as large, one from the next, in ResNets and
 * Transformers from local to end to end).  A stage that is told by a later head
 * alone may let its output grow until the next stage has to undo it: then it
 * stands alone.  That of the last stage is read by the output's norm and
 * disturbs nobody, and behind a normalising border only directions count.
 */
#define TENFOLD 10

bool
flow_outgrows (const double *rms, int K, int k)
{
  return k < K - 1 && rms[k] > TENFOLD * rms[k + 1] &&
         (k == 0 || rms[k] > TENFOLD * rms[k - 1]);
}

/* What helps: besides a border, its own head where the stage does not learn
 * from that. */
static void
say_outgrown (const struct design *d, int k, const char *const is[4])
{
  struct text own;
  text_init (&own);
  if (!(d->route[k * d->K + k] > 0))
    text_add (&own, "; so does its own head beside the later one: %s = sum, %s",
              KEY_NAME (mix), KEY_NAME (own));
  say (LOG_WARN,
       "after step %s the output of stage %s is more than %d times as large "
       "as its neighbours' (root mean square %s, of stage %d %s), and what the "
       "next stage adds drowns in it: %s = rms, in a new run, takes away the "
       "scale at every border%s",
       is[0], is[1], TENFOLD, is[2], k + 1, is[3], KEY_NAME (border),
       own.size ? own.data : "");
  text_clear (&own);
}

static enum status
warn (const struct flow *f, int64_t step, int k)
{
  char word[4][32];
  const char *const is[] = {word[0], word[1], word[2], word[3]};
  snprintf (word[0], sizeof word[0], "%lld", (long long)step + 1);
  snprintf (word[1], sizeof word[1], "%d", k);
  snprintf (word[2], sizeof word[2], "%.4g", f->seen[k]);
  snprintf (word[3], sizeof word[3], "%.4g", f->seen[k + 1]);
  say_outgrown (f->s->design, k, is);
  const char *const fields[][2] = {
      {"step", is[0]}, {"stage", is[1]}, {"rms", is[2]}, {"next", is[3]}};
  return store_run_event (f->s->run, "outgrown", sizeof fields / sizeof *fields,
                          fields);
}

enum status
flow_warn (struct flow *f, int64_t step)
{
  if (!f || !f->s->run || !is_due (f->s->design, step) ||
      f->s->design->config.border != CONFIG_BORDER_NONE)
    return OK;
  for (int k = 0; k < f->s->design->K; k++)
    if (!f->warned[k] && flow_outgrows (f->seen, f->s->design->K, k)) {
      f->warned[k] = true;
      TRY (warn (f, step, k));
    }
  return OK;
}
