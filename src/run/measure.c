/* run/measure.c -- what each unit of a network costs, guessed or measured. */
#include "run/run_impl.h"

#include <stdio.h>
#include <string.h>

/* Rate assumed where nothing was measured; only ratios matter then. */
#define GUESS_FLOPS 5e10

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
guess (double flops)
{
  double s = flops / GUESS_FLOPS;
  return (struct stage_cost){.forward = s, .data = s, .weights = s};
}

enum status
unit_costs_guess (const struct network *net, int64_t n_samples,
                  const char *head, struct unit_costs *out)
{
  struct unit_costs u;
  TRY (unit_costs_make (network_units (net), &u));
  for (int i = 0; i < u.n; i++) {
    struct network_unit info, h;
    network_unit (net, i, &info);
    u.unit[i] = guess (info.flops * (double)n_samples);
    if (head && i < u.n - 1) {
      enum status s = network_head (net, i, head, &h);
      if (s != OK) {
        unit_costs_clear (&u);
        return s;
      }
      u.head[i] = guess (h.flops * (double)n_samples);
    }
  }
  *out = u;
  return OK;
}

/* Units of equal shape are measured once. */
static enum status
measure_here (struct kern *k, const struct network *net,
              const struct kern_tuning *t, int64_t n_samples, const char *head,
              struct unit_costs *u)
{
  for (int i = 0; i < u->n; i++) {
    struct network_unit a, b;
    network_unit (net, i, &a);
    int twin = -1, head_twin = -1;
    for (int j = 0; j < i; j++) {
      network_unit (net, j, &b);
      if (b.alike == a.alike)
        twin = j;
      if (memcmp (&b.out, &a.out, sizeof a.out) == 0)
        head_twin = j;
    }
    if (twin >= 0)
      u->unit[i] = u->unit[twin];
    else
      TRY (stage_measure (k, net, t, n_samples, i, NULL, &u->unit[i]));
    if (!head || i == u->n - 1)
      continue;
    if (head_twin >= 0)
      u->head[i] = u->head[head_twin];
    else
      TRY (stage_measure (k, net, t, n_samples, i, head, &u->head[i]));
  }
  return OK;
}

/* All numbers as one vector, for averaging. */
static double *
cost_at (struct unit_costs *u, int i)
{
  struct stage_cost *c =
      i / 3 < u->n ? &u->unit[i / 3] : &u->head[i / 3 - u->n];
  double *field[] = {&c->forward, &c->data, &c->weights};
  return field[i % 3];
}

static enum status
average (struct wire *w, struct unit_costs *u)
{
  int n = u->n * 6, size = wire_size (w);
  double *mine = NULL, *all = NULL;
  enum status s = MEM_NEW ((size_t)n, &mine, "costs");
  if (s == OK)
    s = MEM_NEW ((size_t)n * (size_t)size, &all, "costs of all ranks");
  s = wire_agree (w, s);
  if (s == OK) {
    for (int i = 0; i < n; i++)
      mine[i] = *cost_at (u, i);
    s = wire_all_gather (w, mine, n, all);
  }
  for (int i = 0; s == OK && i < n; i++) {
    double sum = 0;
    for (int r = 0; r < size; r++)
      sum += all[(size_t)r * (size_t)n + (size_t)i];
    *cost_at (u, i) = sum / size;
  }
  mem_free (&mine);
  mem_free (&all);
  return s;
}

enum status
unit_costs_measure (struct wire *w, struct kern *k, const struct network *net,
                    const struct kern_tuning *t, int64_t n_samples,
                    const char *head, struct unit_costs *out)
{
  struct unit_costs u = {0};
  enum status s = unit_costs_make (network_units (net), &u);
  if (s == OK)
    s = measure_here (k, net, t, n_samples, head, &u);
  s = wire_agree (w, s);
  if (s == OK)
    s = average (w, &u);
  if (s != OK) {
    unit_costs_clear (&u);
    return s;
  }
  *out = u;
  return OK;
}

void
unit_costs_print (const struct unit_costs *u, const char *key, struct text *out)
{
  text_add (out,
            "# seconds per micro-batch: forward, data, weights of each "
            "unit and of the head behind it\nkey %s\n",
            key);
  for (int i = 0; i < u->n; i++)
    text_add (out, "unit %d %.9g %.9g %.9g head %.9g %.9g %.9g\n", i,
              u->unit[i].forward, u->unit[i].data, u->unit[i].weights,
              u->head[i].forward, u->head[i].data, u->head[i].weights);
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
    struct stage_cost a, b;
    int i;
    if (sscanf (line + 1, "unit %d %lf %lf %lf head %lf %lf %lf", &i,
                &a.forward, &a.data, &a.weights, &b.forward, &b.data,
                &b.weights) != 7 ||
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
