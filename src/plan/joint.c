/* plan/joint.c -- what stages do together when the gradients of a batch are
 * there: the sum of a matrix that several of them use, the norms of windows,
 * and the updates that wait for both.
 *
 * The sum goes up the pipe, from one rank that uses the matrix to the next, and
 * the new values come down the same way.  A norm is known when every rank of
 * its window has come so far.
 */
#include "plan/plan_impl.h"

bool
plan_is_joint (const struct plan *p)
{
  return p->norms || p->shares;
}

static int
first_stage (const struct plan *p, int rank)
{
  int k = 0;

  while (p->rank_of[k] != rank)
    k++;
  return k;
}

static bool
is_on (const struct plan *p, int k, int rank)
{
  return k < p->K && p->rank_of[k] == rank;
}

int
plan_rank_shares (const struct plan *p, int rank)
{
  int n = 0;

  if (p->shares)
    for (int k = first_stage (p, rank); is_on (p, k, rank); k++)
      n += p->shares[k];
  return n;
}

int
plan_share_next (const struct plan *p, int rank, int step)
{
  for (rank += step; rank >= 0 && rank < p->n_pipe; rank += step)
    if (plan_rank_shares (p, rank) > 0)
      return rank;
  return -1;
}

/* -- time --------------------------------------------------------------------
 */

int64_t
plan_norm_ticks (const struct plan *p, int n_ranks)
{
  int rounds = 0;

  for (int n = 1; n < n_ranks; n *= 2)
    rounds++;
  return rounds * plan_ticks (p->latency_s);
}

int64_t
plan_share_ticks (const struct plan *p)
{
  double s = p->latency_s;

  if (p->bytes_per_s > 0)
    s += p->matrix_bytes / p->bytes_per_s;
  return plan_ticks (s);
}

int64_t
plan_joint_ticks (const struct plan *p, enum plan_verb v, int rank)
{
  double s = 0;

  if (v == PLAN_NORM)
    for (int k = first_stage (p, rank); is_on (p, k, rank); k++)
      s += plan_learns (p, k) ? p->cost[k].squares : 0;
  else if (v == PLAN_GATHER)
    s = plan_rank_shares (p, rank) * p->fold_s;
  else if (v == PLAN_SPREAD)
    s = plan_rank_shares (p, rank) * p->copy_s;
  return plan_ticks (s);
}
