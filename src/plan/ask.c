/* plan/ask.c -- small questions that every file of this room may have: what
 * something is called, which stages are on two ranks, which number a message
 * has, how seconds are counted. */
#include "plan/plan_impl.h"
#include <math.h>

const char *
plan_order_name (enum plan_order o)
{
  static const char *const name[] = {"eager", "1f1b", "filldrain"};
  CHECK (o <= PLAN_FILLDRAIN, "order %d", (int)o);
  return name[o];
}

const char *
plan_verb_name (enum plan_verb v)
{
  static const char *const name[PLAN_VERBS] = {
      "TAKE",    "POST_ACT",     "RECV_ACT",  "FORWARD", "SEND_ACT",
      "HEAD",    "POST_GRAD",    "RECV_GRAD", "PASS",    "SEND_GRAD",
      "WEIGHTS", "HEAD_WEIGHTS", "REDUCE",    "GATHER",  "NORM",
      "UPDATE",  "SPREAD",
  };
  CHECK (v < PLAN_VERBS, "verb %d", (int)v);
  return name[v];
}

bool
plan_crosses (const struct plan *p, int k)
{
  return k >= 0 && k + 1 < p->K && p->rank_of[k] != p->rank_of[k + 1];
}

int
plan_tag (const struct plan *p, bool gradient, int border, int stream,
          int micro)
{
  int n = border;

  if (gradient)
    n = p->K + stream + p->streams_below[border];
  return n * p->n_micro + micro;
}

int64_t
plan_tags (const struct plan *p)
{
  return (int64_t)(p->K + p->streams_below[p->K]) * p->n_micro;
}

int64_t
plan_ticks (double seconds)
{
  return llround (seconds * 1e9);
}

double
plan_seconds (int64_t ticks)
{
  return (double)ticks * 1e-9;
}

bool
plan_grows (const struct plan *p, int k)
{
  return p->grows && k < p->K - 1 &&
         (!p->route || !plan_route_frozen (p->K, k, p->route));
}
