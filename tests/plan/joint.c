/* ranks: 0 */
/* tests/plan/joint.c -- what stages do together at the end of a batch, in the
 * lists and in the prediction: against closed formulas of pipes of equal
 * stages, and through the walker, which is itself tried with planted faults.
 *
 * A forward, a data gradient and a weight gradient take 1 each.  Of K stages
 * the last has done its own after K + 2; alone, a local stage begins a batch
 * every 3.
 */
#include "tests/plan/ask.h"
#include <string.h>

#define LATE 0.25 /* of a message; its size costs nothing */

struct row {
  const char *what;
  int span; /* 0: all */
  struct plan_joint joint;
  double late, squares;
  double fixed, per_stage, rounds; /* expected: fixed + per_stage x K + rounds
                                      x ceil (log2 K) */
};
static const struct row rows[] = {
    {"nothing together", 1, {0}, 0, 0, 3, 0, 0},
    /* The one buffer of a stage is free again when its batch is over, and what
       comes next takes so long to come. */
    {"nothing together, late messages", 1, {0}, LATE, 0, 3 + LATE, 0, 0},
    {"norms of single stages", 1, {.norms = true}, LATE, 0, 3 + LATE, 0, 0},
    {"squares take time", 1, {.norms = true}, 0, 0.5, 3.5, 0, 0},
    {"a matrix of both ends", 1, {.first = true}, 0, 0, 2, 1, 0},
    {"a matrix of both ends, up and down once",
     1,
     {.first = true},
     LATE,
     0,
     2 - LATE + 2 * LATE,
     1 + LATE,
     0},
    {"adding and copying it",
     1,
     {.first = true, .fold_s = 0.25, .copy_s = 0.5},
     0,
     0,
     2 + 0.25 + 2 * 0.5,
     1,
     0},
    /* On the way up only the last hop comes after the last stage's own work; on
     * the way down there are K - 1. */
    {"a matrix of all heads",
     1,
     {.heads = true},
     LATE,
     0,
     2 - LATE,
     1 + 2 * LATE,
     0},
    {"end to end", 0, {0}, LATE, 0, 1 - 2 * LATE, 2 + 2 * LATE, 0},
    {"end to end, one norm",
     0,
     {.norms = true},
     LATE,
     0,
     1 - 2 * LATE,
     2 + 2 * LATE,
     LATE},
};

static struct plan *
row_plan (const struct row *row, int K)
{
  static struct plan_cost cost[ASK_MOST];
  for (int k = 0; k < K; k++)
    cost[k] = (struct plan_cost){
        .forward = 1, .data = 1, .weights = 1, .squares = row->squares};
  return ask_span (
      (struct ask){
          .K = K, .cost = cost, .latency_s = row->late, .joint = row->joint},
      row->span ? row->span : K, PLAN_FURTHEST);
}

static void
cycles (void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int K = 2; K <= 9; K++) {
      const struct row *row = &rows[i];
      struct plan *p = row_plan (row, K);
      double want = row->fixed + row->per_stage * K +
                    row->rounds * ceil (log2 ((double)K));
      tap_near (p ? p->cycle_s : 0, want, 1e-8, "%s, K = %d", row->what, K);
      plan_destroy (&p);
    }
}

/* A matrix of so many bytes. */
static void
bytes (void)
{
  const struct row row = {.span = 1, .joint = {.first = true}};
  struct plan *p = NULL;
  struct ask a = {
      .K = 4, .bytes_per_s = 100, .joint = {.first = true, .matrix_bytes = 50}};
  p = ask_span (a, row.span, PLAN_FURTHEST);
  tap_near (p ? p->cycle_s : 0, 4 + 2 + 2 * 0.5, 1e-8,
            "a matrix that takes 0.5 each way");
  plan_destroy (&p);
}

/* -- lists -------------------------------------------------------------------
 */

static void
walks (void)
{
  static const struct plan_joint joint[] = {
      {.norms = true},
      {.first = true},
      {.heads = true},
      {.norms = true, .heads = true},
      {.norms = true, .first = true, .heads = true}};
  for (size_t i = 0; i < sizeof joint / sizeof *joint; i++) {
    int n = 0, bad = 0;
    for (int K = 1; K <= 6; K++)
      for (int span = 1; span <= K; span++)
        for (int ranks = 1; ranks <= K; ranks++)
          for (int micro = 1; micro <= 3; micro++) {
            struct plan *p =
                ask_span ((struct ask){.K = K,
                                       .n_pipe = ranks,
                                       .n_micro = micro,
                                       .order = (enum plan_order) (micro - 1),
                                       .joint = joint[i]},
                          span, PLAN_MEAN);
            bad += !p || plan_walk (p, 3) != OK;
            n++;
            plan_destroy (&p);
          }
    tap_ok (n > 200 && bad == 0, "walked: joint %d, %d lists, %d bad", (int)i,
            n, bad);
    if (bad)
      tap_note ("%s", fail_message ());
    fail_clear ();
  }
}

/* Two operations of a rank change places. */
static void
planted (enum plan_verb a, enum plan_verb b, const char *words)
{
  struct plan *p = ask_span (
      (struct ask){
          .K = 3,
          .joint = {.norms = a == PLAN_NORM, .first = true, .heads = true}},
      2, PLAN_FURTHEST);
  struct plan_rank *rank = &p->rank[1];
  int at[2] = {-1, -1};
  for (int i = 0; i < rank->n_ops; i++) {
    if (rank->op[i].verb == a)
      at[0] = i;
    if (rank->op[i].verb == b)
      at[1] = i;
  }
  bool there = at[0] >= 0 && at[1] >= 0 && plan_walk (p, 3) == OK;
  if (there) {
    struct plan_op keep = rank->op[at[0]];
    rank->op[at[0]] = rank->op[at[1]];
    rank->op[at[1]] = keep;
  }
  tap_ok (there && plan_walk (p, 3) == E_FAULT &&
              strstr (fail_message (), words),
          "planted: %s before %s: %s", plan_verb_name (b), plan_verb_name (a),
          fail_message ());
  fail_clear ();
  plan_destroy (&p);
}

int
main (void)
{
  cycles ();
  bytes ();
  walks ();
  planted (PLAN_REDUCE, PLAN_GATHER, "before the gradients");
  planted (PLAN_GATHER, PLAN_UPDATE, "before the shared matrix");
  planted (PLAN_NORM, PLAN_UPDATE, "before the norms");
  planted (PLAN_UPDATE, PLAN_SPREAD, "before the update");
  return tap_done ();
}
