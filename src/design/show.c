/* design/show.c -- a plan as text: stages, windows, predictions, timetable. */
#include "design/design_impl.h"

#include <math.h>
#include <string.h>

/* Copies of a parameter in a checkpoint's staging memory: itself and moments.
 */
static int
staged_copies (const struct design *d)
{
  const struct config *c = &d->config;
  bool saves = c->every > 0 || c->every_seconds > 0 || c->at_end;
  if (c->optimizer == CONFIG_ADAMW)
    return saves ? 3 : 0;
  return saves ? 1 + (c->momentum > 0) : 0;
}

/* Bytes of a stage for comparing gradients (aside.c): a copy of the body's
 * gradient, an input and the gradients at its borders. */
static double
aside_bytes (const struct design *d, const struct design_needs *need, int from,
             int end)
{
  const double n = (double)d->n_samples;
  struct network_unit u;
  double bytes = 0;
  if (d->config.agreement == 0)
    return 0;
  for (int i = from; i < end; i++) {
    network_unit (d->net, i, &u);
    if (i == from && need->own_input) {
      int down = need->k == 0 ? 0 : need->n_out > 1 ? need->n_out : 1;
      bytes += network_border_bytes (u.in, n) * (1 + down);
    }
    if (i < network_units (d->net) - 1)
      bytes += network_param_bytes ((double)u.params);
  }
  if (need->k < need->K - 1)
    bytes +=
        network_border_bytes (u.out, n) * (need->n_in > 1 ? need->n_in : 1);
  return bytes;
}

/* Bytes of outputs that are made messages, if the next stage is elsewhere. */
static double
message_bytes (const struct design *d, const struct design_needs *need,
               const struct network_unit *last)
{
  if (!derive_narrow (&d->config) || need->k == need->K - 1)
    return 0;
  return network_message_bytes (last->out, (double)d->n_samples, true) *
         (need->n_slots + 1);
}

/* Bytes of the gradients at the stage's borders that come from other ranks or
 * go there, for every slot, and of sums of gradients. */
static double
gradient_bytes (const struct design *d, const struct design_needs *need,
                int from, const struct network_unit *last)
{
  const double n = (double)d->n_samples;
  const int pairs = need->n_pairs > 0 ? need->n_pairs : 1;
  const int above = need->crosses ? need->n_in * need->n_slots : 0;
  struct network_unit first;
  double bytes = 0;
  network_unit (d->net, from, &first);
  if (need->k > 0 && need->own_input)
    bytes += network_border_bytes (first.in, n) * need->n_out * need->n_slots;
  return bytes + network_border_bytes (last->out, n) *
                     (above + (need->mixes ? pairs + 1 : 0));
}

/* Of those that go from one stage of rank r to another, which share memory. */
static double
inner_bytes (const struct design *d, int r)
{
  double most = 0;
  for (int i = 0; i < d->n_phases; i++) {
    struct plan_buffers b;
    struct network_unit u;
    double bytes = 0;
    if (plan_buffers_make (d->phase[i].plan, r, &b) != OK)
      fail_clear (); /* what is short of memory now is so when it is needed */
    for (int j = 0; j < b.n; j++) {
      network_unit (d->net, d->first[b.border[j]], &u);
      bytes += network_border_bytes (u.in, (double)d->n_samples);
    }
    most = fmax (most, bytes);
    plan_buffers_clear (&b);
  }
  return most;
}

/* Images that a head makes again; of several stages on a rank once for each. */
static double
picture_bytes (const struct design *d, const char *grammar)
{
  struct network_unit first;
  network_unit (d->net, 0, &first);
  return grammar && network_head_rebuilds (grammar) > 0
             ? network_border_bytes (first.in, (double)(d->n_samples * d->M))
             : 0;
}

/* Bytes of the copies of weights that kernels of 16 bits read. */
static double
packed_bytes (const struct design *d, double params)
{
  const bool rows = derive_family (&d->config)->rows;
  return rows && derive_narrow (&d->config)
             ? params * (double)tensor_bytes (TENSOR_BF16, 1)
             : 0;
}

/* The stage as it would be made of these units; grammar: memory for the head's.
 */
static struct stage_spec
spec_of (const struct design *d, const struct design_needs *need, int from,
         int end, char grammar[CONFIG_TEXT])
{
  grammar[0] = '\0';
  if (need->head && design_head_of (d, need->k, from, end, grammar) != OK)
    fail_clear (); /* the grammar was checked before */
  return (struct stage_spec){
      .net = d->net,
      .k = need->k,
      .n_stages = need->K,
      .unit_first = from,
      .unit_end = end,
      .head = need->head ? grammar : NULL,
      .border = derive_border (&d->config),
      .head_observes = !need->taught,
      .n_samples = d->n_samples,
      .n_slots = need->n_slots,
      .n_pairs = need->n_pairs,
      .mode = derive_mode (&d->config, need->n_pairs > 0, need->through),
      .optimizer = {.kind = derive_optimizer_kind (&d->config)},
      .n_twins = derive_twins (&d->config),
      .training = true,
      .narrow = derive_narrow (&d->config)};
}

/* What the stage holds, its parameters' copy for a checkpoint, and the
 * gradients at its borders but for those that stages of a rank share. */
struct stage_bytes
design_range_bytes (const struct design *d, const struct design_needs *need,
                    int from, int end)
{
  char grammar[CONFIG_TEXT];
  const struct stage_spec spec = spec_of (d, need, from, end, grammar);
  struct network_unit u = {0};
  struct stage_bytes bytes = {0};
  double params = 0;
  for (int i = from; i < end; i++) {
    network_unit (d->net, i, &u);
    params += (double)u.params;
  }
  if (stage_estimate (&spec, need->own_input, &bytes) != OK)
    fail_clear (); /* the grammar was checked before */
  bytes.held += network_param_bytes (params) * staged_copies (d) +
                gradient_bytes (d, need, from, &u) +
                message_bytes (d, need, &u) + packed_bytes (d, params) +
                picture_bytes (d, spec.head) + aside_bytes (d, need, from, end);
  return bytes;
}

static struct stage_bytes
stage_bytes (const struct design *d, int k)
{
  struct design_needs need;
  design_stage_needs (d, k, &need);
  return design_range_bytes (d, &need, d->first[k], d->first[k + 1]);
}

/* What the rank's kernels work in: the stages share it. */
static double
kernels_bytes (const struct design *d, int r)
{
  double most = 0;
  for (int k = d->plan->rank[r].first_stage; k < d->plan->rank[r].end_stage;
       k++) {
    char grammar[CONFIG_TEXT];
    struct design_needs need;
    double bytes = 0;
    design_stage_needs (d, k, &need);
    const struct stage_spec spec =
        spec_of (d, &need, d->first[k], d->first[k + 1], grammar);
    if (stage_estimate_kernels (&spec, derive_threads_known (d), &bytes) != OK)
      fail_clear (); /* the grammar was checked before */
    most = fmax (most, bytes);
  }
  return most;
}

/* Room for sums over replicas. */
static double
sums_bytes (const struct design *d, int r)
{
  double most = 0;
  for (int k = d->plan->rank[r].first_stage; k < d->plan->rank[r].end_stage;
       k++) {
    const struct plan_cost *c = &d->plan->cost[k];
    most = fmax (most, fmax (c->sum_bytes, c->head_bytes));
  }
  return d->R > 1
             ? (double)wire_reduce_bytes (
                   d->R, (size_t)(most / network_param_bytes (1)), WIRE_SUMS)
             : 0;
}

double
design_rank_bytes (const struct design *d, int r)
{
  double bytes = DESIGN_PROGRAM_BYTES, work = 0;
  if (d->plan->rank[r].first_stage == 0)
    bytes += design_feed_bytes (d);
  for (int k = d->plan->rank[r].first_stage; k < d->plan->rank[r].end_stage;
       k++) {
    const struct stage_bytes b = stage_bytes (d, k);
    bytes += b.held;
    work = fmax (work, b.work);
  }
  return bytes + work + inner_bytes (d, r) + kernels_bytes (d, r) +
         sums_bytes (d, r);
}

static void
show_stages (const struct design *d, struct text *out)
{
  text_add (out, "%-5s %-4s %-22s %12s %10s %8s %8s %8s %8s %10s\n", "stage",
            "rank", "blocks", "parameters", "MFLOP", "forward", "data",
            "weights", "head", "memory");
  for (int k = 0; k < d->K; k++) {
    struct network_unit a = {0}, b;
    char range[64];
    network_border (d->net, d->first[k], derive_border (&d->config), &b);
    double flops = b.flops;
    int64_t params = 0;
    for (int i = d->first[k]; i < d->first[k + 1]; i++) {
      network_unit (d->net, i, &b);
      if (i == d->first[k])
        a = b;
      flops += b.flops;
      params += b.params;
    }
    if (d->first[k + 1] - d->first[k] == 1)
      snprintf (range, sizeof range, "%.24s", a.name);
    else
      snprintf (range, sizeof range, "%.24s .. %.24s", a.name, b.name);
    const struct plan_cost *c = &d->cost[k];
    const struct stage_bytes bytes = stage_bytes (d, k);
    text_add (out,
              "%-5d %-4d %-22s %12s %10.2f %6.1fms %6.1fms %6.1fms %6.1fms "
              "%10s\n",
              k, d->plan->rank_of[k], range, text_count (params), flops * 1e-6,
              c->forward * 1e3, c->data * 1e3, c->weights * 1e3,
              (c->head + c->head_weights) * 1e3,
              text_bytes (bytes.held + bytes.work));
  }
  text_add (out,
            "(MFLOP: forward, per sample; times: per micro-batch of %lld "
            "samples%s)\n",
            (long long)d->n_samples,
            d->spec.costs ? ", as calibrated"
            : d->kernels  ? ", measured"
                          : ", guessed from counted work");
}

/* What frozen stages do not do in a batch, and would if they learned. */
static void
show_frozen (const struct design *d, const struct plan *p, struct text *out)
{
  double whole = 0, saved = 0;
  int n = 0;
  for (int k = 0; k < p->K; k++) {
    const struct plan_cost *c = &p->cost[k];
    const bool frozen = !plan_learns (p, k), through = p->n_passes[k] > 0;
    n += frozen;
    saved += frozen ? c->weights + (through ? 0 : c->data - c->input) : 0;
    whole += (through ? p->n_passes[k] : 1) * c->data + c->weights;
  }
  if (n == 0)
    return;
  text_add (out, "%d frozen stage%s: ", n, n == 1 ? "" : "s");
  if (d->spec.unit_costs)
    text_add (out, "%g units", saved * p->n_micro);
  else
    text_add (out, "%s", text_seconds (saved * p->n_micro));
  text_add (out, " of backward work less per batch (%.1f %%)\n",
            whole > 0 ? 100 * saved / whole : 0.0);
}

static void
show_cycle (const struct design *d, const struct design_phase *phase,
            struct text *out)
{
  const struct plan *p = phase->plan;
  if (d->spec.unit_costs)
    text_add (out, "predicted cycle: %g units per batch\n", p->cycle_s);
  else
    text_add (out, "predicted cycle: %s per batch, %.0f samples/s\n",
              text_seconds (p->cycle_s), (double)d->batch / p->cycle_s);
  if (d->config.agreement > 0 && !d->spec.unit_costs) {
    double each = aside_seconds (d, phase);
    text_add (out,
              "comparing gradients: %s every %lld steps, %.1f %% of the time\n",
              text_seconds (each), (long long)d->config.agreement,
              100 * each / (each + (double)d->config.agreement * p->cycle_s));
  }
}

static void
show_prediction (const struct design *d, const struct design_phase *phase,
                 struct text *out)
{
  const struct plan *p = phase->plan;
  for (int k = 0; k < d->K - 1; k++)
    text_add (out, "border %d: %s of activations, %d x as much of gradients\n",
              k + 1, text_bytes (d->cost[k].output_bytes), p->n_streams[k + 1]);
  show_cycle (d, phase, out);
  design_show_feed (d, p, out);
  show_frozen (d, p, out);
  for (int r = 0; r < p->n_pipe; r++) {
    /* Rounding may make a rank that is always busy busier than that. */
    double idle = p->cycle_s > 0 ? 1 - p->busy_s[r] / p->cycle_s : 0;
    text_add (out, "rank %d: stages %d..%d, bubble %.1f %%, memory %s\n", r,
              p->rank[r].first_stage, p->rank[r].end_stage - 1,
              idle > 0 ? 100 * idle : 0.0,
              text_bytes (design_rank_bytes (d, r)));
  }
}

/* -- phases ------------------------------------------------------------------
 */

/* Seconds of a mean step; NAN where the parts of the run are not known. */
static double
mean_cycle (const struct design *d)
{
  double sum = 0;
  for (int i = 0; i < d->n_phases; i++)
    sum += d->phase[i].share * d->phase[i].plan->cycle_s;
  return sum;
}

void
design_phase_name (const struct design *d, int i, struct text *out)
{
  const struct design_phase *p = &d->phase[i];
  int64_t end = i + 1 < d->n_phases ? d->phase[i + 1].first : d->steps;
  text_add (out, "phase %d (%.60s%s)", i, p->words,
            strlen (p->words) > 60 ? " ..." : "");
  if (end > 0)
    text_add (out, ", steps %lld to %lld", (long long)p->first + 1,
              (long long)end);
}

/* What a phase does not need keeps what it has learnt. */
static void
show_resting (const struct design *d, const struct plan *p, struct text *out)
{
  int n = 0;
  for (int k = 0; k < d->K; k++)
    if (d->has_head[k] && p->head[k] == PLAN_SILENT)
      text_add (out, "%s%d", n++ ? ", " : "heads that rest: ", k);
  text_add (out, "%s", n ? "\n" : "");
}

static void
show_phase (const struct design *d, int i, struct text *out)
{
  const struct design_phase *p = &d->phase[i];
  const double mean = mean_cycle (d);
  if (d->n_phases > 1) {
    text_add (out, "\n");
    design_phase_name (d, i, out);
    if (!isnan (p->share))
      text_add (out, ": %.1f %% of the steps, %.1f %% of the time",
                100 * p->share,
                mean > 0 ? 100 * p->share * p->plan->cycle_s / mean : 0.0);
    text_add (out, "\n");
  }
  plan_print_windows (p->plan, out);
  if (d->n_phases > 1)
    show_resting (d, p->plan, out);
  show_prediction (d, p, out);
}

static void
show_whole (const struct design *d, struct text *out)
{
  const double mean = mean_cycle (d);
  if (d->n_phases == 1 || isnan (mean))
    return;
  if (d->spec.unit_costs)
    text_add (out, "\nall phases: %g units per batch in the mean\n", mean);
  else
    text_add (out, "\nall phases: %s per batch in the mean, %.0f samples/s",
              text_seconds (mean), (double)d->batch / mean);
  if (d->steps > 0 && !d->spec.unit_costs)
    text_add (out, "; %lld steps in %s", (long long)d->steps,
              text_seconds (mean * (double)d->steps));
  text_add (out, "%s", d->spec.unit_costs ? "" : "\n");
}

static void
show_strategy (const struct design *d, struct text *out)
{
  const struct config *c = &d->config;
  if (c->dial[0])
    text_add (out, "dial in %d phase%s, mix %s", d->n_phases,
              d->n_phases == 1 ? "" : "s", key_word (KEY_OF (mix), c));
  else if (c->route[0])
    text_add (out, "route by hand");
  else
    text_add (out, "span %s, mix %s", c->span, key_word (KEY_OF (mix), c));
  if (c->own > 0)
    text_add (out, ", own %g", c->own);
  if (c->grow > 0)
    text_add (out, ", grow %g", c->grow);
  text_add (out, "\n");
}

/* A stage that learns from later heads, but neither from its own nor from the
 * output. */
static bool
learns_between (const struct design *d, const double *route)
{
  const double *row = route;
  bool between = false;
  for (int k = 0; k < d->K; k++, row += d->K)
    between = between || (row[k] == 0 && row[d->K - 1] == 0 &&
                          !plan_route_frozen (d->K, k, route));
  return between;
}

/* What is known of such strategies, where nothing is set against it. */
static void
show_hint (const struct design *d, struct text *out)
{
  bool between = false;
  for (int i = 0; i < d->n_phases; i++)
    between = between || learns_between (d, d->phase[i].route);
  if (network_family (d->net)->language && between &&
      d->config.border == CONFIG_BORDER_NONE && !(d->config.grow > 0))
    text_add (
        out,
        "hint: in Transformers a stage that learns from a later inner head "
        "alone drowns the next one: in a study (K = 4, 400 steps) 2-wise "
        "furthest came to 3.85 bits per byte, with %s = rms to 3.45 "
        "(local 3.41, end to end 3.34)\n",
        KEY_NAME (border));
}

void
design_plan_show (const struct design *d, struct text *out)
{
  text_add (out, "%s parameters in %d blocks, cut into %d stages; ",
            text_count (network_params (d->net)), network_units (d->net), d->K);
  show_strategy (d, out);
  show_hint (d, out);
  show_stages (d, out);
  design_show_balance (d, out);
  for (int i = 0; i < d->n_phases; i++)
    show_phase (d, i, out);
  show_whole (d, out);
}

struct design_spec
design_spec_of (const struct design_plan_spec *o)
{
  return (struct design_spec){
      .measure = o->measure,
      .unit_costs = o->unit_costs,
      .costs = o->costs,
      .link_given = true,
      .latency_s = o->latency_s >= 0 ? o->latency_s : DESIGN_LATENCY_S,
      .bytes_per_s = o->bytes_per_s > 0 ? o->bytes_per_s : DESIGN_BYTES_PER_S};
}

/* The plan of a configuration, without tensors. */
static enum status
sketch (const struct config *c, int ranks, const struct design_plan_spec *o,
        struct wire **alone, struct design *d)
{
  int n_pipe;
  TRY (derive_pipe (c, ranks, &n_pipe));
  TRY (wire_open_alone (alone));
  const struct design_spec spec = design_spec_of (o);
  enum status e = design_sketch (*alone, c, n_pipe, &spec, d);
  if (e != OK)
    wire_close (alone);
  return e;
}

enum status
design_estimate (const struct config *c, int ranks, struct design_estimate *out)
{
  struct wire *alone = NULL;
  struct design d;
  struct design_plan_spec o = {.latency_s = -1};
  TRY (sketch (c, ranks, &o, &alone, &d));
  struct design_estimate most = {0};
  for (int r = 0; r < d.plan->n_pipe; r++)
    if (design_rank_bytes (&d, r) > most.most_bytes) {
      most.most_bytes = design_rank_bytes (&d, r);
      most.rank = r;
    }
  design_close (&d);
  wire_close (&alone);
  *out = most;
  return OK;
}

static void
show_timetable (const struct design *d, int i, const struct design_plan_spec *o,
                struct text *out)
{
  const struct plan *p = d->phase[i].plan;
  text_add (out, "\n");
  if (d->n_phases > 1) {
    design_phase_name (d, i, out);
    text_add (out, "\n");
  }
  plan_print_gantt (p, 2, o->columns > 0 ? o->columns : 100, out);
  for (int r = 0; o->list && r < p->n_pipe; r++)
    plan_print_list (p, r, out);
}

enum status
design_plan (const struct config *c, const struct design_plan_spec *o,
             struct text *out)
{
  struct wire *alone = NULL;
  struct design d;
  int ranks = o->ranks > 0 ? o->ranks : (int)(c->count * c->replicas);
  TRY (sketch (c, ranks, o, &alone, &d));
  design_measure_feed (&d);
  enum status s = OK;
  if (o->json)
    s = design_plan_json (&d, out);
  else
    design_plan_show (&d, out);
  design_warn_feed (&d);
  for (int i = 0; !o->json && i < d.n_phases; i++)
    show_timetable (&d, i, o, out);
  design_close (&d);
  wire_close (&alone);
  return s;
}

const char *
design_describe_kernels (void)
{
  static char line[128];
  struct kernels *k = NULL;
  if (kernels_open (1, false, &k) != OK)
    return "oneDNN (could not be opened)";
  snprintf (line, sizeof line, "%s", kernels_describe (k));
  kernels_close (&k);
  return line;
}
