/* plan/plan.c -- makes a plan, compares plans, answers questions about one.
 *
 * What a rank should do first depends on when messages come, and that depends
 * on what all ranks do.  So a timetable is made, simulated until it repeats
 * itself, and made again for the moments at which ranks then really begin a
 * step; the fastest of a few such rounds is kept.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <math.h>
#include <string.h>

/* Steps that are simulated to find the time of one step (the cycle), unless it
 * repeats itself before: enough for the pipe to fill and to settle.  A
 * timetable may repeat itself every 2, 3 or 4 steps only, so the mean is over
 * the last TAIL, a multiple of these.  A pipe longer than LONG gets no more. */
#define SETTLE(n_pipe) (4 * (n_pipe) + 24)
#define LONG 64 /* ranks */
#define TAIL 12
/* Timetables that are tried.  Skew is by how much later than the first rank the
 * others begin a step. */
#define ROUNDS 4

/* -- making ------------------------------------------------------------------
 */

enum status
plan_check_cost (const struct plan_cost *c, int k)
{
  const double part[] = {
      c->forward, c->data,    c->weights,      c->head,      c->head_weights,
      c->update,  c->squares, c->output_bytes, c->sum_bytes, c->head_bytes};

  for (size_t i = 0; i < sizeof part / sizeof *part; i++)
    if (!(part[i] >= 0) || (i < 7 && part[i] > 1e6) || !isfinite (part[i]))
      return fail (E_CONFIG, "cost of stage %d: %g", k, part[i]);
  if (!(c->saved >= 0 && c->input >= 0 && c->input <= c->data))
    return fail (E_CONFIG, "stage %d saves %g and %g of %g + %g", k, c->saved,
                 c->input, c->data, c->weights);
  return OK;
}

static enum status
check_spec (const struct plan_spec *a)
{
  if (a->K < 1 || a->n_micro < 1 || a->n_replicas < 1)
    return fail (E_CONFIG,
                 "%d stages, %d micro-batches, %d replicas: each "
                 "must be at least 1",
                 a->K, a->n_micro, a->n_replicas);
  if (a->n_pipe < 1 || a->n_pipe > a->K)
    return fail (E_CONFIG, "%d stages on %d ranks: a rank would have none",
                 a->K, a->n_pipe);
  if ((unsigned)a->order > PLAN_FILLDRAIN)
    return fail (E_CONFIG, "no order %d", (int)a->order);
  if (!(a->latency_s >= 0 && a->latency_s <= 1e6) || !(a->bytes_per_s >= 0))
    return fail (E_CONFIG, "latency %g s, bandwidth %g bytes/s", a->latency_s,
                 a->bytes_per_s);
  for (int k = 0; k < a->K; k++) {
    int before = k == 0 ? -1 : a->rank_of[k - 1], step = a->rank_of[k] - before;
    if (step < 0 || step > 1 || (k == 0 && step != 1))
      return fail (E_CONFIG, "stage %d on rank %d, the one before on %d", k,
                   a->rank_of[k], before);
    if (a->cost)
      TRY (plan_check_cost (&a->cost[k], k));
  }
  if (a->rank_of[a->K - 1] != a->n_pipe - 1)
    return fail (E_CONFIG, "last stage on rank %d of %d", a->rank_of[a->K - 1],
                 a->n_pipe);
  return plan_route_check (a->K, a->route);
}

enum status
plan_allocate (struct plan *p, bool route)
{
  size_t K = (size_t)p->K, R = (size_t)p->n_pipe;

  TRY (MEM_NEW (K, &p->rank_of, "plan"));
  if (route)
    TRY (MEM_NEW (K * K, &p->route, "plan"));
  TRY (MEM_NEW (K, &p->head, "plan"));
  TRY (MEM_NEW (K, &p->window_first, "plan"));
  TRY (MEM_NEW (K + 1, &p->n_streams, "plan"));
  TRY (MEM_NEW (K + 1, &p->streams_below, "plan"));
  TRY (MEM_NEW (K + 1, &p->stream, "plan"));
  TRY (MEM_NEW (K, &p->n_passes, "plan"));
  TRY (MEM_NEW (K, &p->pass, "plan"));
  TRY (MEM_NEW (K, &p->n_slots, "plan"));
  TRY (MEM_NEW (K, &p->n_pairs, "plan"));
  TRY (MEM_NEW (R, &p->rank, "plan"));
  TRY (MEM_NEW (R, &p->busy_s, "plan"));
  TRY (MEM_NEW (K, &p->stage_idle_s, "plan"));
  return MEM_NEW (K, &p->cost, "plan");
}

static void
copy_spec (struct plan *p, const struct plan_spec *a)
{
  size_t K = (size_t)p->K;

  memcpy (p->rank_of, a->rank_of, K * sizeof (int));
  memcpy (p->route, a->route, K * K * sizeof (double));
  for (int k = 0; k < p->K; k++)
    p->cost[k] =
        a->cost ? a->cost[k]
                : (struct plan_cost){.forward = 1, .data = 1, .weights = 1};
}

/* Whether the head behind stage k uses a matrix that all heads share. */
static bool
head_shares (const struct plan *p, const struct plan_joint *j, int k)
{
  return j->heads && (j->has_head ? j->has_head[k] : p->head[k] != PLAN_SILENT);
}

enum status
plan_set_joint (struct plan *p, const struct plan_joint *j)
{
  const double part[] = {j->matrix_bytes, j->fold_s, j->copy_s};
  bool any = false;

  for (int i = 0; i < 3; i++)
    if (!(part[i] >= 0) || !isfinite (part[i]))
      return fail (E_CONFIG, "cost of a shared matrix: %g", part[i]);
  p->norms = j->norms;
  for (int k = 0; k < p->K - 1; k++)
    any = any || head_shares (p, j, k);
  if (!any && !j->first)
    return OK;
  p->matrix_bytes = j->matrix_bytes;
  p->fold_s = j->fold_s;
  p->copy_s = j->copy_s;
  TRY (MEM_NEW ((size_t)p->K, &p->shares, "plan"));
  for (int k = 0; k < p->K; k++)
    p->shares[k] =
        k == p->K - 1 || (k == 0 && j->first) || head_shares (p, j, k);
  return OK;
}

void
plan_set_heads (struct plan *p, bool all)
{
  for (int h = 0; h < p->K; h++) {
    enum plan_head rest = all ? PLAN_WITNESS : PLAN_SILENT;
    p->head[h] = p->window_first[h] >= 0 ? PLAN_ACTIVE : rest;
  }
}

static int
most_steps (const struct plan *p)
{
  return SETTLE (p->n_pipe < LONG ? p->n_pipe : LONG);
}

struct rounds {
  struct plan_jobs jobs;
  int64_t *start, *tried, *best; /* n_pipe: skews */
  int64_t *end, *idle;           /* see plan_simulate ... */
  uint64_t *trace;               /* ... of most_steps */
};

/* Whether everything repeats itself from here on.  What a step does when
 * follows from the step before: from when its ranks begin, and from the times
 * of what they did in it.  If all of that is as it was TAIL steps ago, only
 * later, it will be so again.  Two steps are compared, though one would do. */
static bool
repeats (const struct plan *p, int n, const int64_t *end, const uint64_t *trace)
{
  const int64_t span = end[n - 1] - end[n - 1 - TAIL];

  for (int r = 0; r < p->n_pipe; r++, end += n, trace += n)
    for (int i = n - 3; i < n; i++)
      if (end[i] - end[i - TAIL] != span ||
          (i > n - 3 && trace[i] != trace[i - TAIL]))
        return false;
  return true;
}

/* As many steps as it takes, most_steps at most.  Their number (*n) differs
 * from that by a multiple of TAIL, so that all times come out as after that
 * many. */
static enum status
settle (const struct plan *p, struct rounds *x, int *n)
{
  const int most = most_steps (p);

  for (*n = 2 * TAIL + most % TAIL;; *n += (*n + TAIL - 1) / TAIL * TAIL) {
    *n = *n < most ? *n : most;
    TRY (plan_simulate (p, *n, TAIL, NULL, x->end, x->idle, x->trace));
    if (*n == most || repeats (p, *n, x->end, x->trace))
      return OK;
  }
}

/* One timetable, and its cycle; start becomes the skew it settles into. */
static enum status
one_round (struct plan *p, struct rounds *x, int64_t *cycle)
{
  int n;
  int64_t first = PLAN_NEVER, *start = x->start;
  const int64_t *end = x->end;

  TRY (plan_schedule (p, start, &x->jobs));
  TRY (plan_lists (p, &x->jobs));
  TRY (settle (p, x, &n));
  *cycle = 0;
  for (int r = 0; r < p->n_pipe; r++) {
    int64_t span = end[r * n + n - 1] - end[r * n + n - 1 - TAIL];
    *cycle = span > *cycle ? span : *cycle;
    first = end[r * n + n - 1] < first ? end[r * n + n - 1] : first;
  }
  for (int r = 0; r < p->n_pipe; r++)
    start[r] = end[r * n + n - 1] - first;
  return OK;
}

static void
set_times (struct plan *p, int64_t cycle, const int64_t *idle)
{
  p->cycle_s = plan_seconds (cycle) / TAIL;
  for (int k = 0; k < p->K; k++)
    p->stage_idle_s[k] = plan_seconds (idle[k]) / TAIL;
  for (int r = 0; r < p->n_pipe; r++) {
    int64_t busy = 0;
    for (int i = 0; i < p->rank[r].n_ops; i++)
      busy += plan_op_ticks (p, &p->rank[r].op[i]);
    p->busy_s[r] = plan_seconds (busy);
  }
}

static void
rounds_clear (struct rounds *x)
{
  mem_free (&x->start);
  mem_free (&x->tried);
  mem_free (&x->best);
  mem_free (&x->end);
  mem_free (&x->idle);
  mem_free (&x->trace);
  plan_jobs_clear (&x->jobs);
}

static enum status
rounds_init (const struct plan *p, struct rounds *x)
{
  size_t R = (size_t)p->n_pipe;

  TRY (plan_jobs_init (p, &x->jobs));
  TRY (MEM_NEW (R, &x->start, "timetable"));
  TRY (MEM_NEW (R, &x->tried, "timetable"));
  TRY (MEM_NEW (R, &x->best, "timetable"));
  TRY (MEM_NEW (R * (size_t)most_steps (p), &x->end, "timetable"));
  TRY (MEM_NEW (R * (size_t)most_steps (p), &x->trace, "timetable"));
  return MEM_NEW ((size_t)p->K, &x->idle, "timetable");
}

/* The first timetable is made for an empty pipe; in the long run ranks start a
 * step at different times, so later ones are made for that skew.  The best is
 * kept, the first among equals. */
static enum status
run_rounds (struct plan *p, struct rounds *x)
{
  size_t bytes = (size_t)p->n_pipe * sizeof (int64_t);
  int64_t best = PLAN_NEVER, cycle = 0;

  for (int i = 0; i < ROUNDS; i++) {
    memcpy (x->tried, x->start, bytes);
    TRY (one_round (p, x, &cycle));
    if (cycle < best) {
      best = cycle;
      memcpy (x->best, x->tried, bytes);
    }
    if (memcmp (x->start, x->tried, bytes) == 0)
      break;
  }
  if (memcmp (x->best, x->tried, bytes) != 0) {
    memcpy (x->start, x->best, bytes);
    TRY (one_round (p, x, &cycle));
  }
  set_times (p, cycle, x->idle);
  return OK;
}

enum status
plan_make_timetable (struct plan *p)
{
  struct rounds x = {0};
  enum status s = rounds_init (p, &x);

  if (s == OK)
    s = run_rounds (p, &x);
  rounds_clear (&x);
  return s;
}

enum status
plan_create (const struct plan_spec *spec, struct plan **out)
{
  struct plan *p;
  enum status s;

  TRY (check_spec (spec));
  TRY (MEM_NEW (1, &p, "plan"));
  p->K = spec->K;
  p->n_micro = spec->n_micro;
  p->n_pipe = spec->n_pipe;
  p->n_replicas = spec->n_replicas;
  p->order = spec->order;
  p->grows = spec->grows;
  p->latency_s = spec->latency_s;
  p->bytes_per_s = spec->bytes_per_s;
  TRY_GOTO (plan_allocate (p, true), failed);
  copy_spec (p, spec);
  TRY_GOTO (plan_streams (p), failed);
  plan_set_heads (p, spec->heads_all);
  TRY_GOTO (plan_set_joint (p, &spec->joint), failed);
  TRY_GOTO (plan_make_timetable (p), failed);
  *out = p;
  return OK;
failed:
  plan_destroy (&p);
  return s;
}

static void
destroy_stage (struct plan *p, int k)
{
  for (int i = 0; p->stream[k] && i < p->n_streams[k]; i++)
    mem_free (&p->stream[k][i].weight);
  for (int i = 0; p->pass[k] && i < p->n_passes[k]; i++) {
    mem_free (&p->pass[k][i].in);
    mem_free (&p->pass[k][i].coef);
  }
  mem_free (&p->stream[k]);
  mem_free (&p->pass[k]);
}

void
plan_destroy (struct plan **address)
{
  struct plan *p = *address;

  if (!p)
    return;
  plan_lists_clear (p);
  for (int k = 0; p->stream && p->pass && k < p->K; k++)
    destroy_stage (p, k);
  mem_free (&p->rank_of);
  mem_free (&p->route);
  mem_free (&p->head);
  mem_free (&p->window_first);
  mem_free (&p->n_streams);
  mem_free (&p->streams_below);
  mem_free (&p->stream);
  mem_free (&p->n_passes);
  mem_free (&p->pass);
  mem_free (&p->n_slots);
  mem_free (&p->n_pairs);
  mem_free (&p->rank);
  mem_free (&p->busy_s);
  mem_free (&p->stage_idle_s);
  mem_free (&p->cost);
  mem_free (&p->shares);
  mem_free (address);
}

/* -- comparing and asking ----------------------------------------------------
 */

/* Field by field: what lies between the fields of a struct is not defined. */
static uint64_t
hash_numbers (uint64_t h, const int *n, size_t count)
{
  return hash_bytes (n, count * sizeof *n, h);
}

static uint64_t
hash_stage (const struct plan *p, int k, uint64_t h)
{
  const int head[] = {p->rank_of[k],   (int)p->head[k], p->window_first[k],
                      p->n_streams[k], p->n_passes[k],  p->n_slots[k],
                      p->n_pairs[k]};

  h = hash_numbers (h, head, sizeof head / sizeof *head);
  for (int i = 0; i < p->n_streams[k]; i++) {
    const struct plan_stream *s = &p->stream[k][i];
    h = hash_numbers (h, &s->window, 1);
    h = hash_bytes (s->weight, (size_t)p->K * sizeof (double), h);
  }
  for (int i = 0; i < p->n_passes[k]; i++) {
    const struct plan_pass *pass = &p->pass[k][i];
    const int facts[] = {pass->n_in, pass->out, pass->learn};
    h = hash_numbers (h, facts, 3);
    h = hash_numbers (h, pass->in, (size_t)pass->n_in);
    h = hash_bytes (pass->coef, (size_t)pass->n_in * sizeof (double), h);
  }
  return h;
}

static uint64_t
hash_list (const struct plan_rank *rank, uint64_t h)
{
  const int head[] = {rank->first_stage, rank->end_stage, rank->n_ops};

  h = hash_numbers (h, head, 3);
  for (int i = 0; i < rank->n_ops; i++) {
    const struct plan_op *o = &rank->op[i];
    const int field[] = {(int)o->verb, o->stage, o->micro,  o->slot,
                         o->source,    o->pair,  o->pass,   o->stream,
                         o->slot_to,   o->peer,  o->window, o->tag,
                         o->ahead,     o->joined};
    h = hash_numbers (h, field, sizeof field / sizeof *field);
  }
  return h;
}

uint64_t
plan_hash (const struct plan *p)
{
  const int head[] = {p->K, p->n_micro, p->n_pipe, p->n_replicas,
                      (int)p->order};
  uint64_t h = hash_numbers (0, head, sizeof head / sizeof *head);

  h = hash_bytes (p->route, (size_t)(p->K * p->K) * sizeof (double), h);
  for (int k = 0; k < p->K; k++)
    h = hash_stage (p, k, h);
  for (int r = 0; r < p->n_pipe; r++)
    h = hash_list (&p->rank[r], h);
  if (p->grows)
    h = hash_numbers (h, (const int[]){1}, 1);
  return h;
}

void
plan_messages (const struct plan *p, int *activations, int *gradients)
{
  *activations = p->K - 1;
  *gradients = 0;
  for (int b = 1; b < p->K; b++)
    *gradients += p->n_streams[b];
}

double
plan_time (const struct plan *p, int64_t n_steps)
{
  int most = most_steps (p), n = n_steps < most ? (int)n_steps : most;
  int64_t *end = NULL, *idle = NULL, last = 0;

  if (n_steps <= 0)
    return 0;
  if (MEM_NEW ((size_t)p->n_pipe * (size_t)n, &end, "time") == OK &&
      MEM_NEW ((size_t)p->K, &idle, "time") == OK &&
      plan_simulate (p, n, 0, NULL, end, idle, NULL) == OK)
    for (int r = 0; r < p->n_pipe; r++)
      last = end[r * n + n - 1] > last ? end[r * n + n - 1] : last;
  mem_free (&end);
  mem_free (&idle);
  return plan_seconds (last) + (double)(n_steps - n) * p->cycle_s;
}
