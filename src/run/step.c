/* run/step.c -- one training step: a loop over a list, and one switch.
 *
 * Relies on the plan for every decision; knows no strategy.  Waiting and
 * arithmetic are booked on the account as they happen.
 */
#include "base/place.h"
#include "run/session.h"

#include <math.h>
#include <string.h>

/* -- helpers ----------------------------------------------------------------
 */

struct local_stage *
session_local (struct session *s, int k)
{
  int first = s->local[0].k;
  CHECK (k >= first && k < first + s->n_local, "stage %d is not here", k);
  return &s->local[k - first];
}

/* The place of a micro-batch's first sample in the whole batch. */
static int64_t
session_sample (const struct session *s, int micro)
{
  const struct design *d = s->design;
  return (wire_replica (s->wire) * d->M + micro) * d->n_samples;
}

static struct wire_id
id_of (const struct plan_op *op, int64_t step)
{
  bool act = op->verb == PLAN_RECV_ACT || op->verb == PLAN_SEND_ACT;
  bool down = op->verb == PLAN_SEND_GRAD || op->verb == PLAN_RECV_ACT;
  return (struct wire_id){
      .step = step,
      .micro = op->micro,
      /* A border is named by the stage above it. */
      .border = down ? op->stage : op->stage + 1,
      .stream = act ? -1 : op->stream,
  };
}

static struct border_buffer *
cot_of (struct local_stage *l, int stream, int slot)
{
  return &l->cot[stream * l->n_slots + slot];
}

/* The gradient that comes to stage l from above. */
static float *
above (const struct session *s, struct local_stage *l, int stream, int slot,
       int micro)
{
  if (s->lane.gradients && l->n_cot == 0)
    return gradients_at (s, l->k + 1, stream, micro);
  return cot_of (l, stream, slot)->t.data;
}

static struct border_buffer *
out_of (struct local_stage *l, int stream, int slot)
{
  return &l->out[stream * l->n_slots + slot];
}

/* The stage with the buffers of the lane that is walked now. */
static struct local_stage *
here (struct session *s, int k)
{
  return &s->lane.local[session_local (s, k) - s->local];
}

static int
way_of (const struct session *s, const struct plan_op *op)
{
  if (s->lane.aside)
    return (int)s->lane.way;
  return op->window < 0 ? op->window : s->lane.windows + op->window;
}

/* -- operations -------------------------------------------------------------
 */

static enum status
do_take (struct session *s, struct local_stage *l, const struct plan_op *op,
         int64_t step)
{
  clock_switch (&s->account, CLOCK_DATA);
  struct tensor *x = &l->in[op->slot].t;
  if (s->pictures.x && !s->lane.aside) {
    const float *from;
    TRY (pictures_of (s, step, op->micro, &from));
    memcpy (x->data, from, s->pictures.each * sizeof *from);
  } else
    TRY (s->lane.aside ? data_look_ahead (s->loader, step, op->micro, x->data)
                       : data_take (s->loader, step, op->micro, x->data));
  stage_take (l->stage, x);
  return OK;
}

static enum status
do_post (struct session *s, struct local_stage *l, const struct plan_op *op)
{
  struct border_buffer *b = op->verb == PLAN_POST_ACT
                                ? &l->in[op->slot]
                                : cot_of (l, op->stream, op->slot);
  struct tensor message;
  clock_switch (&s->account, CLOCK_EXPOSED);
  CHECK (b->request == WIRE_NONE, "receive posted twice into one buffer");
  stage_message (l->stage, &b->t, &message);
  return wire_post (s->wire, way_of (s, op), &message, op->peer, op->tag,
                    &b->request);
}

static enum status
do_receive (struct session *s, struct local_stage *l, const struct plan_op *op,
            int64_t step)
{
  struct border_buffer *b = op->verb == PLAN_RECV_ACT
                                ? &l->in[op->slot]
                                : cot_of (l, op->stream, op->slot);
  const struct wire_id id = id_of (op, step);
  TRY (session_await (s, &b->request, &id));
  clock_switch (&s->account, CLOCK_EXPOSED);
  stage_unpack (l->stage, &b->t);
  return OK;
}

static enum status
do_forward (struct session *s, struct local_stage *l, const struct plan_op *op,
            int64_t step)
{
  TRY (session_await (s, &l->sent[op->slot], NULL));
  clock_switch (&s->account, CLOCK_PLAIN);
  const void *x = l->in[op->slot].t.data;
  if (op->source >= 0) {
    struct tensor t;
    stage_output (session_local (s, op->stage - 1)->stage, op->source, &t);
    x = t.data;
  }
  stage_moment (l->stage, op->slot, step, session_sample (s, op->micro));
  TRY (stage_forward (l->stage, op->slot, x));
  if (s->flow.on && !s->lane.aside) {
    clock_switch (&s->account, CLOCK_OTHER);
    s->flow.output[l->k] += stage_output_squares (l->stage, op->slot);
  }
  return OK;
}

static enum status
do_send_act (struct session *s, struct local_stage *l, const struct plan_op *op,
             int64_t step)
{
  struct tensor t;
  stage_output (l->stage, op->slot, &t);
  clock_switch (&s->account, CLOCK_EXPOSED);
  if (l->packed)
    stage_pack (l->stage, &t, l->packed[op->slot], &t);
  return wire_send (s->wire, way_of (s, op), &t, op->peer, op->tag,
                    id_of (op, step), &l->sent[op->slot]);
}

/* Labels of the whole step's samples of this replica, looked up once. */
static enum status
labels_of (struct session *s, int64_t step, int micro, const int32_t **labels)
{
  const struct design *d = s->design;
  if (s->labels_step != step) {
    TRY (data_take_labels (d->data, d->train, s->order, step,
                           session_sample (s, 0), d->n_samples * d->M,
                           s->labels));
    s->labels_step = step;
  }
  *labels = s->labels + micro * d->n_samples * d->length;
  return OK;
}

static enum status
do_head (struct session *s, struct local_stage *l, const struct plan_op *op,
         int64_t step)
{
  const struct design *d = s->design;
  clock_switch (&s->account, CLOCK_DATA);
  const int32_t *labels;
  TRY (labels_of (s, step, op->micro, &labels));
  TRY (pictures_show (s, l, op->slot, step, op->micro));
  clock_switch (&s->account, op->stage == d->K - 1 ? CLOCK_PLAIN : CLOCK_HEADS);
  struct stage_loss loss;
  TRY (stage_head (l->stage, op->slot, labels,
                   1.0f / (float)(d->batch * d->length),
                   s->lane.plan->head[op->stage] == PLAN_WITNESS, &loss));
  s->loss[op->stage].loss += loss.loss;
  s->loss[op->stage].correct += loss.correct;
  s->loss[op->stage].counted += loss.counted;
  s->loss[op->stage].rebuilt += loss.rebuilt;
  return OK;
}

static const float *
pass_input (struct session *s, struct local_stage *l, const struct plan_pass *p,
            int i, const struct plan_op *op)
{
  if (p->in[i] == PLAN_OWN)
    return stage_head_grad (l->stage, op->slot);
  return above (s, l, p->in[i], op->slot, op->micro);
}

/* The gradient that a pass takes down: one input as it is, or a sum of several.
 * A pass that learns keeps it until its weights are done, so there is a place
 * for the sum per pair; all other passes share one. */
static const float *
cotangent_of (struct session *s, struct local_stage *l,
              const struct plan_pass *p, const struct plan_op *op)
{
  const bool grows = p->learn && plan_grows (s->lane.plan, l->k);
  int n = p->n_in;
  if (n == 1 && p->coef[0] == 1 && !grows)
    return pass_input (s, l, p, 0, op);
  for (int i = 0; i < n; i++) {
    l->term[i] = pass_input (s, l, p, i, op);
    l->coef[i] = (float)p->coef[i];
  }
  if (grows) {
    struct tensor y;
    stage_output (l->stage, op->slot, &y);
    l->term[n] = y.data;
    l->coef[n++] = l->grow;
  }
  float *mix = l->mix[p->learn ? op->pair : l->n_pairs];
  stage_combine (l->stage, n, l->term, l->coef, mix);
  return mix;
}

static enum status
do_pass (struct session *s, struct local_stage *l, const struct plan_op *op)
{
  const struct plan_pass *p = &s->lane.plan->pass[op->stage][op->pass];
  float *d_x = NULL;
  if (p->out >= 0 && op->slot_to >= 0)
    d_x = above (s, here (s, op->stage - 1), p->out, op->slot_to, op->micro);
  else if (p->out >= 0) {
    struct border_buffer *b = out_of (l, p->out, op->slot);
    TRY (session_await (s, &b->request, NULL));
    d_x = b->t.data;
  }
  clock_switch (&s->account, p->learn ? CLOCK_PLAIN : CLOCK_EXTRA);
  const float *cotangent = cotangent_of (s, l, p, op);
  sums_micro (s, l, op->micro);
  if (op->joined)
    return stage_back_both (l->stage, op->slot, cotangent, op->pair, d_x);
  return stage_back_data (l->stage, op->slot, cotangent, p->learn, op->pair,
                          d_x);
}

static enum status
do_send_grad (struct session *s, struct local_stage *l,
              const struct plan_op *op, int64_t step)
{
  struct border_buffer *b = out_of (l, op->stream, op->slot);
  struct tensor message;
  clock_switch (&s->account, CLOCK_EXPOSED);
  stage_pack (l->stage, &b->t, NULL, &message);
  return wire_send (s->wire, way_of (s, op), &message, op->peer, op->tag,
                    id_of (op, step), &b->request);
}

/* -- the end of a stage's batch ---------------------------------------------
 */

static enum status
update (struct session *s, struct local_stage *l, const float clip[2],
        int64_t step)
{
  const struct design *d = s->design;
  const double lr = schedule_lr (&d->schedule, step);
  clock_switch (&s->account, CLOCK_PLAIN);
  if (s->on_gradients)
    s->on_gradients (s, l, step, s->on_gradients_context);
  for (int part = 0; part < 2; part++)
    TRY (
        stage_update_part (l->stage, (enum stage_part)part, lr, clip[part],
                           design_updates (d, l->k, part == STAGE_HEAD, step)));
  return sums_gather (s, l);
}

/* The squares of this rank's part of window h: element k for the body of stage
 * k, element K for the head. */
static void
window_squares (struct session *s, int h, double *v)
{
  const struct design *d = s->design;
  for (int i = 0; i <= d->K; i++)
    v[i] = 0;
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    if (s->lane.plan->route[l->k * d->K + h] != 0)
      v[l->k] = l->squares[STAGE_BODY];
    if (l->k == h)
      v[d->K] = l->squares[STAGE_HEAD];
  }
}

static bool
window_has_me (const struct session *s, int h)
{
  int low = s->lane.plan->window_first[h];
  if (low < 0)
    low = h;
  int last = s->local[s->n_local - 1].k;
  return low <= last && h >= s->local[0].k;
}

static bool
window_is_shared (const struct session *s, int h)
{
  const struct plan *p = s->lane.plan;
  int low = p->window_first[h];
  return low >= 0 && p->rank_of[low] != p->rank_of[h];
}

/* Starts the sums of all windows that this rank shares with others, before the
 * first one is waited for.  One after the other each would wait for a rank that
 * waits in its own next window, and so on up the whole pipe. */
static enum status
start_norms (struct session *s)
{
  const struct design *d = s->design;
  for (int h = 0; h < d->K; h++) {
    if (!window_has_me (s, h) || !window_is_shared (s, h))
      continue;
    window_squares (s, h, s->squares);
    TRY (wire_ballot_start (s->wire, s->lane.windows + h, s->squares, d->K + 1,
                            &s->window_norm[h]));
  }
  return OK;
}

/* Norm of every window this rank is in: clip / norm, at most 1.  The norm of
 * window h is over all parameters that follow loss h: its stages' and its
 * head's. */
static enum status
window_factors (struct session *s, double *factor)
{
  const struct design *d = s->design;
  int K = d->K;
  TRY (start_norms (s));
  for (int h = 0; h < K; h++) {
    factor[h] = 1;
    if (!window_has_me (s, h))
      continue;
    double *v = s->squares;
    window_squares (s, h, v);
    TRY (wire_ballot_wait (s->wire, &s->window_norm[h], v));
    double sum = 0;
    for (int i = 0; i <= K; i++)
      sum += v[i];
    double norm = sqrt (sum);
    if (norm > d->config.clip)
      factor[h] = d->config.clip / norm;
  }
  return OK;
}

/* What clipping leaves of the gradients of every window, into s->factor. */
static enum status
do_norm (struct session *s)
{
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    TRY (sums_finish (s, l));
    clock_switch (&s->account, CLOCK_PLAIN);
    for (int part = 0; part < 2; part++)
      l->squares[part] =
          stage_gradient_squares (l->stage, (enum stage_part)part);
  }
  clock_switch (&s->account, CLOCK_WAIT);
  for (int h = 0; h < s->design->K; h++)
    s->factor[h] = 1;
  return window_factors (s, s->factor);
}

/* Where norms are wanted, NORM came just before. */
static enum status
do_update (struct session *s, struct local_stage *l, int64_t step)
{
  const struct plan *p = s->lane.plan;
  const double *factor = s->factor;
  float clip[2] = {1, 1};
  if (!p->norms)
    TRY (sums_finish (s, l));
  else
    clip[STAGE_HEAD] = (float)factor[l->k];
  if (s->flow.on)
    s->flow.gradient[l->k] =
        p->norms ? l->squares[STAGE_BODY]
                 : stage_gradient_squares (l->stage, STAGE_BODY);
  /* A stage in several windows obeys the strictest. */
  for (int h = l->k; p->norms && h < p->K; h++)
    if (p->route[l->k * p->K + h] != 0 && (float)factor[h] < clip[STAGE_BODY])
      clip[STAGE_BODY] = (float)factor[h];
  return update (s, l, clip, step);
}

/* -- the step ---------------------------------------------------------------
 */

enum status
session_op (struct session *s, const struct plan_op *op, int64_t step)
{
  struct local_stage *l = here (s, op->stage);
  switch (op->verb) {
  case PLAN_TAKE:
    return do_take (s, l, op, step);
  case PLAN_POST_ACT:
  case PLAN_POST_GRAD:
    return do_post (s, l, op);
  case PLAN_RECV_ACT:
  case PLAN_RECV_GRAD:
    return do_receive (s, l, op, step);
  case PLAN_FORWARD:
    return do_forward (s, l, op, step);
  case PLAN_SEND_ACT:
    return do_send_act (s, l, op, step);
  case PLAN_HEAD:
    return do_head (s, l, op, step);
  case PLAN_PASS:
    return do_pass (s, l, op);
  case PLAN_SEND_GRAD:
    return do_send_grad (s, l, op, step);
  case PLAN_WEIGHTS:
    clock_switch (&s->account, CLOCK_PLAIN);
    if (op->joined)
      return OK;
    sums_micro (s, l, op->micro);
    return stage_back_weights (l->stage, op->slot, op->pair);
  case PLAN_HEAD_WEIGHTS:
    clock_switch (&s->account,
                  op->stage == s->design->K - 1 ? CLOCK_PLAIN : CLOCK_HEADS);
    TRY (stage_head_weights (l->stage, op->slot));
    return sums_head (s, l, op->micro);
  case PLAN_REDUCE:
    return sums_begin (s, l);
  case PLAN_GATHER:
    return shared_sum (s, step);
  case PLAN_NORM:
    return do_norm (s);
  case PLAN_UPDATE:
    return do_update (s, l, step);
  case PLAN_SPREAD:
    return shared_spread (s, step);
  case PLAN_VERBS:
    break;
  }
  CHECK (false, "unknown operation %d", (int)op->verb);
  return E_FAULT;
}

/* Shows how far the first step is: there are no losses to show yet. */
static void
say_first (const struct session *s, int64_t step, int done, int n)
{
  if (s->run)
    log_progress ("step=%lld/%lld operation %d of %d; no losses yet",
                  (long long)step + 1, (long long)s->end_step, done, n);
}

struct lane
session_lane (const struct session *s, int64_t step)
{
  const struct design_phase *p = design_phase_at (s->design, step);
  return (struct lane){
      .plan = p->plan,
      .windows = (int)(p - s->design->phase) * s->design->K,
      .gradients = s->gradients ? s->gradients + (p - s->design->phase) : NULL,
      .local = s->local};
}

/* The receives that lists expect to be posted by the step before. */
static enum status
post_ahead (struct session *s)
{
  const struct plan_rank *r = &s->lane.plan->rank[wire_pipe_rank (s->wire)];
  for (int i = 0; i < r->n_ops; i++)
    if (r->op[i].ahead)
      TRY (do_post (s, session_local (s, r->op[i].stage), &r->op[i]));
  return OK;
}

/* ahead: whether the next step is walked by the same list. */
static enum status
walk (struct session *s, int64_t step, bool ahead)
{
  const struct plan_rank *r = &s->lane.plan->rank[wire_pipe_rank (s->wire)];
  for (int i = 0; i < r->n_ops; i++) {
    const struct plan_op *op = &r->op[i];
    if (op->ahead && !ahead)
      continue; /* nobody will send */
    place_set ((long)step, op->stage, plan_verb_name (op->verb));
    if (!s->heard)
      say_first (s, step, i, r->n_ops);
    double begin = s->trace ? clock_now_s () : 0;
    TRY (session_op (s, op, step));
    wire_poll (s->wire);
    if (s->trace)
      trace_op (s, step, op, begin, clock_now_s ());
  }
  return OK;
}

/* Where the next step has another list its receives are posted when this one is
 * done: any buffer may be one that this step still reads.  No rank waits for
 * another here. */
enum status
session_step (struct session *s, int64_t step)
{
  const struct design *d = s->design;
  const bool last = step + 1 >= s->end_step;
  const struct lane next = session_lane (s, last ? step : step + 1);
  const bool turns = next.plan != s->lane.plan;
  for (int k = 0; k < d->K; k++) {
    s->loss[k] = (struct stage_loss){0};
    s->flow.output[k] = s->flow.gradient[k] = 0;
  }
  clock_pace ();
  mem_close ();
  enum status e = walk (s, step, !last && !turns);
  if (e == OK)
    e = pictures_finish (s, step);
  if (e == OK && turns) {
    s->lane = next;
    session_set_modes (s, next.plan);
    e = post_ahead (s);
  }
  mem_open ();
  if (e == OK)
    clock_switch (&s->account, CLOCK_OTHER);
  return e;
}

enum status
session_begin (struct session *s, int64_t start, int64_t end)
{
  const struct design *d = s->design;
  s->start_step = start;
  s->end_step = end;
  pictures_begin (s, start, end);
  const bool is_first = s->local[0].k == 0;
  const bool reads = is_first || s->pictures.first < s->pictures.end;
  TRY (data_fetch (s->wire, d->data, d->train, reads));
  TRY (data_labels_prove (d->data, d->train));
  if (reads) {
    struct data_loader_spec spec;
    design_loader (d, wire_replica (s->wire),
                   is_first ? start : s->pictures.first,
                   is_first ? end : s->pictures.end, &spec);
    TRY (data_loader_open (&spec, &s->loader));
  }
  if (start >= end)
    return OK;
  s->lane = session_lane (s, start);
  session_set_modes (s, s->lane.plan);
  return post_ahead (s);
}

static void
withdraw (struct session *s, struct border_buffer *b, int n)
{
  for (int i = 0; i < n; i++)
    if (b[i].request != WIRE_NONE)
      wire_cancel (s->wire, &b[i].request);
}

enum status
session_end (struct session *s)
{
  enum status e = OK;
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    for (int j = 0; j < l->n_slots; j++)
      if (e == OK)
        e = session_await (s, &l->sent[j], NULL);
    for (int j = 0; j < l->n_out * l->n_slots; j++)
      if (e == OK)
        e = session_await (s, &l->out[j].request, NULL);
  }
  if (e == OK)
    e = shared_settle (s);
  /* Everything sent has arrived once all ranks are here: what is still posted
   * belongs to steps that nobody will take. */
  e = wire_agree (s->wire, e);
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    withdraw (s, l->in, l->n_slots);
    withdraw (s, l->cot, l->n_cot * l->n_slots);
  }
  data_loader_close (&s->loader);
  return e;
}
