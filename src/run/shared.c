/* run/shared.c -- one matrix that several stages use: the token embedding as
 * output matrix (`tied`), the output matrix in every head (`shared`).
 *
 * Gradients go up the pipe, from one rank that uses the matrix to the next, and
 * each adds what its stages give, in the order of the stages: the sum has the
 * same bits for any folding.  The last stage updates; its values come back down
 * the same way.  So the stages of such a network wait for each other once per
 * step: that is the price of one matrix.
 */
#include "run/session.h"

#include <string.h>

enum { UP, DOWN }; /* tags, too */

/* Whether stage k uses the matrix. */
static bool
uses (const struct session *s, int k)
{
  const struct design *d = s->design;
  return d->plan->shares && d->plan->shares[k];
}

static bool
rank_uses (const struct session *s, int rank)
{
  const struct plan_rank *r = &s->design->plan->rank[rank];
  for (int k = r->first_stage; k < r->end_stage; k++)
    if (uses (s, k))
      return true;
  return false;
}

/* The next rank up (step 1) or down (-1) the pipe that uses it; -1: none. */
static int
neighbour (const struct session *s, int step)
{
  return plan_share_next (s->design->plan, wire_pipe_rank (s->wire), step);
}

static struct stage *
some_user (const struct session *s)
{
  for (int i = 0; i < s->n_local; i++)
    if (stage_shared (s->local[i].stage) != STAGE_SHARED_NONE)
      return s->local[i].stage;
  return NULL;
}

static struct tensor
matrix (const struct session *s)
{
  const struct model_spec *m = network_spec (s->design->net);
  return (struct tensor){
      .data = s->shared,
      .bytes = tensor_bytes (NETWORK_PARAM, (int64_t)m->classes * m->d_model),
      .n_dims = 2,
      .dims = {m->classes, m->d_model}};
}

size_t
shared_bytes (const struct session *s)
{
  bool alone = neighbour (s, 1) < 0 && neighbour (s, -1) < 0;
  if (!s->design->plan->shares || alone ||
      !rank_uses (s, wire_pipe_rank (s->wire)))
    return 0;
  return arena_round (TENSOR_HEADER + matrix (s).bytes);
}

void
shared_make (struct session *s)
{
  const size_t bytes = shared_bytes (s);
  if (bytes > 0)
    s->shared =
        (float *)((char *)arena_take (&s->borders, bytes) + TENSOR_HEADER);
}

bool
shared_is_mine (const struct session *s, const struct local_stage *l)
{
  const struct design *d = s->design;
  return d->plan->shares && l->k == d->K - 1;
}

static struct wire_id
id_of (int64_t step, int way)
{
  return (struct wire_id){
      .step = step, .micro = -1, .border = -1, .stream = -2 - way};
}

enum status
shared_settle (struct session *s)
{
  if (s->shared_request == WIRE_NONE)
    return OK;
  /* The next rank has to take it before it answers: it is waited for. */
  enum clock_class was = s->account.running;
  clock_switch (&s->account, CLOCK_WAIT);
  enum status e = wire_wait (s->wire, &s->shared_request, NULL, NULL);
  clock_switch (&s->account, was);
  return e;
}

static enum status
get (struct session *s, int peer, int64_t step, int way)
{
  const struct tensor t = matrix (s);
  const struct wire_id id = id_of (step, way);
  int request = WIRE_NONE;
  TRY (shared_settle (s));
  clock_switch (&s->account, CLOCK_EXPOSED);
  TRY (wire_post (s->wire, WIRE_SHARED, &t, peer, way, &request));
  return session_await (s, &request, &id);
}

/* On its way; shared_settle before the room is used again. */
static enum status
put_on (struct session *s, int peer, int64_t step, int way)
{
  const struct tensor t = matrix (s);
  clock_switch (&s->account, CLOCK_EXPOSED);
  return wire_send (s->wire, WIRE_SHARED, &t, peer, way, id_of (step, way),
                    &s->shared_request);
}

enum status
shared_sum (struct session *s, int64_t step)
{
  if (!s->design->plan->shares || !rank_uses (s, wire_pipe_rank (s->wire)))
    return OK;
  const int below = neighbour (s, -1), above = neighbour (s, 1);
  const float *sum = NULL;
  if (below >= 0) {
    TRY (get (s, below, step, UP));
    sum = s->shared;
  }
  clock_switch (&s->account, CLOCK_PLAIN);
  for (int i = 0; i < s->n_local; i++)
    if (stage_shared (s->local[i].stage) != STAGE_SHARED_NONE &&
        uses (s, s->local[i].k))
      sum = stage_shared_fold (s->local[i].stage, sum);
  if (above < 0)
    return sums_owner (s, &s->local[s->n_local - 1]);
  const struct tensor t = matrix (s);
  TRY (shared_settle (s));
  if (sum != s->shared && sum)
    memcpy (s->shared, sum, t.bytes);
  else if (!sum)
    memset (s->shared, 0, t.bytes);
  return put_on (s, above, step, UP);
}

enum status
shared_spread (struct session *s, int64_t step)
{
  if (!s->design->plan->shares || !rank_uses (s, wire_pipe_rank (s->wire)))
    return OK;
  const int below = neighbour (s, -1), above = neighbour (s, 1);
  const size_t bytes = matrix (s).bytes;
  float *value;
  size_t n;
  stage_shared_value (some_user (s), &value, &n);
  if (above >= 0)
    TRY (get (s, above, step, DOWN));
  else
    stage_shared_value (s->local[s->n_local - 1].stage, &value, &n);
  const float *from = above >= 0 ? s->shared : value;
  for (int i = 0; i < s->n_local; i++) {
    struct stage *stage = s->local[i].stage;
    if (stage_shared (stage) != STAGE_SHARED_COPY)
      continue;
    stage_shared_value (stage, &value, &n);
    memcpy (value, from, bytes);
    TRY (stage_shared_settle (stage));
  }
  if (below < 0)
    return OK;
  TRY (shared_settle (s));
  if (from != s->shared)
    memcpy (s->shared, from, bytes);
  return put_on (s, below, step, DOWN);
}
