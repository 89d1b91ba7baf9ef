/* train/ballot.c -- losses, verdicts and stop votes that ride beside the steps.
 *
 * After step t every rank starts a sum over the world that does not block, and
 * reads it before step t + lag.  So all ranks learn the same at the same step,
 * and no step waits for the slowest stage.  Every element has one rank that
 * contributes, or is a whole number, so the sum is exact in any order.
 */
#include "run/session.h"

#include <math.h>

/* Per replica and head: loss, correct, counted; what agreement.c and digest.c
 * add; then counts: ranks whose saver has failed too often, ranks whose saver
 * is busy, votes to save, and to stop for each reason. */
static int
ballot_size (const struct session *s)
{
  return 3 * s->R * s->K + agreement_votes (s) + digest_votes (s) + 2 +
         STOP_REASONS;
}

enum status
ballot_open (struct session *s)
{
  int n = ballot_size (s);
  int room = n > s->K + 1 ? n : s->K + 1;
  s->lag = wire_pipe_size (s->wire);
  s->n_ballot = n;
  if (n > WIRE_BALLOT_MOST)
    return fail (E_CONFIG,
                 "%d replicas x %d stages: at most %d of them fit in one run",
                 s->R, s->K, (WIRE_BALLOT_MOST - (n - 3 * s->R * s->K)) / 3);
  /* Those of steps, and those of a step's windows. */
  CHECK (s->lag + s->K <= WIRE_BALLOTS, "%d + %d ballots", s->lag, s->K);
  TRY (MEM_NEW ((size_t)s->lag, &s->ballot, "ballots"));
  TRY (MEM_NEW ((size_t)room, &s->ballot_in, "ballots"));
  TRY (MEM_NEW ((size_t)room, &s->ballot_out, "ballots"));
  TRY (MEM_NEW ((size_t)s->K, &s->window_norm, "ballots"));
  for (int i = 0; i < s->lag; i++)
    s->ballot[i] = WIRE_NONE;
  for (int h = 0; h < s->K; h++)
    s->window_norm[h] = WIRE_NONE;
  return OK;
}

void
ballot_close (struct session *s)
{
  mem_free (&s->ballot);
  mem_free (&s->window_norm);
  mem_free (&s->ballot_in);
  mem_free (&s->ballot_out);
}

enum status
ballot_cast (struct session *s, int64_t step, enum run_stop stop)
{
  double *v = s->ballot_in;
  for (int i = 0; i < s->n_ballot; i++)
    v[i] = 0;
  int base = 3 * s->K * wire_replica (s->wire);
  for (int k = 0; k < s->K; k++) {
    v[base + 3 * k] = s->loss[k].loss;
    v[base + 3 * k + 1] = (double)s->loss[k].correct;
    v[base + 3 * k + 2] = (double)s->loss[k].counted;
  }
  v += 3 * s->R * s->K;
  agreement_cast (s, step, v);
  TRY (digest_cast (s, step, v + agreement_votes (s)));
  v = s->ballot_in;
  double *votes = v + s->n_ballot - STOP_REASONS;
  votes[STOP_NONE] = s->vote_save ? 1 : 0; /* no reason to stop: to save */
  if (stop != STOP_NONE)
    votes[stop] = 1;
  votes[-1] = s->vote_busy ? 1 : 0;
  votes[-2] = s->vote_give_up ? 1 : 0;
  int *request = &s->ballot[step % s->lag];
  CHECK (*request == WIRE_NONE, "ballot of step %lld was not read",
         (long long)(step - s->lag));
  return wire_ballot_start (s->wire, -1, v, s->n_ballot, request);
}

/* The first reason of those that have votes, unless one was read before. */
static bool
count_stops (struct session *s, const double *votes)
{
  for (int i = STOP_NONE + 1; i < STOP_REASONS && s->stop == STOP_NONE; i++)
    if (votes[i] > 0)
      s->stop = (enum run_stop)i;
  return s->stop != STOP_NONE;
}

enum status
ballot_read (struct session *s, int64_t step, bool *stop)
{
  double *v = s->ballot_out;
  clock_switch (&s->account, CLOCK_WAIT);
  enum status e = wire_ballot_wait (s->wire, &s->ballot[step % s->lag], v);
  clock_switch (&s->account, CLOCK_OTHER);
  TRY (e);
  int bad = -1;
  for (int k = 0; k < s->K; k++) {
    struct stage_loss sum = {0};
    for (int r = 0; r < s->R; r++) {
      const double *of = v + 3 * (r * s->K + k);
      sum.loss += of[0];
      sum.correct += (int64_t)of[1];
      sum.counted += (int64_t)of[2];
    }
    s->last_loss[k] = sum;
    if (!isfinite (sum.loss) && bad < 0)
      bad = k;
  }
  s->last_step = step;
  const double *more = v + 3 * s->R * s->K;
  agreement_read (s, step, more);
  enum status same = digest_read (s, step, more + agreement_votes (s));
  const double *votes = v + s->n_ballot - STOP_REASONS;
  if (step >= s->save_votes_from && votes[STOP_NONE] > 0)
    s->save_wanted = true;
  *stop = count_stops (s, votes);
  s->busy_seen = votes[-1] > 0;
  s->give_up_seen = s->give_up_seen || votes[-2] > 0;
  TRY (same);
  if (bad >= 0)
    return fail (E_NUMBERS,
                 "the loss of head %d was not finite in step %lld; nothing of "
                 "later steps was saved (a lower train.lr, train.warmup or "
                 "train.clip may help)",
                 bad, (long long)step);
  return OK;
}

enum status
ballot_cast_stop (struct session *s, int64_t round, enum run_stop stop)
{
  for (int i = 0; i < STOP_REASONS; i++)
    s->ballot_in[i] = i == (int)stop && stop != STOP_NONE;
  return wire_ballot_start (s->wire, -1, s->ballot_in, STOP_REASONS,
                            &s->ballot[round % s->lag]);
}

enum status
ballot_read_stop (struct session *s, int64_t round, bool *stop)
{
  TRY (wire_ballot_wait (s->wire, &s->ballot[round % s->lag], s->ballot_out));
  *stop = count_stops (s, s->ballot_out);
  return OK;
}
