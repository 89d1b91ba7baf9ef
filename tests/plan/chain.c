/* ranks: 0 */
/* Plans of long pipes against those made from whole tables, and against closed
 * formulas where there is no table. */
#include "base/memory.h"
#include "tests/plan/ask.h"

#define LONGEST 4096

static struct plan_cost cost[LONGEST];

/* Stages that differ, the last with another head. */
static void
uneven (int K)
{
  for (int k = 0; k < K; k++)
    cost[k] = (struct plan_cost){.forward = 1e-3 * (1 + 0.13 * (k % 5)),
                                 .data = 1e-3 * (1.7 - 0.2 * (k % 3)),
                                 .weights = 0.6e-3,
                                 .head = k == K - 1 ? 1e-5 : 4e-4,
                                 .head_weights = k == K - 1 ? 1e-5 : 1e-4,
                                 .update = 5e-5,
                                 .output_bytes = 1e5 * (1 + k % 2)};
}

static void
even (int K, double head)
{
  for (int k = 0; k < K; k++)
    cost[k] = (struct plan_cost){
        .forward = 1, .data = 1, .weights = 1, .head = k < K - 1 ? head : 0};
}

static struct plan *
chain (struct plan_chain a)
{
  struct plan *p = NULL;

  a.cost = cost;
  if (plan_chain_create (&a, &p) != OK) {
    tap_note ("%s", fail_message ());
    fail_clear ();
  }
  return p;
}

/* The first field in which two operations differ; NULL: none. */
static const char *
op_differs (const struct plan_op *a, const struct plan_op *b)
{
  return a->verb != b->verb         ? "verb"
         : a->stage != b->stage     ? "stage"
         : a->micro != b->micro     ? "micro"
         : a->slot != b->slot       ? "slot"
         : a->source != b->source   ? "source"
         : a->pair != b->pair       ? "pair"
         : a->joined != b->joined   ? "joined"
         : a->pass != b->pass       ? "pass"
         : a->stream != b->stream   ? "stream"
         : a->slot_to != b->slot_to ? "slot_to"
         : a->peer != b->peer       ? "peer"
         : a->window != b->window   ? "window"
         : a->tag != b->tag         ? "tag"
         : a->ahead != b->ahead     ? "ahead"
                                    : NULL;
}

static const char *
differs (const struct plan *a, const struct plan *b)
{
  for (int k = 0; k < a->K; k++) {
    if (a->n_streams[k] != b->n_streams[k] || a->head[k] != b->head[k] ||
        a->window_first[k] != b->window_first[k])
      return "streams, heads, windows";
    if (a->n_slots[k] != b->n_slots[k] || a->n_pairs[k] != b->n_pairs[k])
      return "slots, pairs";
    if (a->n_passes[k] != b->n_passes[k])
      return "passes";
    if (a->stage_idle_s[k] != b->stage_idle_s[k] ||
        a->busy_s[k] != b->busy_s[k])
      return "waiting";
    if (a->rank[k].n_ops != b->rank[k].n_ops)
      return "length of a list";
    for (int i = 0; i < a->rank[k].n_ops; i++)
      if (op_differs (&a->rank[k].op[i], &b->rank[k].op[i]))
        return op_differs (&a->rank[k].op[i], &b->rank[k].op[i]);
  }
  return a->cycle_s != b->cycle_s ? "cycle" : NULL;
}

static int compared;

static bool
same (const struct plan_chain *a)
{
  struct ask whole = {.K = a->K,
                      .n_micro = a->n_micro,
                      .order = a->order,
                      .heads_all = a->heads_all,
                      .grows = a->grows,
                      .cost = cost,
                      .latency_s = a->latency_s,
                      .bytes_per_s = a->bytes_per_s};
  struct plan *p = ask_span (whole, a->span, a->mix), *q = chain (*a);
  const char *what = p && q ? differs (p, q) : "no plan";

  if (what)
    tap_note ("K %d, span %d, mix %d, %d micro-batches, %s: %s", a->K, a->span,
              a->mix, a->n_micro, plan_order_name (a->order), what);
  plan_destroy (&p);
  plan_destroy (&q);
  compared++;
  return !what;
}

/* Every depth up to 16, every reach. */
static void
short_chains (void)
{
  static const int micro[] = {1, 3, 8};

  for (int order = PLAN_EAGER; order <= PLAN_FILLDRAIN; order++)
    for (int mix = PLAN_FURTHEST; mix <= PLAN_MEAN; mix++) {
      bool all = true;
      for (int K = 1; K <= 16; K++) {
        uneven (K);
        for (int span = 1; span <= K; span++)
          for (int m = 0; m < 3; m++)
            all = same (&(struct plan_chain){.K = K,
                                             .span = span,
                                             .mix = (enum plan_mix)mix,
                                             .heads_all = K % 4 == 3,
                                             .grows = K % 3 == 1,
                                             .n_micro = micro[m],
                                             .order = (enum plan_order)order,
                                             .latency_s = 2e-6,
                                             .bytes_per_s = 4e9}) &&
                  all;
      }
      tap_ok (all, "%s, mix %d: chains up to 16 are the plans of their tables",
              plan_order_name ((enum plan_order)order), mix);
    }
  tap_ok (compared == 9 * 3 * 136, "%d of them", compared);
}

static void
formulas (void)
{
  static const int lengths[] = {65, 300, LONGEST};

  for (int i = 0; i < 3; i++) {
    int K = lengths[i];
    even (K, 0);
    for (int span = 1; span <= 3; span++) {
      struct plan *p =
          chain ((struct plan_chain){.K = K, .span = span, .n_micro = 1});
      tap_near (p ? p->cycle_s : 0, 2 * span + 1, 1e-9, "K = %d, span %d: %d",
                K, span, 2 * span + 1);
      plan_destroy (&p);
    }
    struct plan *p =
        chain ((struct plan_chain){.K = K, .span = K, .n_micro = 1});
    tap_near (p ? p->cycle_s : 0, 2 * K + 1, 1e-9,
              "K = %d, end to end: 2 K + 1", K);
    plan_destroy (&p);
    p = chain ((struct plan_chain){
        .K = K, .span = K, .n_micro = 4, .order = PLAN_FILLDRAIN});
    tap_near (p ? p->cycle_s : 0, 2 * (4 + K - 1) + 4, 1e-9,
              "K = %d, end to end, 4 micro-batches, filldrain", K);
    plan_destroy (&p);
  }
}

/* A reach that ends sees no end of the pipe: the cycle of a long pipe of equal
 * stages is that of one of PLAN_CHAIN_ENOUGH, to the 2 % that plan.h says. */
static void
inside (void)
{
  double worst = 0;

  for (int order = PLAN_EAGER; order <= PLAN_FILLDRAIN; order++)
    for (int span = 1; span <= 8; span += span < 4 ? 1 : 4)
      for (int micro = 1; micro <= 8; micro += 3) {
        double cycle[2];
        for (int i = 0; i < 2; i++) {
          int enough = plan_chain_enough (1 << 20, span),
              K = i ? 2 * enough + 7 : enough;
          even (K, 0.3);
          struct plan *p =
              chain ((struct plan_chain){.K = K,
                                         .span = span,
                                         .n_micro = micro,
                                         .order = (enum plan_order)order,
                                         .latency_s = 0.01});
          cycle[i] = p ? p->cycle_s : NAN;
          plan_destroy (&p);
        }
        worst = fmax (worst, fabs (cycle[1] / cycle[0] - 1));
      }
  tap_near (worst, 0, 0.02,
            "finite reach: twice the depth, the same cycle (%g)", worst);
}

static void
refused (void)
{
  struct plan *p = NULL;
  struct plan_chain a = {.K = 100, .span = 50, .n_micro = 1, .cost = cost};

  tap_ok (plan_chain_create (&a, &p) == E_CONFIG &&
              strstr (fail_message (), "span 50") && !p,
          "a reach that is too long for a template: %s", fail_message ());
  fail_clear ();
  a.span = 1;
  cost[7].data = -1;
  tap_ok (plan_chain_create (&a, &p) == E_CONFIG &&
              strstr (fail_message (), "stage 7") && !p,
          "a negative cost: %s", fail_message ());
  fail_clear ();
}

int
main (void)
{
  short_chains ();
  formulas ();
  inside ();
  refused ();
  return tap_done ();
}
