/* ranks: 0 */
/* tests/design/stages.c -- the cut and the heads that follow from counted work:
 * as even as a cut can be, the best head within its bound, and the same
 * whatever ranks, replicas, strategy or micro-batches there are.
 */
#include "base/memory.h"
#include "design/design.h"
#include "tests/tap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOST 400 /* units */
#define DEEPEST 64

/* A plan of these words on so many pipe ranks; false: refused. */
static bool
sketch (const char *const *words, int n_words, int n_pipe, struct wire **w,
        struct design *d)
{
  const struct config_source source = {
      .name = "words", .n_words = n_words, .words = words};
  const struct design_spec spec = {.route = NULL};
  struct config c;
  *w = NULL;
  if (design_configure (&source, CONFIG_PLAN, &c) == OK &&
      wire_open_alone (w) == OK &&
      design_sketch (*w, &c, n_pipe, &spec, d) == OK)
    return true;
  fail_clear ();
  wire_close (w);
  return false;
}

static void
leave (struct wire **w, struct design *d)
{
  design_close (d);
  wire_close (w);
}

static double
work_of (const struct network *net, int i)
{
  struct network_unit u;
  network_unit (net, i, &u);
  return u.work.forward + u.work.data + u.work.weights;
}

static double
work_from (const struct network *net, int from, int end)
{
  double sum = 0;
  for (int i = from; i < end; i++)
    sum += work_of (net, i);
  return sum;
}

/* Whether n units fit into K stages of at most `most`: each takes what it can.
 * The last unit counts at most as `last`. */
static bool
fits (const double *work, int n, int K, double most)
{
  double sum = 0;
  int stages = 1;
  for (int i = 0; i < n; i++) {
    if (work[i] > most)
      return false;
    if (sum + work[i] > most) {
      sum = 0;
      stages++;
    }
    sum += work[i];
  }
  return stages <= K;
}

/* The least largest stage that there is, among all sums of neighbours. */
static double
least_of (const double *work, int n, int K)
{
  double least = INFINITY;
  for (int i = 0; i < n; i++) {
    double sum = 0;
    for (int j = i; j < n; j++) {
      sum += work[j];
      if (sum < least && fits (work, n, K, sum))
        least = sum;
    }
  }
  return least;
}

static bool
even (const struct design *d)
{
  double work[MOST], most = 0;
  const int n = network_units (d->net);
  const double body = work_from (d->net, 0, n - 1);
  for (int i = 0; i < n; i++)
    work[i] = work_of (d->net, i);
  if (d->K > 1)
    work[n - 1] = fmin (work[n - 1], floor (body / (d->K - 1)));
  for (int k = 0; k < d->K; k++) {
    double sum = 0;
    for (int i = d->first[k]; i < d->first[k + 1]; i++)
      sum += work[i];
    most = fmax (most, sum);
  }
  return most <= 1.0200001 * least_of (work, n, d->K);
}

static double
head_work (const struct design *d, int k, const char *grammar)
{
  struct network_unit u;
  if (network_head (d->net, d->first[k + 1] - 1, grammar, &u) != OK)
    return NAN;
  return u.work.forward + u.work.data + u.work.weights;
}

/* Whether stage k has the first of the known heads that keeps to the bound, or
 * where none does the cheapest. */
static bool
best (const struct design *d, int k)
{
  const double most =
      d->config.head_cost * work_from (d->net, d->first[k], d->first[k + 1]);
  const double mine = head_work (d, k, design_head (d, k));
  char known[NETWORK_HEAD];
  for (int i = 0; network_head_known (d->net, d->first[k + 1] - 1, i, known);
       i++) {
    if (!known[0])
      continue;
    const double other = head_work (d, k, known);
    if (other <= most)
      return strcmp (known, design_head (d, k)) == 0;
    if (mine <= most ? false : other < mine)
      return false;
  }
  return mine > most; /* and nothing is cheaper */
}

static const char *const nets[] = {
    "model.preset=resnet20",
    "model.preset=resnet32",
    "model.preset=resnet56",
    "model.preset=resnet110",
    "model.preset=resnet18",
    "model.preset=resnet34",
    "model.preset=resnet50",
    "model.preset=resnet101",
    "model.preset=resnet152",
    "model.preset=resnet164",
    "model.preset=resnet1001",
    "model.preset=wrn-28-10",
    "model.groups=5x3,40x2",
    "model.groups=200x3,640x2",
    "model.preset=gpt-nano model.family=transformer",
    "model.preset=gpt2 model.family=transformer",
    "model.d_model=24 model.family=transformer",
};
#define NETS (sizeof nets / sizeof *nets)

/* The words of a row, and more behind them. */
static int
split (const char *row, char copy[128], const char **words)
{
  int n = 0;
  char *save = NULL;
  snprintf (copy, 128, "%s", row);
  for (char *p = strtok_r (copy, " ", &save); p;
       p = strtok_r (NULL, " ", &save))
    words[n++] = p;
  return n;
}

static void
every_depth (const char *row)
{
  char copy[128], count[32], cost[32];
  const char *words[8];
  static const double bounds[] = {0.15, 0.02, 1.5};
  int n = split (row, copy, words), plans = 0, uneven = 0, wrong = 0;
  words[n++] = "strategy.span=local";
  words[n++] = count;
  words[n++] = cost;
  for (int K = 1; K <= DEEPEST; K++)
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
      struct wire *w;
      struct design d;
      snprintf (count, sizeof count, "stages.count=%d", K);
      snprintf (cost, sizeof cost, "stages.head_cost=%g", bounds[b]);
      if ((b > 0 && K % 5 != 3) || !sketch (words, n, K, &w, &d))
        continue;
      plans++;
      uneven += !even (&d);
      for (int k = 0; k < K - 1; k++)
        wrong += !best (&d, k);
      leave (&w, &d);
    }
  tap_ok (plans > 3 && uneven == 0, "%s: %d cuts, %d of them uneven", row,
          plans, uneven);
  tap_ok (plans > 3 && wrong == 0,
          "and of each stage the best head within its bound: %d are not",
          wrong);
}

/* Cut and heads as text. */
static bool
told (const char *row, const char *more, int n_pipe, struct text *out)
{
  char copy[128], copy_more[128];
  const char *words[16];
  int n = split (row, copy, words);
  struct wire *w;
  struct design d;
  n += split (more, copy_more, words + n);
  if (!sketch (words, n, n_pipe, &w, &d))
    return false;
  for (int k = 0; k < d.K; k++)
    text_add (out, "%d:%s ", d.first[k],
              k < d.K - 1 ? design_head (&d, k) : "");
  leave (&w, &d);
  return true;
}

static void
whatever (const char *row)
{
  static const struct {
    const char *words;
    int n_pipe;
  } cases[] = {{"strategy.span=1", 1},
               {"strategy.span=2 strategy.mix=sum", 2},
               {"strategy.span=all", 3},
               {"strategy.span=3 strategy.heads=all train.micro=4", 4},
               {"strategy.span=1 run.replicas=2 train.batch=64", 4},
               {"strategy.span=1,2,1,all train.clip=1", 2}};
  struct text first, other;
  text_init (&first);
  text_init (&other);
  bool same = told (row, "strategy.span=local", 4, &first);
  for (size_t i = 0; same && i < sizeof cases / sizeof *cases; i++) {
    text_clear (&other);
    same = told (row, cases[i].words, cases[i].n_pipe, &other) &&
           strcmp (first.data, other.data) == 0;
  }
  tap_ok (same, "%s: the same for any ranks and strategy: %s", row,
          first.data ? first.data : "");
  text_clear (&first);
  text_clear (&other);
}

/* Heads by hand, one for each stage. */
static void
by_hand (void)
{
  const char *words[] = {"model.groups=16x4", "stages.count=4",
                         "stages.head=gap-fc, conv16-gap-fc,conv32-bn-gap-fc"};
  struct wire *w;
  struct design d;
  tap_ok (sketch (words, 3, 2, &w, &d) &&
              strcmp (design_head (&d, 0), "gap-fc") == 0 &&
              strcmp (design_head (&d, 1), "conv16-gap-fc") == 0 &&
              strcmp (design_head (&d, 2), "conv32-bn-gap-fc") == 0,
          "a list of heads, one for each stage but the last");
  leave (&w, &d);
}

/* What is dear counts: with an output of many words it is a stage, and the
 * others are even. */
static void
dear_output (void)
{
  struct text t;
  text_init (&t);
  tap_ok (told ("model.preset=gpt-nano model.family=transformer",
                "stages.head=fc strategy.span=local", 4, &t) &&
              strcmp (t.data, "0:fc 3:fc 5:fc 7: ") == 0,
          "an output of 50257 words stands alone, before it 3, 2, 2: %s",
          t.data ? t.data : "");
  text_clear (&t);
}

int
main (void)
{
  for (size_t i = 0; i < NETS; i++)
    every_depth (nets[i]);
  for (size_t i = 0; i < NETS; i++)
    whatever (nets[i]);
  by_hand ();
  dear_output ();
  return tap_done ();
}
