/* ranks: 0 */
/* The walker is itself checked: every planted fault has to be seen.  And the
 * hash: whatever changes in a plan changes it. */
#include "base/fault.h"
#include "base/memory.h"
#include "tests/plan/ask.h"

static struct plan *
sample (int which)
{
  /* Stages 0, 3 and 4 do not learn: nothing goes through 0, all of what the
   * others learn from through 3, and head 4 learns. */
  static const double frozen[25] = {[5 + 3] = 1, [5 + 4] = 1, [10 + 4] = 1};
  switch (which) {
  case 0:
    return ask_span ((struct ask){.K = 4, .n_micro = 2}, 2, PLAN_FURTHEST);
  case 1:
    return ask_span ((struct ask){.K = 5,
                                  .n_pipe = 2,
                                  .n_micro = 3,
                                  .order = PLAN_1F1B,
                                  .heads_all = true},
                     3, PLAN_FURTHEST);
  case 2:
    return ask_span (
        (struct ask){.K = 4, .n_pipe = 3, .n_micro = 3, .n_replicas = 2}, 3,
        PLAN_MEAN);
  case 3:
    return ask_plan (&(struct ask){
        .K = 5, .n_pipe = 4, .n_micro = 2, .n_replicas = 2, .route = frozen});
  default:
    return ask_span (
        (struct ask){.K = 3, .n_micro = 2, .order = PLAN_FILLDRAIN}, 3,
        PLAN_FURTHEST);
  }
}
#define SAMPLES 5

static bool
seen (const struct plan *p)
{
  bool complains = plan_walk (p, 3) == E_FAULT && *fail_message ();
  fail_clear ();
  return complains;
}

/* -- operations left out -----------------------------------------------------
 */

static void
left_out (int which)
{
  struct plan *p = sample (which);
  int n = 0, missed = 0;

  for (int r = 0; r < p->n_pipe; r++) {
    struct plan_rank *rank = &p->rank[r];
    for (int i = 0; i < rank->n_ops; i++, n++) {
      struct plan_op out = rank->op[i];
      size_t behind = (size_t)(rank->n_ops - i - 1) * sizeof out;
      memmove (&rank->op[i], &rank->op[i + 1], behind);
      rank->n_ops--;
      if (!seen (p)) {
        tap_note ("missed: rank %d without op %d (%s)", r, i,
                  plan_verb_name (out.verb));
        missed++;
      }
      memmove (&rank->op[i + 1], &rank->op[i], behind);
      rank->op[i] = out;
      rank->n_ops++;
    }
  }
  tap_ok (missed == 0 && plan_walk (p, 3) == OK,
          "sample %d: %d lists with one operation left out, %d not noticed",
          which, n, missed);
  plan_destroy (&p);
}

/* -- fields ------------------------------------------------------------------
 */

static const struct {
  const char *name;
  size_t at;
} field[] = {{"stage", offsetof (struct plan_op, stage)},
             {"micro", offsetof (struct plan_op, micro)},
             {"slot", offsetof (struct plan_op, slot)},
             {"source", offsetof (struct plan_op, source)},
             {"pair", offsetof (struct plan_op, pair)},
             {"pass", offsetof (struct plan_op, pass)},
             {"stream", offsetof (struct plan_op, stream)},
             {"slot_to", offsetof (struct plan_op, slot_to)},
             {"peer", offsetof (struct plan_op, peer)},
             {"window", offsetof (struct plan_op, window)},
             {"tag", offsetof (struct plan_op, tag)}};
#define FIELDS (sizeof field / sizeof *field)

/* The field means something to the verb. */
static bool
matters (const struct plan_op *o, size_t f)
{
  const char *name = field[f].name;
  int value;

  memcpy (&value, (const char *)o + field[f].at, sizeof value);
  return value >= 0 || strcmp (name, "stage") == 0 ||
         (o->verb == PLAN_FORWARD && strcmp (name, "source") == 0) ||
         (o->verb == PLAN_PASS &&
          (strcmp (name, "slot_to") == 0 || strcmp (name, "pair") == 0));
}

static void
wrong_field (int which, size_t f)
{
  struct plan *p = sample (which);
  uint64_t hash = plan_hash (p);
  int n = 0, missed = 0, same = 0;

  for (int r = 0; r < p->n_pipe; r++)
    for (int i = 0; i < p->rank[r].n_ops; i++)
      for (int delta = -1; delta <= 1; delta += 2) {
        struct plan_op *o = &p->rank[r].op[i], old = *o;
        int *value = (int *)((char *)o + field[f].at);
        if (!matters (o, f))
          continue;
        *value += delta;
        n++;
        same += plan_hash (p) == hash;
        if (!seen (p)) {
          tap_note ("missed: rank %d, op %d (%s, micro %d), %s %+d", r, i,
                    plan_verb_name (old.verb), old.micro, field[f].name, delta);
          missed++;
        }
        *o = old;
      }
  tap_ok (n > 0 && missed == 0 && same == 0,
          "sample %d: %d operations with a wrong %s: %d not noticed, %d with "
          "the same hash",
          which, n, field[f].name, missed, same);
  plan_destroy (&p);
}

static void
wrong_ahead (int which)
{
  struct plan *p = sample (which);
  uint64_t hash = plan_hash (p);
  int n = 0, missed = 0;

  for (int r = 0; r < p->n_pipe; r++)
    for (int i = 0; i < p->rank[r].n_ops; i++) {
      struct plan_op *o = &p->rank[r].op[i];
      if (o->verb != PLAN_POST_ACT && o->verb != PLAN_POST_GRAD)
        continue;
      o->ahead = !o->ahead;
      n++;
      missed += !seen (p) || plan_hash (p) == hash;
      o->ahead = !o->ahead;
    }
  tap_ok (n > 0 && missed == 0, "sample %d: %d wrong posts, %d not noticed",
          which, n, missed);
  plan_destroy (&p);
}

/* -- order -------------------------------------------------------------------
 */

/* Neighbours that may not change places. */
static bool
ordered (const struct plan_op *a, const struct plan_op *b)
{
  bool same = a->stage == b->stage && a->micro == b->micro;
  bool first_receives = a->verb == PLAN_RECV_ACT || a->verb == PLAN_RECV_GRAD;

  if (a->verb == PLAN_TAKE || first_receives)
    return b->verb == PLAN_FORWARD || b->verb == PLAN_PASS;
  if (b->verb == PLAN_SEND_ACT || b->verb == PLAN_SEND_GRAD)
    return a->verb == PLAN_FORWARD || a->verb == PLAN_PASS;
  if (a->verb == PLAN_REDUCE && b->verb == PLAN_UPDATE)
    return a->stage == b->stage;
  if (b->verb == PLAN_REDUCE && a->stage == b->stage)
    return a->verb == PLAN_WEIGHTS || a->verb == PLAN_HEAD_WEIGHTS;
  if (a->verb == PLAN_PASS && b->verb == PLAN_WEIGHTS)
    return same;
  if (a->verb == PLAN_WEIGHTS &&
      (b->verb == PLAN_POST_ACT || b->verb == PLAN_POST_GRAD))
    return a->stage == b->stage;
  return same && a->verb == PLAN_FORWARD && b->verb == PLAN_HEAD;
}

static void
swapped (int which)
{
  struct plan *p = sample (which);
  uint64_t hash = plan_hash (p);
  int n = 0, missed = 0;

  for (int r = 0; r < p->n_pipe; r++)
    for (int i = 0; i + 1 < p->rank[r].n_ops; i++) {
      struct plan_op *o = &p->rank[r].op[i], a = o[0], b = o[1];
      if (!ordered (&a, &b))
        continue;
      o[0] = b;
      o[1] = a;
      n++;
      if (!seen (p) || plan_hash (p) == hash) {
        tap_note ("missed: rank %d, ops %d and %d: %s and %s", r, i, i + 1,
                  plan_verb_name (a.verb), plan_verb_name (b.verb));
        missed++;
      }
      o[0] = a;
      o[1] = b;
    }
  tap_ok (n > 0 && missed == 0, "sample %d: %d swaps, %d not noticed", which, n,
          missed);
  plan_destroy (&p);
}

/* Two ranks that wait for each other: the gradient is waited for before the
 * activation that it comes from is sent. */
static void
ring (void)
{
  struct plan *p = ask_span ((struct ask){.K = 2}, 2, PLAN_FURTHEST);
  struct plan_rank *rank = &p->rank[0];
  int recv = -1, send = -1;

  for (int i = 0; i < rank->n_ops; i++) {
    recv = rank->op[i].verb == PLAN_RECV_GRAD ? i : recv;
    send = rank->op[i].verb == PLAN_SEND_ACT ? i : send;
  }
  struct plan_op op = rank->op[recv];
  memmove (&rank->op[send + 1], &rank->op[send],
           (size_t)(recv - send) * sizeof op);
  rank->op[send] = op;
  bool found = plan_walk (p, 3) == E_FAULT;
  tap_ok (found && strstr (fail_message (), "deadlock"), "a ring of waits: %s",
          fail_message ());
  fail_clear ();
  plan_destroy (&p);
}

/* -- the table ---------------------------------------------------------------
 */

static void
wrong_sums (void)
{
  struct plan *p = sample (2);
  uint64_t hash = plan_hash (p);
  int n = 0, missed = 0;

  for (int k = 0; k < p->K; k++)
    for (int i = 0; i < p->n_passes[k]; i++)
      for (int j = 0; j < p->pass[k][i].n_in; j++, n++) {
        double *c = &p->pass[k][i].coef[j], old = *c;
        *c = old * (1 + 1e-9);
        missed += !seen (p) || plan_hash (p) == hash;
        *c = old;
      }
  for (int i = 0; i < p->K * p->K; i++)
    if (p->route[i] != 0) {
      double old = p->route[i];
      p->route[i] = old * (1 + 1e-9);
      missed += !seen (p) || plan_hash (p) == hash;
      p->route[i] = old;
      n++;
    }
  for (int b = 1; b < p->K; b++)
    for (int i = 0; i < p->n_streams[b]; i++, n++) {
      p->stream[b][i].weight[p->K - 1] += 1e-3;
      missed += !seen (p) || plan_hash (p) == hash;
      p->stream[b][i].weight[p->K - 1] -= 1e-3;
    }
  tap_ok (n > 20 && missed == 0, "%d slightly wrong sums, %d not noticed", n,
          missed);
  plan_destroy (&p);
}

/* What a plan is asked for is in its hash. */
static void
hashes (void)
{
  const struct ask base = {.K = 4, .n_pipe = 4, .n_micro = 2};
  const struct ask other[] = {
      {.K = 5, .n_pipe = 4, .n_micro = 2},
      {.K = 4, .n_pipe = 3, .n_micro = 2},
      {.K = 4, .n_pipe = 4, .n_micro = 3},
      {.K = 4, .n_pipe = 4, .n_micro = 2, .n_replicas = 2},
      {.K = 4, .n_pipe = 4, .n_micro = 2, .order = PLAN_1F1B},
      {.K = 4, .n_pipe = 4, .n_micro = 2, .heads_all = true}};
  uint64_t h[16];
  int n = 0;
  bool differ = true;
  struct plan *p;

  for (int i = 0; i < 2; i++) {
    p = ask_span (base, 2, PLAN_FURTHEST);
    h[i] = plan_hash (p);
    plan_destroy (&p);
  }
  tap_ok (h[0] == h[1], "the same question gives the same hash");
  n = 1;
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    p = ask_span (other[i], 2, PLAN_FURTHEST);
    h[n++] = plan_hash (p);
    plan_destroy (&p);
  }
  p = ask_span (base, 3, PLAN_FURTHEST);
  h[n++] = plan_hash (p);
  plan_destroy (&p);
  p = ask_span (base, 2, PLAN_SUM);
  h[n++] = plan_hash (p);
  plan_destroy (&p);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++)
      differ = differ && h[i] != h[j];
  tap_ok (differ, "%d different questions, as many hashes", n);
}

/* Questions that cannot be answered, and memory that runs out half-way. */
static void
refusals (void)
{
  double route[4] = {1, 0, 0, 1};
  int rank_of[2] = {0, 1}, wrong[2] = {1, 0}, gap[2] = {0, 0};
  struct plan_cost cost[2] = {{.forward = -1}};
  struct plan_cost more[2] = {{.data = 1, .input = 1.5}};
  const struct plan_spec good = {.K = 2,
                                 .route = route,
                                 .n_micro = 1,
                                 .n_pipe = 2,
                                 .n_replicas = 1,
                                 .rank_of = rank_of};
  struct plan_spec a[8];
  struct plan *p = NULL;
  int refused = 0;

  for (int i = 0; i < 8; i++)
    a[i] = good;
  a[0].n_micro = 0;
  a[1].n_pipe = 3;
  a[2].rank_of = wrong;
  a[3].rank_of = gap;
  a[4].cost = cost;
  a[5].n_replicas = 0;
  a[6].latency_s = NAN;
  a[7].cost = more;
  for (int i = 0; i < 8; i++) {
    refused += plan_create (&a[i], &p) == E_CONFIG && !p && *fail_message ();
    fail_clear ();
  }
  tap_ok (refused == 8, "%d of 8 wrong questions refused", refused);
  tap_ok (plan_create (&good, &p) == OK, "the right one is not");
  plan_destroy (&p);
  plan_destroy (&p);
}

static void
memory (void)
{
  size_t bytes, before, after, peak;
  int n = 0;
  enum status s = E_MEMORY;

  mem_count (&bytes, &before, &peak);
  bool clean = true;
  for (n = 1; s == E_MEMORY && n < 2000; n++) {
    double route[9];
    int rank_of[3] = {0, 1, 1};
    struct plan *p = NULL;
    struct plan_spec a = {.K = 3,
                          .route = route,
                          .n_micro = 2,
                          .n_pipe = 2,
                          .n_replicas = 1,
                          .rank_of = rank_of};
    char spec[32];
    plan_route (3, 2, PLAN_SUM, route);
    snprintf (spec, sizeof spec, "alloc:%d", n);
    fault_plant (spec);
    s = plan_create (&a, &p);
    if (s == OK)
      s = plan_walk (p, 2);
    fault_plant (NULL);
    fail_clear ();
    plan_destroy (&p);
    mem_count (&bytes, &after, &peak);
    clean = clean && after == before;
  }
  tap_ok (s == OK && n > 50 && clean,
          "%d allocations fail one by one, nothing is lost", n - 1);
}

int
main (void)
{
  for (int which = 0; which < SAMPLES; which++) {
    left_out (which);
    swapped (which);
    wrong_ahead (which);
    for (size_t f = 0; f < FIELDS; f++)
      wrong_field (which, f);
  }
  ring ();
  wrong_sums ();
  hashes ();
  refusals ();
  memory ();
  return tap_done ();
}
