/* run/evaluate.c -- loss and accuracy of every head on a split, through the
 * pipe, on running statistics.
 *
 * Works in places of its own (STAGE_EVAL), since receives of the next training
 * step may already be posted.  Batches are dealt to replicas in turn.
 */
#include "base/place.h"
#include "run/session.h"

#include <math.h>
#include <string.h>

struct sums { /* per head; counted: samples or positions */
  double *loss, *correct, *counted, *rebuilt;
};

/* The samples of one batch, from the reader that runs ahead, where there is
 * one. */
static enum status
eval_samples (struct session *s, enum data_split split, int64_t batch, void *x)
{
  const struct design *d = s->design;
  if (s->reader)
    return data_take (s->reader, batch / d->R, 0, x);
  return data_read (d->data, split, batch * d->n_samples, d->n_samples, x);
}

/* The input of this rank's first stage for one batch. */
static enum status
eval_input (struct session *s, enum data_split split, int64_t batch,
            struct tensor *x)
{
  const struct design *d = s->design;
  struct local_stage *l = &s->local[0];
  TRY (stage_input (l->stage, STAGE_EVAL, x));
  if (s->pictures.x) {
    TRY (eval_samples (s, split, batch, s->pictures.x));
    pictures_show_all (s);
  }
  if (l->k == 0) {
    if (s->pictures.x)
      memcpy (x->data, s->pictures.x, s->pictures.each * sizeof (float));
    else
      TRY (eval_samples (s, split, batch, x->data));
    stage_take (l->stage, x);
    return OK;
  }
  struct tensor message;
  stage_message (l->stage, x, &message);
  int request = WIRE_NONE;
  struct wire_id id = {
      .step = batch, .micro = -1, .border = l->k, .stream = -1};
  TRY (wire_post (s->wire, WIRE_EVALUATION, &message,
                  d->plan->rank_of[l->k - 1], l->k, &request));
  TRY (wire_wait (s->wire, &request, &id, NULL));
  stage_unpack (l->stage, x);
  return OK;
}

static enum status
send_on (struct session *s, struct local_stage *l, const struct tensor *y,
         struct wire_id id, int *sent)
{
  struct tensor message = *y;
  if (l->packed)
    stage_pack (l->stage, y, l->packed[l->n_slots], &message);
  return wire_send (s->wire, WIRE_EVALUATION, &message,
                    s->design->plan->rank_of[l->k + 1], l->k + 1, id, sent);
}

static enum status
eval_batch (struct session *s, enum data_split split, int64_t batch, int64_t n,
            int *sent, struct sums *sums)
{
  const struct design *d = s->design;
  struct tensor x;
  clock_pace ();
  TRY (eval_input (s, split, batch, &x));
  TRY (data_read_labels (d->data, split, batch * d->n_samples, d->n_samples, n,
                         s->labels));
  s->labels_step = -1;
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    bool leaves = i == s->n_local - 1 && l->k < d->K - 1;
    if (leaves) /* its send must be over before the output is written again */
      TRY (wire_wait (s->wire, sent, NULL, NULL));
    TRY (stage_eval (l->stage, x.data));
    stage_output (l->stage, STAGE_EVAL, &x);
    struct wire_id id = {
        .step = batch, .micro = -1, .border = l->k + 1, .stream = -1};
    if (leaves)
      TRY (send_on (s, l, &x, id, sent));
    if (s->on_output)
      TRY (s->on_output (s, l, batch, n, s->on_output_context));
    if (!stage_has_head (l->stage))
      continue;
    struct stage_loss loss;
    TRY (stage_head_eval (l->stage, s->labels, &loss));
    sums->loss[l->k] += loss.loss;
    sums->correct[l->k] += (double)loss.correct;
    sums->counted[l->k] += (double)loss.counted;
    sums->rebuilt[l->k] += loss.rebuilt;
  }
  return OK;
}

/* mine[4 K]: loss, correct, counted, images made again. */
static enum status
add_up (struct session *s, const double *mine, double *all, int64_t n,
        struct evaluation *out)
{
  int K = s->design->K;
  TRY (wire_all_gather (s->wire, mine, 4 * K, all));
  for (int k = 0; k < K; k++) {
    double loss = 0, correct = 0, counted = 0, rebuilt = 0;
    for (int r = 0; r < wire_size (s->wire); r++) {
      const double *v = all + (size_t)r * 4 * (size_t)K;
      loss += v[k];
      correct += v[K + k];
      counted += v[2 * K + k];
      rebuilt += v[3 * K + k];
    }
    out->loss[k] = counted > 0 ? loss / counted : NAN;
    out->accuracy[k] = counted > 0 ? correct / counted : NAN;
    if (out->rebuilt)
      out->rebuilt[k] = counted > 0 && design_rebuilds (s->design, k) > 0
                            ? rebuilt / counted
                            : NAN;
  }
  out->samples = n;
  return OK;
}

/* -- stopping ----------------------------------------------------------------
 */

enum run_stop
run_stop_first (const double *votes)
{
  for (int i = STOP_NONE + 1; i < STOP_REASONS; i++)
    if (votes[i] > 0)
      return (enum run_stop)i;
  return STOP_NONE;
}

/* Votes to stop, a ballot for each round of batches, read as many rounds later
 * as the pipe has ranks.  No ballot of a step is under way meanwhile. */
struct rounds {
  struct evaluation_stop *stop; /* NULL: nobody votes */
  int lag;
  int *request; /* lag */
  int64_t done, read;
};

static enum status
cast (struct session *s, struct rounds *r)
{
  double votes[STOP_REASONS] = {0};
  if (!r->stop)
    return OK;
  const enum run_stop why = r->stop->ask (r->stop->context);
  if (why != STOP_NONE)
    votes[why] = 1;
  return wire_ballot_start (s->wire, -1, votes, STOP_REASONS,
                            &r->request[r->done % r->lag]);
}

static enum status
read_one (struct session *s, struct rounds *r)
{
  double votes[STOP_REASONS];
  TRY (wire_ballot_wait (s->wire, &r->request[r->read++ % r->lag], votes));
  if (r->stop->why == STOP_NONE)
    r->stop->why = run_stop_first (votes);
  return OK;
}

/* -- batches -----------------------------------------------------------------
 */

/* Batches are dealt to replicas in rounds, one each.  Goes on until all ranks
 * have read in the same round that one of them asks to stop; as in training, no
 * batch waits until the last stage is done with the one before. */
static enum status
eval_rounds (struct session *s, enum data_split split, int64_t n,
             struct rounds *r, struct sums *sums)
{
  const struct design *d = s->design;
  int64_t batches = (n + d->n_samples - 1) / d->n_samples;
  int64_t rounds = (batches + d->R - 1) / d->R;
  int sent = WIRE_NONE;
  for (; r->done < rounds; r->done++) {
    int64_t b = r->done * d->R + wire_replica (s->wire);
    if (r->stop && r->done - r->lag >= r->read)
      TRY (read_one (s, r));
    if (r->stop && r->stop->why != STOP_NONE)
      break;
    place_set ((long)b, s->local[0].k, "evaluation batch");
    log_progress (
        "%s %s: batch %lld of %lld", s->on_output ? "outputs of" : "evaluating",
        data_split_name (split), (long long)b + 1, (long long)batches);
    if (b < batches)
      TRY (eval_batch (s, split, b, n, &sent, sums));
    TRY (cast (s, r));
  }
  while (r->stop && r->read < r->done)
    TRY (read_one (s, r));
  return wire_wait (s->wire, &sent, NULL, NULL);
}

/* Images are decoded ahead of the batches of this replica. */
static enum status
open_reader (struct session *s, enum data_split split, int64_t n)
{
  const struct design *d = s->design;
  struct data_loader_spec spec;
  const int64_t batches = (n + d->n_samples - 1) / d->n_samples;
  const int replica = wire_replica (s->wire);
  const bool wanted = s->local[0].k == 0 || s->pictures.x;
  if (!wanted || !d->info.decoder[0] || batches <= replica)
    return OK;
  design_reader (d, replica, split, (batches - replica + d->R - 1) / d->R,
                 &spec);
  return data_loader_open (&spec, &s->reader);
}

enum status
session_evaluate (struct session *s, enum data_split split, int64_t limit,
                  struct evaluation_stop *stop, struct evaluation *out)
{
  const struct design *d = s->design;
  int64_t n = d->info.samples[split];
  if (limit > 0 && limit < n)
    n = limit;
  int K = d->K;
  struct rounds r = {.stop = stop, .lag = wire_pipe_size (s->wire)};
  double *mine = NULL, *all = NULL;
  clock_switch (&s->account, CLOCK_EVAL);
  log_progress_begin ();
  enum status e = MEM_NEW (4 * (size_t)K, &mine, "evaluation");
  if (e == OK)
    e = MEM_NEW (4 * (size_t)(K * wire_size (s->wire)), &all, "evaluation");
  if (e == OK)
    e = MEM_NEW ((size_t)r.lag, &r.request, "evaluation");
  if (e == OK)
    e = open_reader (s, split, n);
  if (e != OK)
    wire_abort (e); /* the others are on their way into the pipe */
  struct sums sums = {mine, mine + K, mine + 2 * K, mine + 3 * K};
  e = eval_rounds (s, split, n, &r, &sums);
  if (e != OK)
    wire_abort (e);
  e = stop && stop->why != STOP_NONE
          ? fail (E_STOPPED, "stopped in an evaluation")
          : add_up (s, mine, all, n, out);
  data_loader_close (&s->reader);
  mem_free (&mine);
  mem_free (&all);
  mem_free (&r.request);
  clock_switch (&s->account, CLOCK_OTHER);
  return e;
}

double
session_bits (const struct session *s, enum data_split split, double loss)
{
  const struct design *d = s->design;
  double bytes = (double)d->info.bytes[split];
  double tokens = (double)d->info.tokens[split];
  return bytes > 0 ? loss / log (2) * tokens / bytes : NAN;
}
