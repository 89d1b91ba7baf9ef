/* run/session.c -- from a design to a rank that is ready to step: its stages,
 * their borders, the communicators of its windows.
 */
#include "base/place.h"
#include "run/session.h"

#include <stdio.h>
#include <string.h>

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

/* The output goes to another rank in fewer bytes than it has here. */
static bool
packs (const struct session *s, const struct local_stage *l)
{
  const bool leaves = l == &s->local[s->n_local - 1];
  return leaves && l->k < s->design->K - 1 && stage_packs (l->stage);
}

double
session_numbers (const struct design *d, int k)
{
  struct network_unit next;
  int unit = k == d->K - 1 ? network_units (d->net) - 1 : d->first[k + 1];
  network_unit (d->net, unit, &next);
  return (double)(next.in.c * next.in.h * next.in.w) * (double)d->batch;
}

/* Cotangents that a pass of stage k has, at most, in any phase. */
static size_t
most_terms (const struct design *d, int k)
{
  int most = 0;
  bool grows = false;
  for (int i = 0; i < d->n_phases; i++) {
    const struct plan *p = d->phase[i].plan;
    grows = grows || plan_grows (p, k);
    for (int j = 0; j < p->n_passes[k]; j++)
      most = p->pass[k][j].n_in > most ? p->pass[k][j].n_in : most;
  }
  return (size_t)most + grows;
}

static enum status
make_stage (struct session *s, int k, bool decodes, struct local_stage *l)
{
  const struct design *d = s->design;
  const size_t terms = most_terms (d, k);
  struct design_needs need;
  design_stage_needs (d, k, &need);
  struct stage_spec spec = {
      .net = d->net,
      .k = k,
      .n_stages = d->K,
      .unit_first = d->first[k],
      .unit_end = d->first[k + 1],
      .head = need.head ? design_head (d, k) : NULL,
      .border = derive_border (&d->config),
      .smoothing = (float)d->config.smoothing,
      .head_observes = !need.taught,
      .n_samples = d->n_samples,
      .n_slots = need.n_slots,
      .n_pairs = need.n_pairs > 0 ? need.n_pairs : 1,
      .mode = derive_mode (&d->config, need.n_pairs > 0, need.through),
      .seed = (uint64_t)d->config.seed,
      .optimizer = d->optimizer,
      .n_twins = session_shares (s) ? d->R : 0,
      .twin = wire_replica (s->wire),
      .training = !d->spec.forward_only,
  };
  l->k = k;
  l->n_slots = d->spec.forward_only ? 0 : spec.n_slots;
  l->n_pairs = spec.n_pairs;
  l->own_input = need.own_input;
  l->n_cot = need.crosses ? need.n_in : 0;
  l->n_out = k > 0 && l->own_input ? need.n_out : 0;
  l->session = s;
  size_t slots = (size_t)l->n_slots;
  TRY (MEM_NEW (slots, &l->in, "input buffers"));
  TRY (MEM_NEW (slots, &l->sent, "send requests"));
  TRY (MEM_NEW (slots * (size_t)l->n_cot, &l->cot, "cotangents"));
  TRY (MEM_NEW (slots * (size_t)l->n_out, &l->out, "gradients"));
  if (need.mixes) {
    TRY (MEM_NEW ((size_t)l->n_pairs + 1, &l->mix, "sums of cotangents"));
    TRY (MEM_NEW (terms, &l->term, "sums of cotangents"));
    TRY (MEM_NEW (terms, &l->coef, "sums of cotangents"));
  }
  place_set (-1, k, "making the stage");
  log_progress ("making stage %d", k);
  TRY (kernels_stage (d->kernels, &spec, &l->stage));
  /* The penalty W / n sum (y^2) on n numbers y has the gradient (2 W / n) y. */
  if (k < d->K - 1)
    l->grow = (float)(2 * d->config.grow / session_numbers (d, k));
  if (decodes)
    TRY (stage_decode_open (l->stage));
  if (packs (s, l))
    TRY (MEM_NEW (slots + 1, &l->packed, "messages"));
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
  size_t bytes = 0, inside;
  TRY (gradients_plan (s, &inside));
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < s->n_local; i++) {
      struct local_stage *l = &s->local[i];
      struct tensor in, out;
      stage_border (l->stage, &in, &out);
      size_t one_in = arena_round (TENSOR_HEADER + in.bytes);
      size_t one_out = arena_round (TENSOR_HEADER + out.bytes);
      int n_cot = l->n_cot * l->n_slots, n_out = l->n_out * l->n_slots;
      int n_mix = l->mix ? l->n_pairs + 1 : 0;
      int n_packed = l->packed ? l->n_slots + 1 : 0;
      size_t message = arena_round (TENSOR_HEADER + out.bytes / 2);
      if (pass == 0) {
        bytes += one_out * (size_t)n_cot + one_in * (size_t)n_out +
                 one_out * (size_t)n_mix + message * (size_t)n_packed;
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
      for (int j = 0; j < n_packed; j++)
        l->packed[j] =
            (char *)arena_take (&s->borders, message) + TENSOR_HEADER;
    }
    if (pass == 0)
      TRY (arena_open (bytes + inside + shared_bytes (s), "border tensors",
                       &s->borders));
  }
  gradients_make (s, inside);
  shared_make (s);
  return OK;
}

static enum status
make_stages (struct session *s, bool decodes)
{
  const struct design *d = s->design;
  const struct plan_rank *r = &d->plan->rank[wire_pipe_rank (s->wire)];
  int n = r->end_stage - r->first_stage;
  s->shared_request = WIRE_NONE;
  TRY (MEM_NEW ((size_t)n, &s->local, "stages"));
  s->n_local = n;
  for (int i = 0; i < n; i++)
    TRY (make_stage (s, r->first_stage + i, decodes, &s->local[i]));
  TRY (make_borders (s));
  TRY (pictures_open (s));
  TRY (sums_make (s));
  TRY (MEM_NEW ((size_t)(d->n_samples * d->M * d->length), &s->labels,
                "labels"));
  TRY (MEM_NEW ((size_t)d->K, &s->loss, "losses"));
  TRY (MEM_NEW ((size_t)d->K, &s->flow.output, "sums of squares"));
  TRY (MEM_NEW ((size_t)d->K, &s->flow.gradient, "sums of squares"));
  TRY (MEM_NEW ((size_t)d->K, &s->window_norm, "norms"));
  TRY (MEM_NEW ((size_t)d->K + 1, &s->squares, "norms"));
  TRY (MEM_NEW ((size_t)d->K, &s->factor, "norms"));
  for (int h = 0; h < d->K; h++)
    s->window_norm[h] = WIRE_NONE;
  s->labels_step = -1;
  s->lane = session_lane (s, 0);
  session_set_modes (s, s->lane.plan);
  return kernels_seal (d->kernels);
}

void
session_set_modes (struct session *s, const struct plan *p)
{
  for (int i = 0; i < s->n_local && !s->design->spec.forward_only; i++) {
    const struct local_stage *l = &s->local[i];
    stage_set_mode (l->stage,
                    derive_mode (&s->design->config, plan_learns (p, l->k),
                                 p->n_passes[l->k] > 0));
  }
}

/* Every phase has windows of its own, so that no rank votes in one that another
 * phase does not put it into. */
static enum status
open_windows (struct session *s)
{
  const struct design *d = s->design;
  const int n = d->n_phases * d->K;
  int *ends = NULL;
  TRY (MEM_NEW (2 * (size_t)n, &ends, "windows"));
  for (int i = 0; i < n; i++) {
    const struct plan *p = d->phase[i / d->K].plan;
    int h = i % d->K, low = p->window_first[h] < 0 ? h : p->window_first[h];
    ends[i] = p->rank_of[low];
    ends[n + i] = p->rank_of[h];
  }
  enum status e = wire_windows (s->wire, n, ends, ends + n);
  mem_free (&ends);
  return e;
}

/* -- open and close ----------------------------------------------------------
 */

/* What is decided is not changed from here on. */
static enum status
open_design (struct session *s, const struct config *c,
             const struct design_spec *spec)
{
  struct design *d = NULL;
  TRY (wire_agree (s->wire, MEM_NEW (1, &d, "the design")));
  enum status e = design_open (s->wire, c, spec, d);
  if (e != OK)
    mem_free (&d);
  s->design = d;
  return e;
}

static enum status
open_parts (struct session *s, bool decodes)
{
  const struct design *d = s->design;
  struct wire *w = s->wire;
  TRY (open_windows (s));
  TRY (wire_agree (w, make_stages (s, decodes)));
  say (LOG_DEBUG, "stages made %s after start",
       text_seconds (clock_now_s () - d->started_s));
  TRY (wire_agree (w, data_order_create (d->n_train, d->batch,
                                         d->config.order == CONFIG_SHUFFLE,
                                         (uint64_t)d->config.seed, &s->order)));
  pulse_hook (wire_poll, w);
  return OK;
}

enum status
session_open (struct wire *w, const struct config *c,
              const struct session_spec *spec, struct session *s)
{
  memset (s, 0, sizeof *s);
  s->wire = w;
  s->run = spec->design.run;
  clock_start (&s->account, CLOCK_OTHER);
  enum status e = open_design (s, c, &spec->design);
  if (e == OK)
    e = open_parts (s, spec->decodes);
  if (e != OK)
    session_close (s);
  return e;
}

void
session_close (struct session *s)
{
  pulse_hook (NULL, NULL);
  data_loader_close (&s->loader);
  data_loader_close (&s->reader);
  trace_close (s);
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    stage_destroy (&l->stage);
    mem_free (&l->in);
    mem_free (&l->sent);
    mem_free (&l->packed);
    mem_free (&l->cot);
    mem_free (&l->out);
    mem_free (&l->mix);
    mem_free (&l->term);
    mem_free (&l->coef);
    mem_free (&l->sum);
  }
  mem_free (&s->local);
  s->n_local = 0;
  gradients_clear (s);
  arena_close (&s->borders);
  mem_free (&s->labels);
  mem_free (&s->pictures.x);
  mem_free (&s->loss);
  mem_free (&s->flow.output);
  mem_free (&s->flow.gradient);
  mem_free (&s->window_norm);
  mem_free (&s->squares);
  mem_free (&s->factor);
  data_order_destroy (&s->order);
  if (s->design)
    design_close ((struct design *)s->design);
  mem_free (&s->design);
}
