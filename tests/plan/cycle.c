/* ranks: 0 */
/* Predicted times against closed formulas, and pictures of known timetables. */
#include "base/random.h"
#include "base/text.h"
#include "plan/plan_impl.h"
#include "tests/plan/ask.h"

/* A pipe of unit costs (forward, data, weights 1; heads and messages free), one
 * stage per rank, one batch in flight. */
static double
unit_cycle (int K, int span)
{
  struct plan *p = ask_span ((struct ask){.K = K}, span, PLAN_FURTHEST);
  double cycle = p ? p->cycle_s : NAN;

  plan_destroy (&p);
  return cycle;
}

static void
short_spans (void)
{
  for (int span = 1; span <= 3; span++) {
    double worst = 0, want = 2 * span + 1;
    for (int K = span; K <= 64; K++)
      worst = fmax (worst, unit_cycle (K, span));
    tap_near (worst, want, 1e-9, "span %d, K up to 64: %g at most", span,
              worst);
  }
}

static void
end_to_end (void)
{
  double off = 0;

  for (int K = 1; K <= 64; K += K < 10 ? 1 : 9)
    off = fmax (off, fabs (unit_cycle (K, K) - (2 * K + 1)));
  tap_near (off, 0, 1e-9, "end to end: 2 K + 1");
}

/* Work and waiting of a rank fill its cycle. */
static void
books (const struct plan *p, const char *name)
{
  double off = 0, most = 0;

  for (int r = 0; r < p->n_pipe; r++) {
    double sum = p->busy_s[r];
    for (int k = 0; k < p->K; k++)
      if (p->rank_of[k] == r)
        sum += p->stage_idle_s[k];
    off = fmax (off, fabs (sum - p->cycle_s));
    most = fmax (most, p->busy_s[r]);
  }
  tap_near (off, 0, 1e-6 * p->cycle_s, "%s: work and waiting are the cycle",
            name);
  tap_ok (p->cycle_s >= most * (1 - 1e-9), "%s: not below the busiest rank",
          name);
}

/* A micro-batch comes down again after 2 (M + K - 1) units, one per unit; all
 * weight gradients of the first stage are left to do then. */
static void
filldrain (void)
{
  for (int K = 1; K <= 5; K += 2)
    for (int M = 1; M <= 4; M++) {
      struct plan *p =
          ask_span ((struct ask){.K = K, .n_micro = M, .order = PLAN_FILLDRAIN},
                    K, PLAN_FURTHEST);
      tap_near (plan_time (p, 1), 2 * (M + K - 1) + M, 1e-9,
                "filldrain, K = %d, M = %d: one step", K, M);
      plan_destroy (&p);
    }
}

static void
times (void)
{
  struct plan *p = ask_span ((struct ask){.K = 5}, 1, PLAN_FURTHEST);
  tap_near (plan_time (p, 1), 4 + 3, 1e-9, "local: one step from empty");
  tap_near (plan_time (p, 1000), 4 + 3000, 1e-6, "local: 1000 steps");
  tap_near (plan_time (p, 0), 0, 0, "no steps");
  books (p, "local");
  plan_destroy (&p);

  p = ask_span ((struct ask){.K = 6, .n_pipe = 1}, 3, PLAN_SUM);
  double work = 0;
  for (int k = 0; k < 6; k++)
    work += 2 + p->n_passes[k];
  tap_near (p->cycle_s, work, 1e-9, "one rank: the sum of all work");
  books (p, "one rank");
  plan_destroy (&p);
}

static void
messages (void)
{
  struct plan_cost cost[4];
  double bytes = 1e6, latency = 0.25, rate = 4e6; /* 0.5 s a message */
  struct plan *p;

  for (int k = 0; k < 4; k++)
    cost[k] = (struct plan_cost){
        .forward = 1, .data = 1, .weights = 1, .output_bytes = bytes};
  struct ask a = {
      .K = 4, .cost = cost, .latency_s = latency, .bytes_per_s = rate};
  p = ask_span (a, 4, PLAN_FURTHEST);
  tap_near (p->cycle_s, 9 + 6 * 0.5, 1e-9, "end to end: each message counts");
  books (p, "with messages");
  plan_destroy (&p);
  /* With one micro-batch there is one buffer to receive into: it is free when
   * the step is over.  With two, one fills while the other is worked on. */
  p = ask_span (a, 1, PLAN_FURTHEST);
  tap_near (p->cycle_s, 3 + 0.5, 1e-9, "local: a message shows");
  plan_destroy (&p);
  a.n_micro = 2;
  p = ask_span (a, 1, PLAN_FURTHEST);
  tap_near (p->cycle_s, 6, 1e-9, "local, two micro-batches: messages hidden");
  plan_destroy (&p);
  a.n_micro = 1;

  /* The slowest rank sets the pace of local learning; updates count once, and
   * hide the message. */
  cost[2] = (struct plan_cost){.forward = 2,
                               .data = 3,
                               .weights = 4,
                               .head = 5,
                               .head_weights = 6,
                               .update = 7};
  p = ask_span (a, 1, PLAN_FURTHEST);
  tap_near (p->cycle_s, 27, 1e-9, "local: as the slowest rank");
  tap_near (p->busy_s[2], 27, 1e-9, "every part of a cost is in it");
  books (p, "uneven");
  plan_destroy (&p);
}

/* Data and weights in one pass are told with the weights, where no message
 * leaves between them; what goes for the input's gradient is missing in passes
 * that hand nothing on, and only there. */
static void
savings (void)
{
  struct plan_cost cost[2];
  struct plan *p;
  for (int k = 0; k < 2; k++)
    cost[k] = (struct plan_cost){
        .forward = 1, .data = 4, .weights = 8, .saved = 2, .input = 1};
  const struct ask a = {.K = 2, .cost = cost};
  p = ask_span (a, 1, PLAN_FURTHEST);
  tap_near (p->cycle_s, 1 + (4 - 1) + (8 - 2), 1e-9, "local: both saved");
  books (p, "savings, local");
  plan_destroy (&p);
  p = ask_span (a, 2, PLAN_FURTHEST);
  /* Rank 1 hands its gradient on between pass and weights. */
  tap_near (p->busy_s[1], 1 + 4 + 8, 1e-9, "end to end: nothing on top");
  tap_near (p->busy_s[0], 1 + (4 - 1) + (8 - 2), 1e-9,
            "... both at the bottom");
  plan_destroy (&p);
  struct ask one = a;
  one.n_pipe = 1;
  p = ask_span (one, 2, PLAN_FURTHEST);
  tap_near (p->busy_s[0], 1 + 4 + (8 - 2) + 1 + (4 - 1) + (8 - 2), 1e-9,
            "on one rank no message is in the way of joining");
  plan_destroy (&p);
}

/* Sums over replicas, of which `hidden` seconds pass while the last weights are
 * computed: what is left over, and two messages, are waited for. */
static void
replicas (void)
{
  struct plan_cost cost = {
      .forward = 1, .data = 1, .weights = 2, .sum_bytes = 4e6};
  struct ask a = {.K = 1, .cost = &cost, .latency_s = 0.25};
  const struct {
    int n_replicas, n_micro;
    double rate, head_bytes, cycle;
    const char *what;
  } row[] = {
      {1, 1, 2e6, 0, 4, "one replica has none"},
      {4, 1, 4e6, 0, 4 + 0.5, "hidden but for two messages"},
      {4, 1, 2e6, 0, 4 + 1 + 0.5, "a second longer than the weights"},
      {2, 1, 2e6, 0, 4 + 0.5, "two replicas move less"},
      {4, 2, 2e6, 0, 8 + 1 + 0.5, "only the last micro-batch hides them"},
      {4, 1, 4e6, 2e6, 4 + 2 + 0.25 + 0.5, "the head's comes before"},
      {4, 1, 0, 0, 4 + 0.5, "a link that is free"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    for (int norms = 0; norms < 2; norms++) {
      a.n_replicas = row[i].n_replicas;
      a.n_micro = row[i].n_micro;
      a.bytes_per_s = row[i].rate;
      a.joint.norms = norms;
      cost.head_bytes = row[i].head_bytes;
      cost.head = cost.head_weights = row[i].head_bytes > 0;
      struct plan *p = ask_span (a, 1, PLAN_FURTHEST);
      tap_near (p->cycle_s, row[i].cycle, 1e-9, "sums over replicas: %s%s",
                row[i].what, norms ? ", before norms" : "");
      books (p, row[i].what);
      plan_destroy (&p);
    }
}

static void
mixed_books (void)
{
  struct plan_cost cost[6];
  for (int k = 0; k < 6; k++)
    cost[k] = (struct plan_cost){.forward = 1 + 0.1 * k,
                                 .data = 2 - 0.2 * k,
                                 .weights = 0.7,
                                 .head = 0.3 * (k % 3),
                                 .head_weights = 0.2,
                                 .update = 0.1};
  struct plan *p = ask_span (
      (struct ask){
          .K = 6, .n_pipe = 4, .n_micro = 3, .cost = cost, .latency_s = 0.01},
      3, PLAN_MEAN);
  books (p, "mixed");
  plan_destroy (&p);
}

static bool
picture_has (const struct plan *p, int steps, int columns, const char *rows)
{
  struct text t;
  text_init (&t);
  plan_print_gantt (p, steps, columns, &t);
  bool has = strncmp (t.data, rows, strlen (rows)) == 0;
  if (!has)
    tap_note ("%s", t.data);
  size_t longest = 0, n = 0;
  for (const char *c = t.data; *c; c++) {
    n = *c == '\n' ? 0 : n + 1;
    longest = n > longest ? n : longest;
  }
  has = has && longest <= (size_t)columns;
  text_clear (&t);
  return has;
}

static void
pictures (void)
{
  struct text t;
  struct plan *p = ask_span ((struct ask){.K = 3}, 1, PLAN_FURTHEST);
  tap_ok (picture_has (p, 2, 80,
                       "rank   0 FDWFDW..\n"
                       "rank   1 .FDWFDW.\n"
                       "rank   2 ..FDWFDW\n"),
          "picture of local learning");
  plan_destroy (&p);
  p = ask_span ((struct ask){.K = 3}, 3, PLAN_FURTHEST);
  tap_ok (picture_has (p, 1, 80,
                       "rank   0 F....DW\n"
                       "rank   1 .F..DW.\n"
                       "rank   2 ..FDW..\n"),
          "picture of end to end");
  tap_ok (picture_has (p, 100, 80, "rank   0 "), "a long one fits its line");
  plan_destroy (&p);
  p = ask_span ((struct ask){.K = 3}, 2, PLAN_FURTHEST);
  tap_ok (picture_has (p, 1, 80,
                       "rank   0 F..DW.\n"
                       "rank   1 .Fr.DW\n"
                       "rank   2 ..FDW.\n"),
          "picture of span 2");
  text_init (&t);
  plan_print_windows (p, &t);
  tap_ok (
      strstr (t.data, "stage 0 (rank 0) learns from head 1;") &&
          strstr (t.data, "head 0 is silent") &&
          strstr (t.data, "head 1 drives stages 0..0; gradients pass 1 -> 0") &&
          strstr (t.data, "head 2 drives stages 1..2; gradients pass 2 -> 1") &&
          strstr (t.data, "2 activations, 2 gradients"),
      "windows in words");
  text_clear (&t);
  plan_print_list (p, 1, &t);
  tap_ok (strstr (t.data, "RECV_GRAD    stage 1 micro 0 slot 0 stream 0 peer 2"
                          " window 2") &&
              strstr (t.data, "(for the next step)"),
          "a list in words");
  text_clear (&t);
  plan_destroy (&p);
}

/* How far cycle and waiting are from those of the last 12 of n steps. */
static double
waiting_off (const struct plan *p, int n)
{
  static int64_t end[64 * 400], idle[64];
  double off = 0, cycle = 0;

  CHECK (p->n_pipe * n <= 64 * 400, "%d steps of %d ranks", n, p->n_pipe);
  if (plan_simulate (p, n, 12, NULL, end, idle, NULL) != OK)
    return NAN;
  for (int r = 0; r < p->n_pipe; r++)
    cycle =
        fmax (cycle, plan_seconds (end[r * n + n - 1] - end[r * n + n - 13]));
  for (int k = 0; k < p->K; k++)
    off = fmax (off, fabs (plan_seconds (idle[k]) / 12 - p->stage_idle_s[k]));
  return fmax (off, fabs (cycle / 12 - p->cycle_s));
}

/* However early a timetable is found to repeat itself: what is said of its
 * steps is true of the last 12 of as many as it may take, 4 for each rank
 * and 24. Ranks in front fill the room between them and a slow one first. */
static void
settled (void)
{
  enum { MOST = 40 };
  static struct plan_cost cost[MOST];
  const struct random_key key = {9, RANDOM_TEST, 0, 0};
  double off = 0;
  int early = 0;

  for (int i = 0; i < 48; i++) {
    const int K = 6 + i % 5 * 8, span = i % 4 ? 1 + i % 6 : K;
    const struct ask a = {.K = K,
                          .n_pipe = i % 3 ? K : K / 2,
                          .n_micro = 1 + i % 5,
                          .n_replicas = 1 + i % 2,
                          .order = (enum plan_order) (i % 3),
                          .cost = cost,
                          .latency_s = 1e-6,
                          .bytes_per_s = 1e9,
                          .joint.norms = i % 7 == 0};
    for (int k = 0; k < K; k++) {
      const double odd = (double)random_below (&key, (uint64_t)(i * MOST + k),
                                               i % 2 ? 1000 : 1);
      cost[k] = (struct plan_cost){.forward = 1e-3 * (1 + odd / 4000),
                                   .data = 1e-3 * (1 + odd / 3000),
                                   .weights = 1e-3,
                                   .update = 1e-4 * (1 + odd / 500),
                                   .output_bytes = 65536,
                                   .sum_bytes = 1e5};
    }
    struct plan *p = ask_span (a, span, PLAN_FURTHEST);
    off = fmax (off, waiting_off (p, 4 * a.n_pipe + 24));
    early += waiting_off (p, 36) > 1e-6;
    plan_destroy (&p);
  }
  tap_near (off, 0, 1e-8, "cycle and waiting are those of many steps");
  tap_ok (early >= 5, "and not of few, in %d cases", early);
}

int
main (void)
{
  short_spans ();
  settled ();
  end_to_end ();
  filldrain ();
  times ();
  messages ();
  savings ();
  replicas ();
  mixed_books ();
  pictures ();
  return tap_done ();
}
