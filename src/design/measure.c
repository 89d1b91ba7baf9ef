/* design/measure.c -- what each unit of a network costs, guessed or measured.
 */
#include "design/design_impl.h"

#include <stdio.h>
#include <string.h>

/* Weighed operations (model/work.c) in a second, where nothing was measured:
 * only ratios matter then. */
#define GUESS_WORK 2e11

static enum status
unit_costs_make (int n, struct unit_costs *u)
{
  u->n = n;
  u->unit = NULL;
  u->head = NULL;
  TRY (MEM_NEW ((size_t)n, &u->unit, "unit costs"));
  enum status s = MEM_NEW ((size_t)n, &u->head, "head costs");
  if (s != OK)
    mem_free (&u->unit);
  return s;
}

void
unit_costs_clear (struct unit_costs *u)
{
  mem_free (&u->unit);
  mem_free (&u->head);
  u->n = 0;
}

static struct stage_cost
guess (struct network_work w, double n_samples)
{
  const double s = n_samples / GUESS_WORK;
  return (struct stage_cost){
      .forward = s * w.forward, .data = s * w.data, .weights = s * w.weights};
}

/* Of heads the gradient of the input belongs to the way forward, as where they
 * are measured. */
static struct stage_cost
guess_head (struct network_work w, double n_samples)
{
  w.forward += w.data;
  w.data = 0;
  return guess (w, n_samples);
}

enum status
unit_costs_guess (const struct network *net, int64_t n_samples,
                  const char *const *heads, struct unit_costs *out)
{
  const double n = (double)n_samples;
  struct unit_costs u;
  TRY (unit_costs_make (network_units (net), &u));
  for (int i = 0; i < u.n; i++) {
    struct network_unit info, h;
    network_unit (net, i, &info);
    u.unit[i] = i < u.n - 1 ? guess (info.work, n) : guess_head (info.work, n);
    if (!heads || !heads[i])
      continue;
    enum status s = network_head (net, i, heads[i], &h);
    if (s != OK) {
      unit_costs_clear (&u);
      return s;
    }
    u.head[i] = guess_head (h.work, n);
  }
  *out = u;
  return OK;
}

struct stage_cost
unit_costs_border (const struct design *d, int first)
{
  struct network_unit u;
  network_border (d->net, first, derive_border (&d->config), &u);
  struct stage_cost c = guess (u.work, (double)d->n_samples);
  c.input = c.data;
  return c;
}

/* -- a team ------------------------------------------------------------------
 */

static enum status
sum_over_ranks (struct wire *w, double *v, int n)
{
  int size = wire_size (w);
  double *all = NULL;
  TRY (wire_agree (
      w, MEM_NEW ((size_t)n * (size_t)size, &all, "figures of all ranks")));
  enum status s = wire_all_gather (w, v, n, all);
  for (int i = 0; s == OK && i < n; i++) {
    v[i] = 0;
    for (int r = 0; r < size; r++)
      v[i] += all[(size_t)r * (size_t)n + (size_t)i];
  }
  mem_free (&all);
  return s;
}

static enum status
share (void *context, enum status mine, double *v, int n)
{
  struct wire *w = context;
  TRY (wire_agree (w, mine));
  return n > 0 ? sum_over_ranks (w, v, n) : OK;
}

void
unit_costs_team (struct wire *w, struct stage_team *out)
{
  *out = (struct stage_team){.rank = wire_rank (w),
                             .size = wire_size (w),
                             .share = share,
                             .context = w};
}

/* -- measuring ---------------------------------------------------------------
 */

/* Of a job, as ranks tell each other. */
#define JOB_NUMBERS 5

/* Units of equal shape are measured once, by one rank, and so are heads. */
struct measuring {
  int n;
  int *unit_at, *head_at;     /* by unit: number of the job */
  struct stage_measured *job; /* in order of depth */
  double *weight, *v;         /* v: JOB_NUMBERS of each */
  int *rank;
  struct stage_measured *mine;
};

static void
measuring_clear (struct measuring *m)
{
  mem_free (&m->unit_at);
  mem_free (&m->head_at);
  mem_free (&m->job);
  mem_free (&m->weight);
  mem_free (&m->v);
  mem_free (&m->rank);
  mem_free (&m->mine);
}

static enum status
measuring_make (int units, struct measuring *m)
{
  size_t n = 2 * (size_t)units;
  TRY (MEM_NEW ((size_t)units, &m->unit_at, "measuring"));
  TRY (MEM_NEW ((size_t)units, &m->head_at, "measuring"));
  TRY (MEM_NEW (n, &m->job, "measuring"));
  TRY (MEM_NEW (n, &m->weight, "measuring"));
  TRY (MEM_NEW (JOB_NUMBERS * n, &m->v, "measuring"));
  TRY (MEM_NEW (n, &m->rank, "measuring"));
  return MEM_NEW (n, &m->mine, "measuring");
}

static enum status
list_jobs (const struct network *net, const char *const *heads,
           struct measuring *m)
{
  int units = network_units (net);
  for (int i = 0; i < units; i++) {
    struct network_unit a, b;
    network_unit (net, i, &a);
    const char *head = heads ? heads[i] : NULL;
    m->unit_at[i] = m->head_at[i] = -1;
    for (int j = 0; j < i; j++) {
      network_unit (net, j, &b);
      if (b.alike == a.alike)
        m->unit_at[i] = m->unit_at[j];
      if (head && heads[j] && strcmp (head, heads[j]) == 0 &&
          memcmp (&b.out, &a.out, sizeof a.out) == 0)
        m->head_at[i] = m->head_at[j];
    }
    if (m->unit_at[i] < 0) {
      m->weight[m->n] = a.flops;
      m->job[m->n] = (struct stage_measured){.unit = i};
      m->unit_at[i] = m->n++;
    }
    if (!head || i == units - 1 || m->head_at[i] >= 0)
      continue;
    TRY (network_head (net, i, head, &b));
    m->weight[m->n] = a.flops + b.flops;
    m->job[m->n] = (struct stage_measured){.unit = i, .head = head};
    m->head_at[i] = m->n++;
  }
  return OK;
}

/* The heaviest first, each to who has least: all ranks deal the same. */
static enum status
deal (struct measuring *m, int size)
{
  double *load = NULL;
  TRY (MEM_NEW ((size_t)size, &load, "measuring"));
  for (int i = 0; i < m->n; i++)
    m->rank[i] = -1;
  for (int i = 0; i < m->n; i++) {
    int best = -1, to = 0;
    for (int j = 0; j < m->n; j++)
      if (m->rank[j] < 0 && (best < 0 || m->weight[j] > m->weight[best]))
        best = j;
    for (int r = 1; r < size; r++)
      if (load[r] < load[to])
        to = r;
    m->rank[best] = to;
    load[to] += m->weight[best];
  }
  mem_free (&load);
  return OK;
}

static enum status
measure_mine (struct kernels *k, const struct network *net, int64_t n_samples,
              int me, struct measuring *m)
{
  int n = 0;
  for (int i = 0; i < m->n; i++)
    if (m->rank[i] == me)
      m->mine[n++] = m->job[i];
  if (n > 0)
    TRY (kernels_measure (k, net, n_samples, n, m->mine));
  n = 0;
  for (int i = 0; i < m->n; i++)
    if (m->rank[i] == me) {
      struct stage_cost c = m->mine[n++].cost;
      const double v[JOB_NUMBERS] = {c.forward, c.data, c.weights, c.saved,
                                     c.input};
      memcpy (m->v + JOB_NUMBERS * i, v, sizeof v);
    }
  return OK;
}

static struct stage_cost
cost_of (const struct measuring *m, int job)
{
  if (job < 0)
    return (struct stage_cost){0};
  const double *v = m->v + JOB_NUMBERS * job;
  return (struct stage_cost){v[0], v[1], v[2], v[3], v[4]};
}

enum status
unit_costs_measure (struct wire *w, struct kernels *k,
                    const struct network *net, int64_t n_samples,
                    const char *const *heads, struct unit_costs *out)
{
  struct unit_costs u = {0};
  struct measuring m = {0};
  int units = network_units (net);
  enum status s = unit_costs_make (units, &u);
  if (s == OK)
    s = measuring_make (units, &m);
  if (s == OK)
    s = list_jobs (net, heads, &m);
  if (s == OK)
    s = deal (&m, wire_size (w));
  if (s == OK)
    s = measure_mine (k, net, n_samples, wire_rank (w), &m);
  s = share (w, s, m.v, JOB_NUMBERS * m.n);
  for (int i = 0; i < units && s == OK; i++) {
    u.unit[i] = cost_of (&m, m.unit_at[i]);
    u.head[i] = cost_of (&m, m.head_at[i]);
  }
  measuring_clear (&m);
  if (s != OK) {
    unit_costs_clear (&u);
    return s;
  }
  *out = u;
  return OK;
}

double
unit_costs_seconds (const struct unit_costs *u)
{
  double sum = 0;
  for (int i = 0; i < u->n; i++) {
    const struct stage_cost *a = &u->unit[i], *b = &u->head[i];
    sum += a->forward + a->data + a->weights;
    sum += b->forward + b->data + b->weights;
  }
  return sum;
}

void
unit_costs_print (const struct unit_costs *u, const char *key, struct text *out)
{
  text_add (
      out,
      "# seconds per micro-batch: forward, data, weights of each unit and "
      "of the head behind it; saved where data and weights of the unit "
      "are one pass; of data for the gradient of the input\nkey %s\n",
      key);
  for (int i = 0; i < u->n; i++) {
    const struct stage_cost *a = &u->unit[i], *b = &u->head[i];
    text_add (out, "unit %d %.9g %.9g %.9g head %.9g %.9g %.9g", i, a->forward,
              a->data, a->weights, b->forward, b->data, b->weights);
    text_add (out, " saved %.9g input %.9g\n", a->saved, a->input);
  }
}

bool
unit_costs_parse (const char *text, const char *key, int n,
                  struct unit_costs *out)
{
  const char *line = strstr (text, "\nkey ");
  size_t length = strlen (key);
  if (!line || strncmp (line + 5, key, length) != 0 || line[5 + length] != '\n')
    return false;
  struct unit_costs u;
  if (unit_costs_make (n, &u) != OK)
    return false;
  int found = 0;
  for (line = strchr (line + 5, '\n'); line && line[1];
       line = strchr (line + 1, '\n')) {
    struct stage_cost a = {0}, b = {0}; /* older: no saved, input */
    int i;
    if (sscanf (line + 1,
                "unit %d %lf %lf %lf head %lf %lf %lf saved %lf input %lf", &i,
                &a.forward, &a.data, &a.weights, &b.forward, &b.data,
                &b.weights, &a.saved, &a.input) < 7 ||
        i != found || i >= n)
      break;
    u.unit[i] = a;
    u.head[i] = b;
    found++;
  }
  if (found != n) {
    unit_costs_clear (&u);
    return false;
  }
  *out = u;
  return true;
}
