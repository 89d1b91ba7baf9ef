/* run/session.c -- from a configuration to a rank that is ready to step.
 *
 * Every part that can fail on one rank only ends in a fence, so that all ranks
 * go on or leave together.
 */
#include "base/place.h"
#include "run/session.h"

#include <stdio.h>
#include <string.h>

/* -- data, network, kernels --------------------------------------------------
 */

static enum status
name_data (struct session *s)
{
  const struct config *c = &s->config;
  TRY (derive_split (c->train, &s->train));
  TRY (derive_split (c->valid, &s->valid));
  TRY (derive_split (c->test, &s->test));
  if (!c->file[0])
    return fail (E_CONFIG, "data.file is not given: name a data set file, made "
                           "by `interlock import`");
  return OK;
}

/* Pictures of any size are needed to take parts of them. */
static enum status
check_augment (const struct session *s)
{
  int augment;
  TRY (derive_augment (s->config.augment, &augment));
  if ((augment & DATA_AUGMENT_IMAGENET) && !s->info.jpeg && !s->forward_only)
    return fail (E_CONFIG,
                 "data.augment = imagenet: %s has no JPEG images, which it is "
                 "for (pixels have flip, crop4, flip+crop4)",
                 s->config.file);
  return OK;
}

static enum status
open_data (struct session *s)
{
  const struct config *c = &s->config;
  TRY (wire_worst (s->wire, name_data (s)));
  place_set (-1, -1, "opening the data set");
  TRY (data_open_all (s->wire, c->file, &s->data));
  data_info (s->data, &s->info);
  const bool tokens = strcmp (c->family, "transformer") == 0;
  if (strcmp (s->info.kind, tokens ? "tokens" : "images") != 0)
    return fail (E_CONFIG,
                 "%s: a data set of %s does not fit model.family = %s", c->file,
                 s->info.kind, c->family);
  if (s->info.samples[s->train] == 0)
    return fail (E_DATA, "%s: there is no split /%s", c->file, c->train);
  TRY (check_augment (s));
  if (tokens) {
    struct model_spec spec;
    TRY (derive_spec (c, &s->info, &spec));
    data_windows (s->data, spec.context, c->stride);
    data_info (s->data, &s->info);
  }
  TRY (data_training_samples (s->data, s->train, c->order == CONFIG_SHUFFLE,
                              &s->n_train));
  if (c->limit > 0 && c->limit < s->n_train)
    s->n_train = c->limit;
  return OK;
}

/* The strategy: everything after this asks the table. */
static enum status
make_route (struct session *s)
{
  const size_t n = (size_t)s->K * (size_t)s->K;
  mem_free (&s->route);
  TRY (MEM_NEW (n, &s->route, "route"));
  if (!s->given_route)
    return derive_route (&s->config, s->K, s->route);
  memcpy (s->route, s->given_route, n * sizeof *s->route);
  return plan_route_check (s->K, s->route);
}

static enum status
make_network (struct session *s)
{
  struct model_spec spec;
  TRY (derive_spec (&s->config, s->data ? &s->info : NULL, &spec));
  if (!s->data && spec.stem == MODEL_STEM_IMAGENET)
    spec.height = spec.width_px = 224;
  TRY (network_create (&spec, &s->net));
  s->length = spec.family == MODEL_TRANSFORMER ? spec.context : 1;
  return OK;
}

/* A text of the run directory or of a file, on the root; "" when there is
 * none. */
enum status
session_read_text (struct session *s, const char *dir, const char *name,
                   char **out)
{
  char *text = NULL;
  enum status e = OK;
  if (wire_rank (s->wire) == 0) {
    if (dir == NULL || store_run_get (dir, name, &text) != OK) {
      fail_clear ();
      e = mem_text ("", &text);
    }
  }
  TRY (wire_agree (s->wire, e));
  TRY (wire_broadcast_text (s->wire, &text, 0));
  *out = text;
  return OK;
}

/* Whether any stage but the last has a head. */
static bool
wants_heads (const struct session *s)
{
  return s->every_head || s->config.heads_all ||
         plan_route_inner (s->K, s->route);
}

const char *
session_head (const struct session *s)
{
  return wants_heads (s) ? s->config.head : NULL;
}

/* -- the plan ----------------------------------------------------------------
 */

/* Cost matrices for the cut: what unit i costs in stage k, given how many
 * passes the strategy sends through that stage. */
static enum status
auto_cut (struct session *s, const struct plan *probe)
{
  int n = network_units (s->net), K = s->K;
  double *cost = NULL, *extra = NULL;
  enum status e = MEM_NEW ((size_t)(n * K), &cost, "cut costs");
  if (e == OK)
    e = MEM_NEW ((size_t)(n * K), &extra, "cut costs of heads");
  for (int k = 0; e == OK && k < K; k++)
    for (int i = 0; i < n; i++) {
      const struct stage_cost *u = &s->costs.unit[i], *h = &s->costs.head[i];
      cost[k * n + i] = u->forward + probe->n_passes[k] * u->data + u->weights;
      bool head = probe->head[k] != PLAN_SILENT && k < K - 1;
      extra[k * n + i] = head ? h->forward + h->data + h->weights : 0;
    }
  if (e == OK)
    e = plan_cut (n, cost, extra, K, s->first);
  mem_free (&cost);
  mem_free (&extra);
  return e;
}

/* The matrix of a tied embedding is updated in the last stage. */
static double
shared_moves (const struct session *s, int k)
{
  const struct model_spec *m = network_spec (s->net);
  const double n = (double)m->classes * (double)m->d_model;
  if (m->family != MODEL_TRANSFORMER || !m->tied)
    return 0;
  return (k == s->K - 1 ? n : 0) - (k == 0 ? n : 0);
}

void
session_joint (const struct session *s, struct plan_joint *out)
{
  const struct model_spec *m = network_spec (s->net);
  const bool tokens = m->family == MODEL_TRANSFORMER;
  const double n = tokens ? (double)m->classes * (double)m->d_model : 0;
  *out = (struct plan_joint){
      .norms = s->config.clip > 0,
      .first = network_shares (s->net, NULL),
      .heads = tokens && network_head_shares (s->config.head),
      .matrix_bytes = s->unit_costs ? 0 : network_param_bytes (n),
      .fold_s = s->unit_costs ? 0 : n * RUN_FOLD_S,
      .copy_s = s->unit_costs ? 0 : n * RUN_COPY_S,
  };
}

static void
stage_costs (struct session *s, const struct plan *probe)
{
  int n = network_units (s->net);
  for (int k = 0; k < s->K; k++) {
    struct plan_cost c = {.input = s->costs.unit[s->first[k]].input};
    struct network_unit u;
    double params = 0;
    bool last = k == s->K - 1;
    for (int i = s->first[k]; i < s->first[k + 1]; i++) {
      network_unit (s->net, i, &u);
      params += (double)u.params;
      if (last && i == n - 1)
        break; /* the output unit is the head */
      c.forward += s->costs.unit[i].forward;
      c.data += s->costs.unit[i].data;
      c.weights += s->costs.unit[i].weights;
      c.saved += s->costs.unit[i].saved;
    }
    int end = s->first[k + 1] - 1;
    const struct stage_cost *h =
        last ? &s->costs.unit[n - 1] : &s->costs.head[end];
    if (last || probe->head[k] != PLAN_SILENT) {
      c.head = h->forward + h->data;
      c.head_weights = h->weights;
    }
    network_unit (s->net, last ? end - 1 : end, &u);
    c.output_bytes = network_border_bytes (u.out, (double)s->n_samples);
    params += shared_moves (s, k);
    c.update = params * RUN_UPDATE_S;
    c.squares = params * RUN_SQUARES_S;
    s->cost[k] = c;
  }
}

/* Total work of a stage, for folding. */
static double
stage_work (const struct session *s, const struct plan *probe, int k)
{
  const struct plan_cost *c = &s->cost[k];
  return c->forward + probe->n_passes[k] * c->data + c->weights + c->head +
         c->head_weights + c->update;
}

static enum status
make_plan (struct session *s, int n_pipe)
{
  int K = s->K;
  int *rank_of = NULL;
  double *work = NULL;
  struct plan *probe = NULL;
  struct plan_ask ask = {.K = K,
                         .heads_all = s->config.heads_all,
                         .n_micro = s->M,
                         .n_pipe = 1,
                         .n_replicas = s->R};
  enum status e;
  session_joint (s, &ask.joint);
  if (n_pipe > K)
    return fail (E_CONFIG,
                 "%d ranks for %d stages x %d replica%s: at most %d ranks have "
                 "work (fewer ranks, more stages.count, or more run.replicas)",
                 n_pipe * s->R, K, s->R, s->R == 1 ? "" : "s", K * s->R);
  TRY (MEM_NEW ((size_t)K, &rank_of, "folding"));
  e = MEM_NEW ((size_t)K, &work, "stage work");
  if (e == OK && !s->first)
    e = MEM_NEW ((size_t)K + 1, &s->first, "cut");
  if (e == OK && !s->cost)
    e = MEM_NEW ((size_t)K, &s->cost, "stage costs");
  if (e == OK)
    e = derive_order (s->config.run_schedule, &ask.order);
  ask.route = s->route;
  ask.rank_of = rank_of;
  if (e == OK)
    e = plan_create (&ask, &probe); /* all stages on one rank: passes, heads */
  if (e == OK)
    e = strcmp (s->config.cut, "auto") == 0
            ? auto_cut (s, probe)
            : network_cut_parse (s->net, s->config.cut, K, s->first);
  if (e == OK) {
    stage_costs (s, probe);
    for (int k = 0; k < K; k++)
      work[k] = stage_work (s, probe, k);
    e = plan_fold (K, work, n_pipe, rank_of);
  }
  ask.n_pipe = n_pipe;
  ask.cost = s->unit_costs ? NULL : s->cost;
  ask.latency_s = s->unit_costs ? 0 : s->latency_s;
  ask.bytes_per_s = s->unit_costs ? 0 : s->bytes_per_s;
  if (e == OK)
    e = plan_create (&ask, &s->plan);
  plan_destroy (&probe);
  mem_free (&work);
  mem_free (&rank_of);
  return e;
}

enum status
session_check_tags (const struct session *s, const struct plan *p)
{
  char what[128];
  snprintf (what, sizeof what,
            "a timetable of %d stages x %d micro-batch%s (lower train.micro "
            "or stages.count)",
            p->K, p->n_micro, p->n_micro == 1 ? "" : "es");
  return wire_tags (s->wire, plan_tags (p), what);
}

/* -- stages and borders ------------------------------------------------------
 */

static void
buffer_make (struct session *s, const struct tensor *like,
             struct border_buffer *b)
{
  char *p = arena_take (&s->borders, TENSOR_HEADER + like->bytes);
  b->t = *like;
  b->t.data = p + TENSOR_HEADER;
  b->request = WIRE_NONE;
}

static bool
needs_mix (const struct plan *p, int k)
{
  for (int i = 0; i < p->n_passes[k]; i++)
    if (p->pass[k][i].n_in != 1 || p->pass[k][i].coef[0] != 1)
      return true;
  return false;
}

/* Cotangents that a pass of stage k adds up, at most. */
static size_t
most_terms (const struct plan *p, int k)
{
  int most = 0;
  for (int i = 0; i < p->n_passes[k]; i++)
    most = p->pass[k][i].n_in > most ? p->pass[k][i].n_in : most;
  return (size_t)most;
}

static enum status
make_stage (struct session *s, int k, struct local_stage *l)
{
  const struct plan *p = s->plan;
  struct stage_spec spec = {
      .net = s->net,
      .tuning = s->tuning,
      .k = k,
      .n_stages = s->K,
      .unit_first = s->first[k],
      .unit_end = s->first[k + 1],
      .head = k < s->K - 1 && p->head[k] != PLAN_SILENT ? s->config.head : NULL,
      .head_observes = p->head[k] == PLAN_WITNESS,
      .n_samples = s->n_samples,
      .n_slots = p->n_slots[k],
      .n_pairs = p->n_pairs[k] > 0 ? p->n_pairs[k] : 1,
      .seed = (uint64_t)s->config.seed,
      .optimizer = s->optimizer,
      .training = !s->forward_only,
  };
  l->k = k;
  l->n_slots = s->forward_only ? 0 : spec.n_slots;
  l->n_pairs = spec.n_pairs;
  l->own_input = k == 0 || p->rank_of[k - 1] != p->rank_of[k];
  l->n_cot = p->n_streams[k + 1];
  l->n_out = k > 0 && l->own_input ? p->n_streams[k] : 0;
  for (int i = 0; i < 4; i++)
    l->reduce[i] = WIRE_NONE;
  size_t slots = (size_t)l->n_slots;
  TRY (MEM_NEW (slots, &l->in, "input buffers"));
  TRY (MEM_NEW (slots, &l->sent, "send requests"));
  TRY (MEM_NEW (slots * (size_t)l->n_cot, &l->cot, "cotangents"));
  TRY (MEM_NEW (slots * (size_t)l->n_out, &l->out, "gradients"));
  if (needs_mix (p, k)) {
    TRY (MEM_NEW ((size_t)l->n_pairs + 1, &l->mix, "sums of cotangents"));
    TRY (MEM_NEW (most_terms (p, k), &l->term, "sums of cotangents"));
    TRY (MEM_NEW (most_terms (p, k), &l->coef, "sums of cotangents"));
  }
  place_set (-1, k, "making the stage");
  log_progress ("making stage %d", k);
  TRY (stage_create (s->kern, &spec, &l->stage));
  if (s->decodes)
    TRY (stage_decode_open (l->stage));
  for (int i = 0; i < l->n_slots; i++) {
    l->sent[i] = WIRE_NONE;
    l->in[i].request = WIRE_NONE;
    if (l->own_input)
      TRY (stage_input (l->stage, i, &l->in[i].t));
  }
  struct tensor t;
  return l->own_input ? stage_input (l->stage, STAGE_EVAL, &t) : OK;
}

static enum status
make_borders (struct session *s)
{
  size_t bytes = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < s->n_local; i++) {
      struct local_stage *l = &s->local[i];
      struct tensor in, out;
      stage_border (l->stage, &in, &out);
      size_t one_in = arena_round (TENSOR_HEADER + in.bytes);
      size_t one_out = arena_round (TENSOR_HEADER + out.bytes);
      int n_cot = l->n_cot * l->n_slots, n_out = l->n_out * l->n_slots;
      int n_mix = l->mix ? l->n_pairs + 1 : 0;
      if (pass == 0) {
        bytes += one_out * (size_t)n_cot + one_in * (size_t)n_out +
                 one_out * (size_t)n_mix;
        continue;
      }
      for (int j = 0; j < n_cot; j++)
        buffer_make (s, &out, &l->cot[j]);
      for (int j = 0; j < n_out; j++)
        buffer_make (s, &in, &l->out[j]);
      for (int j = 0; j < n_mix; j++) {
        struct border_buffer b;
        buffer_make (s, &out, &b);
        l->mix[j] = b.t.data;
      }
    }
    if (pass == 0)
      TRY (
          arena_open (bytes + shared_bytes (s), "border tensors", &s->borders));
  }
  shared_make (s);
  return OK;
}

static enum status
make_stages (struct session *s)
{
  const struct plan_rank *r = &s->plan->rank[wire_pipe_rank (s->wire)];
  int n = r->end_stage - r->first_stage;
  TRY (derive_optimizer (&s->config, &s->optimizer));
  s->shares = s->plan->shares != NULL;
  s->shared_request = WIRE_NONE;
  TRY (MEM_NEW ((size_t)n, &s->local, "stages"));
  s->n_local = n;
  for (int i = 0; i < n; i++)
    TRY (make_stage (s, r->first_stage + i, &s->local[i]));
  TRY (make_borders (s));
  size_t largest = 0;
  for (int i = 0; i < n; i++)
    for (int part = 0; part < 2; part++) {
      float *block;
      size_t size;
      stage_gradients (s->local[i].stage, (enum stage_part)part, &block, &size);
      largest = size > largest ? size : largest;
      stage_statistics (s->local[i].stage, (enum stage_part)part, &block,
                        &size);
      largest = size > largest ? size : largest;
    }
  TRY (wire_reduce_reserve (s->wire, largest, 4 * n));
  TRY (MEM_NEW ((size_t)(s->n_samples * s->M * s->length), &s->labels,
                "labels"));
  TRY (MEM_NEW ((size_t)s->K, &s->loss, "losses"));
  TRY (MEM_NEW ((size_t)s->K, &s->window_norm, "norms"));
  TRY (MEM_NEW ((size_t)s->K + 1, &s->squares, "norms"));
  TRY (MEM_NEW ((size_t)s->K, &s->factor, "norms"));
  for (int h = 0; h < s->K; h++)
    s->window_norm[h] = WIRE_NONE;
  s->labels_step = -1;
  s->lane = (struct lane){.plan = s->plan, .local = s->local};
  return kern_seal (s->kern);
}

static enum status
open_windows (struct session *s)
{
  int *ends = NULL;
  TRY (MEM_NEW (2 * (size_t)s->K, &ends, "windows"));
  for (int h = 0; h < s->K; h++) {
    int low = s->plan->window_first[h] < 0 ? h : s->plan->window_first[h];
    ends[h] = s->plan->rank_of[low];
    ends[s->K + h] = s->plan->rank_of[h];
  }
  enum status e = wire_windows (s->wire, s->K, ends, ends + s->K);
  mem_free (&ends);
  return e;
}

/* -- open and close ----------------------------------------------------------
 */

enum status
session_check_ranks (const struct config *c, int size)
{
  long long K = c->count, R = c->replicas, M = c->micro, batch = c->batch;
  if (size % R != 0)
    return fail (E_CONFIG, "run.replicas = %lld does not divide %d ranks", R,
                 size);
  if (batch % (R * M) != 0)
    return fail (E_CONFIG,
                 "train.batch = %lld does not divide into train.micro = %lld "
                 "micro-batches x run.replicas = %lld",
                 batch, M, R);
  if (size / R > K)
    return fail (E_CONFIG,
                 "%d ranks for %lld stages x %lld replica%s: at most %lld "
                 "ranks have work (start fewer ranks, or raise stages.count "
                 "or run.replicas)",
                 size, K, R, R == 1 ? "" : "s", K * R);
  if (c->limit > 0 && c->limit < batch)
    return fail (E_CONFIG, "data.limit = %lld is less than one batch of %lld",
                 (long long)c->limit, batch);
  return OK;
}

static enum status
count_steps (struct session *s)
{
  s->steps = run_steps (&s->config, s->n_train);
  return derive_schedule (&s->config, s->steps, &s->schedule);
}

static enum status
open_parts (struct session *s)
{
  struct wire *w = s->wire;
  TRY (wire_agree (w, session_check_ranks (&s->config, wire_size (w))));
  TRY (wire_grid (w, s->R));
  TRY (wire_agree (w, open_data (s)));
  TRY (wire_agree (w, make_network (s)));
  TRY (wire_agree (w, count_steps (s)));
  TRY (wire_agree (w, make_route (s)));
  if (!s->forward_only)
    TRY (session_foresee_memory (s));
  place_set (-1, -1, "choosing kernels");
  TRY (session_kernels (s));
  say (LOG_DEBUG, "kernels opened %s after start",
       text_seconds (clock_now_s () - s->started_s));
  TRY (session_open_tuning (s));
  say (LOG_DEBUG, "kernels chosen %s after start",
       text_seconds (clock_now_s () - s->started_s));
  place_set (-1, -1, "measuring blocks");
  if (s->forward_only || s->guess_costs)
    TRY (wire_agree (w, unit_costs_guess (s->net, s->n_samples,
                                          session_head (s), &s->costs)));
  else
    TRY (session_open_costs (s));
  say (LOG_DEBUG, "blocks measured %s after start",
       text_seconds (clock_now_s () - s->started_s));
  place_set (-1, -1, "planning");
  TRY (wire_agree (w, make_plan (s, wire_pipe_size (w))));
  TRY (wire_agree (w, session_check_tags (s, s->plan)));
  if (!s->forward_only)
    TRY (session_check_memory (s));
  TRY (wire_agree (w, wire_same (w, plan_hash (s->plan), "the plan")));
  TRY (wire_agree (w, wire_same (w, s->info.digest, "the data set")));
  TRY (open_windows (s));
  TRY (wire_agree (w, make_stages (s)));
  say (LOG_DEBUG, "stages made %s after start",
       text_seconds (clock_now_s () - s->started_s));
  TRY (wire_agree (w, data_order_create (s->n_train, s->batch,
                                         s->config.order == CONFIG_SHUFFLE,
                                         (uint64_t)s->config.seed, &s->order)));
  pulse_hook (wire_poll, w);
  return OK;
}

static void
session_init (struct wire *w, const struct config *c, struct session *s)
{
  memset (s, 0, sizeof *s);
  s->wire = w;
  s->config = *c;
  s->K = (int)c->count;
  s->M = (int)c->micro;
  s->R = (int)c->replicas;
  s->batch = c->batch;
  s->n_samples = c->batch / (c->micro * c->replicas);
  s->latency_s = RUN_LATENCY_S;
  s->bytes_per_s = RUN_BYTES_PER_S;
  s->started_s = clock_now_s ();
  clock_start (&s->account, CLOCK_OTHER);
}

enum status
session_open (struct wire *w, const struct config *c,
              const struct session_how *how, struct session *s)
{
  session_init (w, c, s);
  s->run = how->run;
  s->given_tuning = how->tuning;
  s->was_tuning = how->was_tuning;
  s->forward_only = how->forward_only;
  s->decodes = how->decodes;
  s->guess_costs = how->guess_costs;
  s->proves = how->proves;
  s->given_route = how->route;
  enum status e = open_parts (s);
  if (e != OK)
    session_close (s);
  return e;
}

/* Costs for micro-batches of s->n_samples. */
static enum status
sketch_costs (struct session *s, const struct session_sketch *how)
{
  const char *head = session_head (s);
  if (how->costs)
    return run_costs_take (how->costs, s->net, s->n_samples, s->config.head,
                           &s->costs);
  if (!how->measure)
    return unit_costs_guess (s->net, s->n_samples, head, &s->costs);
  if (!s->kern)
    TRY (session_kernels (s));
  if (!how->tuned) {
    kern_tuning_destroy (&s->tuning);
    TRY (session_open_tuning (s));
  }
  return unit_costs_measure (s->wire, s->kern, s->net, s->tuning, s->n_samples,
                             head, &s->costs);
}

enum status
session_blocks (struct wire *w, const struct config *c,
                const struct session_sketch *how, struct session *s)
{
  session_init (w, c, s);
  s->unit_costs = how->unit_costs;
  s->given_costs = how->costs != NULL;
  s->every_head = how->heads;
  if (how->latency_s >= 0)
    s->latency_s = how->latency_s;
  if (how->bytes_per_s > 0)
    s->bytes_per_s = how->bytes_per_s;
  enum status e = c->file[0] ? open_data (s) : OK;
  if (e == OK)
    e = make_network (s);
  e = wire_worst (w, e);
  if (e != OK)
    session_close (s);
  return e;
}

enum status
session_costs (struct session *s, int64_t n_samples,
               const struct session_sketch *how)
{
  s->n_samples = n_samples;
  unit_costs_clear (&s->costs);
  return sketch_costs (s, how);
}

enum status
session_replan (struct session *s, int n_pipe)
{
  plan_destroy (&s->plan);
  mem_free (&s->first);
  mem_free (&s->cost);
  TRY (make_route (s));
  return make_plan (s, n_pipe);
}

enum status
session_sketch (struct wire *alone, const struct config *c, int n_pipe,
                const struct session_sketch *how, struct session *s)
{
  TRY (session_blocks (alone, c, how, s));
  enum status e = make_route (s);
  if (e == OK)
    e = sketch_costs (s, how);
  if (e == OK)
    e = make_plan (s, n_pipe);
  if (e != OK)
    session_close (s);
  return e;
}

void
session_close (struct session *s)
{
  pulse_hook (NULL, NULL);
  data_loader_close (&s->loader);
  trace_close (s);
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    stage_destroy (&l->stage);
    mem_free (&l->in);
    mem_free (&l->sent);
    mem_free (&l->cot);
    mem_free (&l->out);
    mem_free (&l->mix);
    mem_free (&l->term);
    mem_free (&l->coef);
  }
  mem_free (&s->local);
  s->n_local = 0;
  arena_close (&s->borders);
  mem_free (&s->labels);
  mem_free (&s->loss);
  mem_free (&s->window_norm);
  mem_free (&s->squares);
  mem_free (&s->factor);
  mem_free (&s->first);
  mem_free (&s->route);
  mem_free (&s->cost);
  unit_costs_clear (&s->costs);
  plan_destroy (&s->plan);
  kern_tuning_destroy (&s->tuning);
  kern_close (&s->kern);
  network_destroy (&s->net);
  data_order_destroy (&s->order);
  data_close (&s->data);
}
