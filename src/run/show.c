/* run/show.c -- a plan as text: stages, windows, predictions, timetable. */
#include "run/session.h"

#include <string.h>

/* Border-sized places besides slots and pairs: evaluation, scratch, the head's
 * gradient.  Counted on stages that were made; within a tenth. */
#define OTHER_PLACES 8

/* The same of a Transformer, which knows its stages' sizes; and the gradients
 * at its upper border. */
static double
token_bytes (const struct session *s, const struct plan *p, int k, int from,
             int end)
{
  const bool last = k == p->K - 1;
  const bool adamw = strcmp (s->config.optimizer, "adamw") == 0;
  double bytes = 0;
  struct stage_spec spec = {
      .net = s->net,
      .k = k,
      .n_stages = p->K,
      .unit_first = from,
      .unit_end = end,
      .head = !last && p->head[k] != PLAN_SILENT ? s->config.head : NULL,
      .head_observes = p->head[k] == PLAN_WITNESS,
      .n_samples = s->n_samples,
      .n_slots = p->n_slots[k],
      .n_pairs = p->n_pairs[k] > 0 ? p->n_pairs[k] : 1,
      .optimizer = {.kind = adamw ? OPTIMIZER_ADAMW : OPTIMIZER_SGD},
      .training = true};
  if (stage_estimate (&spec, &bytes) != OK)
    fail_clear (); /* the grammar was checked before */
  const double border = network_border_bytes (
      (struct kern_dims){1, network_spec (s->net)->d_model, s->length, 1},
      (double)s->n_samples);
  if (k > 0 && p->rank_of[k - 1] == p->rank_of[k]) /* no input of its own */
    bytes -= border * (p->n_slots[k] + 1);
  return bytes + border * p->n_streams[k + 1] * p->n_slots[k];
}

/* Copies of a parameter in a checkpoint's staging memory: itself and moments.
 */
static int
staged_copies (const struct session *s)
{
  const struct config *c = &s->config;
  bool saves = c->every > 0 || c->every_seconds > 0 || c->at_end;
  if (strcmp (c->optimizer, "adamw") == 0)
    return saves ? 3 : 0;
  return saves ? 1 + (c->momentum > 0) : 0;
}

/* Bytes of stage k for comparing gradients (aside.c): a copy of the body's
 * gradient, an input and the gradients at its borders. */
static double
aside_bytes (const struct session *s, const struct plan *p, int k, int from,
             int end)
{
  const double n = (double)s->n_samples;
  const bool own = k == 0 || p->rank_of[k - 1] != p->rank_of[k];
  struct network_unit u;
  double bytes = 0;
  if (s->config.agreement == 0)
    return 0;
  for (int i = from; i < end; i++) {
    network_unit (s->net, i, &u);
    if (i == from && own) {
      int down = k == 0 ? 0 : p->n_streams[k] > 1 ? p->n_streams[k] : 1;
      bytes += network_border_bytes (u.in, n) * (1 + down);
    }
    if (i < network_units (s->net) - 1)
      bytes += network_param_bytes ((double)u.params);
  }
  if (k < s->K - 1)
    bytes += network_border_bytes (u.out, n) *
             (p->n_streams[k + 1] > 1 ? p->n_streams[k + 1] : 1);
  return bytes;
}

/* From the network's own numbers: parameters with gradients and moments, their
 * copy for a checkpoint, activations of its slots, deferred pairs, borders,
 * scratch. */
double
session_range_bytes (const struct session *s, const struct plan *p, int k,
                     int from, int end)
{
  const double n = (double)s->n_samples;
  double param_bytes = 0, act = 0, largest = 0;
  struct network_unit u = {0};
  for (int i = from; i < end; i++) {
    network_unit (s->net, i, &u);
    param_bytes += network_param_bytes ((double)u.params);
    act += u.act_bytes;
    /* Images are not a border. */
    double in = i == 0 ? 0 : network_border_bytes (u.in, n);
    double out = network_border_bytes (u.out, n);
    largest = in > largest ? in : largest;
    largest = out > largest ? out : largest;
  }
  if (network_spec (s->net)->family == MODEL_TRANSFORMER)
    return token_bytes (s, p, k, from, end) + param_bytes * staged_copies (s) +
           aside_bytes (s, p, k, from, end);
  bool adamw = strcmp (s->config.optimizer, "adamw") == 0;
  int slots = p->n_slots[k];
  return param_bytes * ((adamw ? 4 : 3) + staged_copies (s)) + act * n * slots +
         act * n * 0.5 * p->n_pairs[k] +
         network_border_bytes (u.out, n) * p->n_streams[k + 1] * slots +
         OTHER_PLACES * largest + aside_bytes (s, p, k, from, end);
}

static double
stage_bytes (const struct session *s, int k)
{
  return session_range_bytes (s, s->plan, k, s->first[k], s->first[k + 1]);
}

double
session_rank_bytes (const struct session *s, int r)
{
  double bytes = RUN_PROGRAM_BYTES;
  for (int k = s->plan->rank[r].first_stage; k < s->plan->rank[r].end_stage;
       k++)
    bytes += stage_bytes (s, k);
  return bytes;
}

static void
show_stages (const struct session *s, struct text *out)
{
  text_add (out, "%-5s %-4s %-22s %12s %10s %8s %8s %8s %8s %10s\n", "stage",
            "rank", "blocks", "parameters", "MFLOP", "forward", "data",
            "weights", "head", "memory");
  for (int k = 0; k < s->K; k++) {
    struct network_unit a = {0}, b = {0};
    char range[64];
    double flops = 0;
    int64_t params = 0;
    for (int i = s->first[k]; i < s->first[k + 1]; i++) {
      network_unit (s->net, i, &b);
      if (i == s->first[k])
        a = b;
      flops += b.flops;
      params += b.params;
    }
    if (s->first[k + 1] - s->first[k] == 1)
      snprintf (range, sizeof range, "%.24s", a.name);
    else
      snprintf (range, sizeof range, "%.24s .. %.24s", a.name, b.name);
    const struct plan_cost *c = &s->cost[k];
    text_add (out,
              "%-5d %-4d %-22s %12s %10.2f %6.1fms %6.1fms %6.1fms %6.1fms "
              "%10s\n",
              k, s->plan->rank_of[k], range, text_count (params), flops * 1e-6,
              c->forward * 1e3, c->data * 1e3, c->weights * 1e3,
              (c->head + c->head_weights) * 1e3,
              text_bytes (stage_bytes (s, k)));
  }
  text_add (out,
            "(MFLOP: forward, per sample; times: per micro-batch of %lld "
            "samples%s)\n",
            (long long)s->n_samples,
            s->given_costs ? ", as calibrated"
            : s->kern      ? ", measured"
                           : ", guessed from FLOPs");
}

static void
show_prediction (const struct session *s, struct text *out)
{
  const struct plan *p = s->plan;
  for (int k = 0; k < s->K - 1; k++)
    text_add (out, "border %d: %s of activations, %d x as much of gradients\n",
              k + 1, text_bytes (s->cost[k].output_bytes), p->n_streams[k + 1]);
  if (s->unit_costs)
    text_add (out, "predicted cycle: %g units per batch\n", p->cycle_s);
  else
    text_add (out, "predicted cycle: %s per batch, %.0f samples/s\n",
              text_seconds (p->cycle_s), (double)s->batch / p->cycle_s);
  if (s->config.agreement > 0 && !s->unit_costs) {
    double each = aside_seconds (s);
    text_add (out,
              "comparing gradients: %s every %lld steps, %.1f %% of the time\n",
              text_seconds (each), (long long)s->config.agreement,
              100 * each / (each + (double)s->config.agreement * p->cycle_s));
  }
  for (int r = 0; r < p->n_pipe; r++) {
    /* Rounding may make a rank that is always busy busier than that. */
    double idle = p->cycle_s > 0 ? 1 - p->busy_s[r] / p->cycle_s : 0;
    text_add (out, "rank %d: stages %d..%d, bubble %.1f %%, memory %s\n", r,
              p->rank[r].first_stage, p->rank[r].end_stage - 1,
              idle > 0 ? 100 * idle : 0.0,
              text_bytes (session_rank_bytes (s, r)));
  }
}

void
session_plan_show (const struct session *s, struct text *out)
{
  text_add (out,
            "%s parameters in %d blocks, cut into %d stages; span %s, mix "
            "%s\n",
            text_count (network_params (s->net)), network_units (s->net), s->K,
            s->config.span, s->config.mix);
  show_stages (s, out);
  plan_print_windows (s->plan, out);
  show_prediction (s, out);
}

/* The plan of a configuration, without tensors. */
static enum status
sketch (const struct config *c, int ranks, const struct run_plan_options *o,
        struct wire **alone, struct session *s)
{
  if (ranks % c->replicas != 0)
    return fail (E_CONFIG, "run.replicas = %lld does not divide %d ranks",
                 (long long)c->replicas, ranks);
  TRY (wire_open_alone (alone));
  const struct session_sketch how = {.measure = o->measure,
                                     .unit_costs = o->unit_costs,
                                     .costs = o->costs,
                                     .latency_s = o->latency_s,
                                     .bytes_per_s = o->bytes_per_s};
  enum status e = session_sketch (*alone, c, ranks / (int)c->replicas, &how, s);
  if (e != OK)
    wire_close (alone);
  return e;
}

enum status
run_estimate (const struct config *c, int ranks, struct run_estimate *out)
{
  struct wire *alone = NULL;
  struct session s;
  struct run_plan_options o = {.latency_s = -1};
  TRY (sketch (c, ranks, &o, &alone, &s));
  struct run_estimate most = {0};
  for (int r = 0; r < s.plan->n_pipe; r++)
    if (session_rank_bytes (&s, r) > most.most_bytes) {
      most.most_bytes = session_rank_bytes (&s, r);
      most.rank = r;
    }
  session_close (&s);
  wire_close (&alone);
  *out = most;
  return OK;
}

enum status
run_plan (const struct config *c, const struct run_plan_options *o,
          struct text *out)
{
  struct wire *alone = NULL;
  struct session s;
  int ranks = o->ranks > 0 ? o->ranks : (int)(c->count * c->replicas);
  TRY (sketch (c, ranks, o, &alone, &s));
  session_plan_show (&s, out);
  text_add (out, "\n");
  plan_print_gantt (s.plan, 2, o->columns > 0 ? o->columns : 100, out);
  for (int r = 0; o->list && r < s.plan->n_pipe; r++)
    plan_print_list (s.plan, r, out);
  session_close (&s);
  wire_close (&alone);
  return OK;
}

const char *
run_describe (void)
{
  static char line[128];
  struct kern *k = NULL;
  if (kern_open (1, &k) != OK)
    return "oneDNN (could not be opened)";
  snprintf (line, sizeof line, "%s", kern_describe (k));
  kern_close (&k);
  return line;
}
