/* train/ballot.c -- losses, verdicts and stop votes that ride beside the steps.
 *
 * After step t every rank starts a sum over the world that does not block, and
 * reads it before step t + lag.  So all ranks learn the same at the same step,
 * and no step waits for the slowest stage.  Every element has one rank that
 * contributes, or is a whole number, so the sum is exact in any order.
 *
 * Per replica and head: loss, correct, counted, and where heads make images
 * again the loss of these; what agreement.c, digest.c and flow.c add; then the
 * counts below.
 */
#include "train/train_impl.h"

#include <math.h>

/* Ranks that ... */
enum {
  GIVE_UP,     /* have a saver that failed too often */
  BUSY,        /* have a saver that is busy */
  SAVE,        /* ask for a checkpoint */
  STOP = SAVE, /* ask for stopping: + a reason, from 1 */
  COUNTS = STOP + STOP_REASONS
};

/* Numbers of a head. */
static int
each_of (const struct ballots *b)
{
  return design_rebuilds_any (b->s->design) ? 4 : 3;
}

static int
ballot_size (const struct ballots *b)
{
  const struct session *s = b->s;
  const struct design *d = s->design;
  return each_of (b) * d->R * d->K + agreement_votes (b->agreement) +
         digest_votes (b->digests) + flow_votes (b->flow) + COUNTS;
}

/* Where the counts begin among the numbers of a ballot. */
static double *
counts_of (const struct ballots *b, double *v)
{
  return v + b->n - COUNTS;
}

enum status
ballot_open (struct session *s, struct ballots *b)
{
  const struct design *d = s->design;
  b->s = s;
  b->step = -1;
  b->lag = wire_pipe_size (s->wire);
  b->n = ballot_size (b);
  if (b->n > WIRE_BALLOT_MOST)
    return fail (E_CONFIG,
                 "%d replicas x %d stages: at most %d of them fit in one run",
                 d->R, d->K, (WIRE_BALLOT_MOST - (b->n - 4 * d->R * d->K)) / 4);
  /* Those of steps, and those of a step's windows. */
  CHECK (b->lag + d->K <= WIRE_BALLOTS, "%d + %d ballots", b->lag, d->K);
  TRY (MEM_NEW ((size_t)b->lag, &b->request, "ballots"));
  TRY (MEM_NEW ((size_t)b->n, &b->in, "ballots"));
  TRY (MEM_NEW ((size_t)b->n, &b->out, "ballots"));
  for (int i = 0; i < b->lag; i++)
    b->request[i] = WIRE_NONE;
  return MEM_NEW ((size_t)d->K, &b->loss, "losses");
}

void
ballot_close (struct ballots *b)
{
  flow_close (&b->flow);
  agreement_close (&b->agreement);
  digest_close (&b->digests);
  mem_free (&b->request);
  mem_free (&b->in);
  mem_free (&b->out);
  mem_free (&b->loss);
}

enum status
ballot_cast (struct ballots *b, int64_t step, enum run_stop stop)
{
  struct session *s = b->s;
  const struct design *d = s->design;
  double *v = b->in;
  for (int i = 0; i < b->n; i++)
    v[i] = 0;
  const int each = each_of (b);
  double *mine = v + each * d->K * wire_replica (s->wire);
  for (int k = 0; k < d->K; k++, mine += each) {
    mine[0] = s->loss[k].loss;
    mine[1] = (double)s->loss[k].correct;
    mine[2] = (double)s->loss[k].counted;
    if (each > 3)
      mine[3] = s->loss[k].rebuilt;
  }
  v += each * d->R * d->K;
  agreement_cast (b->agreement, step, v);
  TRY (digest_spoil (s));
  v += agreement_votes (b->agreement);
  TRY (digest_cast (b->digests, step, v));
  flow_cast (b->flow, step, v + digest_votes (b->digests));
  double *count = counts_of (b, b->in);
  count[GIVE_UP] = b->vote.give_up ? 1 : 0;
  count[BUSY] = b->vote.busy ? 1 : 0;
  count[SAVE] = b->vote.save ? 1 : 0;
  if (stop != STOP_NONE)
    count[STOP + stop] = 1;
  int *request = &b->request[step % b->lag];
  CHECK (*request == WIRE_NONE, "ballot of step %lld was not read",
         (long long)(step - b->lag));
  return wire_ballot_start (s->wire, -1, b->in, b->n, request);
}

/* Losses of all replicas; the first head whose loss is not finite, or -1. */
static int
add_losses (struct ballots *b, const double *v)
{
  const struct session *s = b->s;
  const struct design *d = s->design;
  const int each = each_of (b);
  int bad = -1;
  for (int k = 0; k < d->K; k++) {
    struct stage_loss sum = {0};
    for (int r = 0; r < d->R; r++) {
      const double *of = v + each * (r * d->K + k);
      sum.loss += of[0];
      sum.correct += (int64_t)of[1];
      sum.counted += (int64_t)of[2];
      sum.rebuilt += each > 3 ? of[3] : 0;
    }
    b->loss[k] = sum;
    if (!isfinite (sum.loss + sum.rebuilt) && bad < 0)
      bad = k;
  }
  return bad;
}

static void
read_counts (struct ballots *b, int64_t step)
{
  const double *count = counts_of (b, b->out);
  if (step >= b->save_votes_from && count[SAVE] > 0)
    b->save_wanted = true;
  if (b->stop == STOP_NONE)
    b->stop = run_stop_first (count + STOP);
  b->busy_seen = count[BUSY] > 0;
  b->give_up_seen = b->give_up_seen || count[GIVE_UP] > 0;
}

enum status
ballot_read (struct ballots *b, int64_t step)
{
  struct session *s = b->s;
  const struct design *d = s->design;
  clock_switch (&s->account, CLOCK_WAIT);
  enum status e =
      wire_ballot_wait (s->wire, &b->request[step % b->lag], b->out);
  clock_switch (&s->account, CLOCK_OTHER);
  TRY (e);
  const int bad = add_losses (b, b->out);
  b->step = step;
  s->heard = true;
  const double *more = b->out + each_of (b) * d->R * d->K;
  agreement_read (b->agreement, step, more);
  more += agreement_votes (b->agreement);
  enum status same = digest_read (b->digests, step, more);
  flow_read (b->flow, step, more + digest_votes (b->digests));
  read_counts (b, step);
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
train_lone_step (struct session *s, int64_t step, struct stage_loss *sum)
{
  struct ballots b = {.s = NULL};
  enum status e = ballot_open (s, &b);
  if (e == OK)
    e = session_step (s, step);
  if (e != OK)
    wire_abort (e); /* the others are in the step */
  e = ballot_cast (&b, step, STOP_NONE);
  /* The lag may be longer than one step: only this ballot is under way. */
  if (e == OK)
    e = ballot_read (&b, step);
  for (int k = 0; e == OK && sum && k < s->design->K; k++)
    sum[k] = b.loss[k];
  ballot_close (&b);
  return e;
}
