/* ranks: 0 */
/* Every timetable of small cases is walked: no deadlock, no buffer overwritten,
 * each stage learns from what its row says.  Slots stay within their bounds,
 * and what a stage computes with does not depend on the folding. */
#include "base/hash.h"
#include "base/random.h"
#include "tests/plan/ask.h"

struct tally {
  int tried, bad;
};

static int
farthest (const struct plan *p, int k)
{
  int far = k;
  for (int h = k; h < p->K; h++)
    for (int j = 0; j <= k; j++)
      if (p->route[j * p->K + h] != 0)
        far = h;
  return far - k;
}

static bool
frozen (const struct plan *p, int k)
{
  for (int h = 0; h < p->K; h++)
    if (p->route[k * p->K + h] != 0)
      return false;
  return true;
}

static bool
slots_bounded (const struct plan *p)
{
  for (int k = 0; k < p->K; k++) {
    int most = p->n_micro, reach = farthest (p, k);
    if (p->order == PLAN_EAGER && reach + 2 < most)
      most = reach + 2;
    if (p->order == PLAN_1F1B && reach + 1 < most)
      most = reach + 1;
    if (p->n_slots[k] < 1 || p->n_slots[k] > most ||
        (p->n_pairs[k] < 1) != frozen (p, k) || p->n_pairs[k] > p->n_slots[k])
      return false;
    if (p->order == PLAN_FILLDRAIN && p->n_passes[k] > 0 &&
        p->n_slots[k] != p->n_micro)
      return false;
  }
  return true;
}

/* Each operation that does arithmetic, as often as it has to be done. */
static bool
complete (const struct plan *p)
{
  int want = 0, got = 0;
  for (int k = 0; k < p->K; k++) {
    const bool head = p->head[k] != PLAN_SILENT, still = frozen (p, k);
    want += p->n_micro * (1 + !still + p->n_passes[k] + (head ? 2 : 0)) +
            (still && !head ? 0 : 2);
  }
  for (int r = 0; r < p->n_pipe; r++)
    for (int i = 0; i < p->rank[r].n_ops; i++) {
      enum plan_verb v = p->rank[r].op[i].verb;
      got += v == PLAN_FORWARD || v == PLAN_HEAD || v == PLAN_PASS ||
             v == PLAN_WEIGHTS || v == PLAN_HEAD_WEIGHTS || v == PLAN_REDUCE ||
             v == PLAN_UPDATE;
    }
  return want == got;
}

/* The weights of op number i, a joined pass: nothing leaves before their turn
 * in the list. */
static bool
joined_well (const struct plan *p, const struct plan_rank *rank, int i)
{
  const struct plan_op *op = &rank->op[i];
  for (int j = i + 1; j < rank->n_ops; j++) {
    const struct plan_op *o = &rank->op[j];
    if (o->verb == PLAN_SEND_ACT || o->verb == PLAN_SEND_GRAD ||
        (o->verb == PLAN_REDUCE && p->n_replicas > 1))
      return false;
    if (o->verb == PLAN_WEIGHTS && o->stage == op->stage &&
        o->micro == op->micro)
      return o->joined && o->pair == op->pair;
  }
  return false;
}

/* Joined passes and weights belong together, and weights are added up in the
 * order of micro-batches. */
static bool
joins (const struct plan *p)
{
  int n[2] = {0, 0}, micro[64] = {0};
  bool good = true;
  for (int r = 0; r < p->n_pipe; r++)
    for (int i = 0; i < p->rank[r].n_ops; i++) {
      const struct plan_op *o = &p->rank[r].op[i];
      bool pass = o->verb == PLAN_PASS;
      if (o->joined) {
        good = good && (pass || o->verb == PLAN_WEIGHTS);
        n[pass]++;
      }
      if (o->joined && pass)
        good = good && joined_well (p, &p->rank[r], i);
      if (pass == o->joined && (pass || o->verb == PLAN_WEIGHTS))
        good = good && o->micro == micro[o->stage]++;
    }
  return good && n[0] == n[1];
}

static bool
good_plan (const struct plan *p)
{
  if (!p)
    return false;
  bool good = slots_bounded (p) && complete (p) && joins (p);
  if (!good)
    tap_note ("slots, operations or joined weights");
  if (plan_walk (p, 3) != OK) {
    tap_note ("%s", fail_message ());
    fail_clear ();
    good = false;
  }
  if (!good)
    tap_note ("K %d, %d ranks, %d micro, order %s", p->K, p->n_pipe, p->n_micro,
              plan_order_name (p->order));
  return good;
}

static void
one (struct ask a, const double *route, struct tally *t)
{
  a.route = route;
  struct plan *p = ask_plan (&a);
  t->tried++;
  t->bad += !good_plan (p);
  plan_destroy (&p);
}

static void
all_shapes (int K, const double *route, bool heads_all, struct tally *t)
{
  for (int n_pipe = 1; n_pipe <= K; n_pipe++)
    for (int n_micro = 1; n_micro <= 4; n_micro++)
      for (int order = PLAN_EAGER; order <= PLAN_FILLDRAIN; order++)
        one ((struct ask){.K = K,
                          .n_pipe = n_pipe,
                          .n_micro = n_micro,
                          .n_replicas = 1 + (n_micro + n_pipe) % 2,
                          .order = (enum plan_order)order,
                          .heads_all = heads_all},
             route, t);
}

static void
regular (void)
{
  static const enum plan_mix mix[] = {PLAN_FURTHEST, PLAN_SUM, PLAN_MEAN};
  double route[36];

  for (int K = 1; K <= 6; K++) {
    struct tally t = {0};
    for (int span = 1; span <= K; span++)
      for (int i = 0; i < 3; i++)
        if (plan_route (K, span, mix[i], route) == OK)
          all_shapes (K, route, (span + i) % 2 == 0, &t);
    tap_ok (t.bad == 0 && t.tried > 0, "K = %d: %d timetables, %d bad", K,
            t.tried, t.bad);
  }
}

static void
deep (void)
{
  double route[81];
  struct tally t = {0};

  for (int K = 7; K <= 9; K++)
    for (int span = 1; span <= K; span++)
      for (int n_pipe = 1; n_pipe <= K; n_pipe += 2)
        for (int order = PLAN_EAGER; order <= PLAN_FILLDRAIN; order++)
          if (plan_route (K, span, PLAN_FURTHEST, route) == OK)
            one ((struct ask){.K = K,
                              .n_pipe = n_pipe,
                              .n_micro = 1 + (K + span + n_pipe) % 4,
                              .order = (enum plan_order)order},
                 route, &t);
  tap_ok (t.bad == 0, "K = 7 to 9: %d timetables, %d bad", t.tried, t.bad);
}

/* Some rows become zeros, but not all. */
static void
freeze (const struct random_key *key, int K, double *route, uint64_t *at)
{
  int learns = (int)random_below (key, ++*at, (uint64_t)K);
  for (int k = 0; k < K; k++)
    for (int h = random_below (key, ++*at, 2) || k == learns ? K : 0; h < K;
         h++)
      route[k * K + h] = 0;
}

/* Tables without rhyme or reason, uneven costs, slow messages; with or without
 * frozen stages. */
static void
wild (bool freezes)
{
  struct tally t = {0};

  for (uint64_t seed = 0; seed < 600; seed++) {
    struct random_key key = {.seed = seed, .purpose = RANDOM_TEST};
    struct plan_cost cost[6];
    double route[36] = {0};
    uint64_t at = 0;
    int K = 2 + (int)(seed % 5);
    for (int k = 0; k < K; k++) {
      double *part = &cost[k].forward;
      for (size_t i = 0; i < sizeof *cost / sizeof *part; i++)
        part[i] = (double)random_below (&key, at++, 5);
      cost[k].input = fmin (cost[k].input, cost[k].data);
      for (int h = k; h < K; h++)
        if (random_below (&key, at++, 3) == 0)
          route[k * K + h] = (double)(1 + random_below (&key, at++, 3)) / 3;
      if (route[k * K + K - 1] == 0)
        route[k * K + k + (int)random_below (&key, at++, (uint64_t)(K - k))] =
            1;
    }
    if (freezes)
      freeze (&key, K, route, &at);
    one ((struct ask){.K = K,
                      .n_pipe = 1 + (int)random_below (&key, at++, (uint64_t)K),
                      .n_micro = 1 + (int)random_below (&key, at++, 6),
                      .n_replicas = 1 + (int)random_below (&key, at++, 2),
                      .order = (enum plan_order)random_below (&key, at++, 3),
                      .heads_all = random_below (&key, at++, 2) == 0,
                      .cost = cost,
                      .latency_s = (double)random_below (&key, at++, 3),
                      .bytes_per_s = 1,
                      .joint.norms = freezes && random_below (&key, at++, 2),
                      .grows = random_below (&key, at++, 3) == 0},
         route, &t);
  }
  tap_ok (t.bad == 0, "%d random cases%s, %d bad", t.tried,
          freezes ? " with frozen stages" : "", t.bad);
}

/* Number of slots end to end, one forward one backward. */
static void
one_by_one (void)
{
  bool good = true;
  for (int K = 1; K <= 8; K++) {
    struct plan *p =
        ask_span ((struct ask){.K = K, .n_micro = 8, .order = PLAN_1F1B}, K,
                  PLAN_FURTHEST);
    for (int k = 0; k < K; k++)
      good = good && p->n_slots[k] == K - k;
    plan_destroy (&p);
  }
  tap_ok (good, "end to end, 1f1b: stage k keeps K - k forwards");
}

/* The order in which a stage adds things up: its passes and weight gradients,
 * kind by kind. */
static uint64_t
sums_of (const struct plan *p, int k)
{
  static const enum plan_verb verb[] = {PLAN_FORWARD, PLAN_HEAD, PLAN_PASS,
                                        PLAN_WEIGHTS, PLAN_HEAD_WEIGHTS};
  const struct plan_rank *rank = &p->rank[p->rank_of[k]];
  uint64_t h = 0;

  for (size_t v = 0; v < sizeof verb / sizeof *verb; v++)
    for (int i = 0; i < rank->n_ops; i++) {
      const struct plan_op *o = &rank->op[i];
      int id[2] = {(int)o->verb, o->micro};
      /* Joined weights come with their pass. */
      if (verb[v] == PLAN_WEIGHTS && o->joined)
        id[0] = o->verb == PLAN_PASS ? PLAN_WEIGHTS : -1;
      if (o->stage != k || id[0] != (int)verb[v] ||
          (verb[v] == PLAN_PASS && !p->pass[k][o->pass].learn))
        continue; /* a relay adds nothing up */
      h = hash_bytes (id, sizeof id, h);
    }
  for (int i = 0; i < p->n_passes[k]; i++) {
    const struct plan_pass *pass = &p->pass[k][i];
    h = hash_bytes (pass->in, (size_t)pass->n_in * sizeof *pass->in, h);
    h = hash_bytes (pass->coef, (size_t)pass->n_in * sizeof *pass->coef, h);
  }
  return h;
}

static void
folding (void)
{
  bool good = true;
  for (int span = 1; span <= 5; span++) {
    uint64_t want[5] = {0};
    for (int n_pipe = 1; n_pipe <= 5; n_pipe++)
      for (int order = PLAN_EAGER; order <= PLAN_FILLDRAIN; order++) {
        struct plan *p =
            ask_span ((struct ask){.K = 5,
                                   .n_pipe = n_pipe,
                                   .n_micro = 3,
                                   .order = (enum plan_order)order},
                      span, PLAN_MEAN);
        for (int k = 0; k < 5; k++) {
          uint64_t got = sums_of (p, k);
          if (n_pipe == 1 && order == PLAN_EAGER)
            want[k] = got;
          good = good && got == want[k];
        }
        plan_destroy (&p);
      }
  }
  tap_ok (good, "sums are formed in one order on any number of ranks");
}

/* All weights are joined where nobody waits, none behind which a message
 * leaves. */
static void
joining (void)
{
  static const struct {
    int K, n_pipe, n_micro, span, joined;
  } row[] = {
      {1, 1, 1, 1, 1}, {1, 1, 4, 1, 4}, {4, 1, 1, 1, 4},
      {4, 1, 1, 4, 4}, {2, 2, 1, 1, 2}, {2, 2, 1, 2, 1},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    struct plan *p = ask_span ((struct ask){.K = row[i].K,
                                            .n_pipe = row[i].n_pipe,
                                            .n_micro = row[i].n_micro},
                               row[i].span, PLAN_FURTHEST);
    int n = 0;
    for (int r = 0; r < p->n_pipe; r++)
      for (int j = 0; j < p->rank[r].n_ops; j++)
        n += p->rank[r].op[j].verb == PLAN_PASS && p->rank[r].op[j].joined;
    tap_ok (n == row[i].joined,
            "K = %d, span %d, %d ranks, %d micro: %d joined, want %d", row[i].K,
            row[i].span, row[i].n_pipe, row[i].n_micro, n, row[i].joined);
    plan_destroy (&p);
  }
}

int
main (void)
{
  joining ();
  regular ();
  deep ();
  wild (false);
  wild (true);
  one_by_one ();
  folding ();
  return tap_done ();
}
