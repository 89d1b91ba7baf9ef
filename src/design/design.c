/* design/design.c -- from a configuration to all that is decided before the
 * first tensor is made.
 *
 * Every part that can fail on one rank only ends in a fence, so that all ranks
 * go on or leave together.
 */
#include "base/halt.h"
#include "base/place.h"
#include "design/design_impl.h"

#include <stdio.h>
#include <string.h>

/* -- data, network, kernels --------------------------------------------------
 */

static enum status
name_data (struct design *d)
{
  const struct config *c = &d->config;
  d->train = derive_split (c->train);
  d->valid = derive_split (c->valid);
  d->test = derive_split (c->test);
  if (!c->file[0])
    return fail (E_CONFIG,
                 "%s is not given: name a data set file, made by "
                 "`interlock import`",
                 KEY_NAME (file));
  return OK;
}

/* Pictures of any size are needed to take parts of them. */
static enum status
check_augment (const struct design *d)
{
  if ((derive_augment (&d->config) & DATA_AUGMENT_IMAGENET &
       ~d->info.augment) &&
      !d->spec.forward_only)
    return fail (E_CONFIG,
                 "%s = %s: %s has no JPEG images, which it is "
                 "for (pixels have flip, crop4, flip+crop4)",
                 KEY_NAME (augment), key_word (KEY_OF (augment), &d->config),
                 d->config.file);
  return OK;
}

/* What is made again are values between 0 and 1. */
static enum status
check_rebuilt (const struct design *d)
{
  const double *mean, *std;
  if (network_head_rebuilds (d->config.head) > 0 &&
      !data_normal (d->data, &mean, &std))
    return fail (E_CONFIG,
                 "%s = %s: +rec makes images of bytes again, and %s has "
                 "floats, used as they are",
                 KEY_NAME (head), d->config.head, d->config.file);
  return OK;
}

static enum status
open_data (struct design *d)
{
  const struct config *c = &d->config;
  TRY (wire_worst (d->wire, name_data (d)));
  place_set (-1, -1, "opening the data set");
  TRY (data_open_all (d->wire, c->file, &d->data));
  data_info (d->data, &d->info);
  const struct family *f = derive_family (c);
  if (strcmp (d->info.kind, f->data) != 0)
    return fail (E_CONFIG, "%s: a data set of %s does not fit %s = %s", c->file,
                 d->info.kind, KEY_NAME (family),
                 key_word (KEY_OF (family), c));
  if (d->info.samples[d->train] == 0)
    return fail (E_DATA, "%s: there is no split /%s", c->file,
                 data_split_name (d->train));
  TRY (check_augment (d));
  TRY (check_rebuilt (d));
  if (f->rows) {
    struct model_spec spec;
    TRY (derive_spec (c, &d->info, &spec));
    data_windows (d->data, spec.context, c->stride);
    data_info (d->data, &d->info);
  }
  TRY (data_training_samples (d->data, d->train, c->order == CONFIG_SHUFFLE,
                              &d->n_train));
  if (c->limit > 0 && c->limit < d->n_train)
    d->n_train = c->limit;
  return OK;
}

void
design_drop_plans (struct design *d)
{
  for (int i = 0; i < d->n_phases; i++)
    plan_destroy (&d->phase[i].plan);
  d->plan = NULL;
}

static void
drop_phases (struct design *d)
{
  design_phases_clear (&d->n_phases, &d->phase);
  d->route = NULL;
  d->plan = NULL;
}

static enum status
given_route (struct design *d)
{
  const size_t n = (size_t)d->K * (size_t)d->K;
  TRY (MEM_NEW (1, &d->phase, "phases"));
  d->n_phases = 1;
  d->phase->share = 1;
  TRY (MEM_NEW (n, &d->phase->route, "route"));
  memcpy (d->phase->route, d->spec.route, n * sizeof *d->spec.route);
  return plan_route_check (d->K, d->phase->route);
}

/* The strategy: everything after this asks the tables. */
static enum status
make_phases (struct design *d)
{
  const int64_t steps = d->spec.forward_only ? 0 : d->steps;
  drop_phases (d);
  if (d->spec.route)
    TRY (given_route (d));
  else
    TRY (derive_phases (&d->config, d->K, steps, &d->n_phases, &d->phase));
  d->route = d->phase->route;
  return OK;
}

static enum status
make_network (struct design *d)
{
  struct model_spec spec;
  TRY (derive_spec (&d->config, d->data ? &d->info : NULL, &spec));
  TRY (network_create (&spec, &d->net));
  d->length = network_spec (d->net)->context;
  return OK;
}

/* A text of the run directory or of a file, on the root; "" when there is
 * none. */
enum status
design_read_text (struct design *d, const char *dir, const char *name,
                  char **out)
{
  char *text = NULL;
  enum status e = OK;
  if (wire_rank (d->wire) == 0) {
    if (dir == NULL || store_run_get (dir, name, &text) != OK) {
      fail_clear ();
      e = mem_text ("", &text);
    }
  }
  TRY (wire_agree (d->wire, e));
  TRY (wire_broadcast_text (d->wire, &text, 0));
  *out = text;
  return OK;
}

/* -- open and close ----------------------------------------------------------
 */

enum status
design_check_ranks (const struct config *c, int size)
{
  int n_pipe;
  int64_t n_samples;
  TRY (derive_pipe (c, size, &n_pipe));
  TRY (derive_micro (c, &n_samples));
  TRY (
      derive_work (n_pipe, c->count, c->replicas,
                   "start fewer ranks, or raise stages.count or run.replicas"));
  if (c->limit > 0 && c->limit < c->batch)
    return fail (E_CONFIG, "%s = %lld is less than one batch of %lld",
                 KEY_NAME (limit), (long long)c->limit, (long long)c->batch);
  return OK;
}

static enum status
count_steps (struct design *d)
{
  d->steps = design_steps (&d->config, d->n_train);
  TRY (derive_optimizer (&d->config, &d->optimizer));
  return derive_schedule (&d->config, d->steps, &d->schedule);
}

/* What follows from sizes and words alone. */
static enum status
open_network (struct design *d)
{
  struct wire *w = d->wire;
  TRY (wire_agree (w, design_check_ranks (&d->config, wire_size (w))));
  TRY (wire_grid (w, d->R));
  TRY (wire_agree (w, open_data (d)));
  design_count_cores (d);
  TRY (wire_agree (w, make_network (d)));
  TRY (wire_agree (w, count_steps (d)));
  TRY (wire_agree (w, make_phases (d)));
  return d->spec.forward_only ? OK : design_foresee_memory (d);
}

static void
say_when (const struct design *d, const char *what)
{
  say (LOG_DEBUG, "%s %s after start", what,
       text_seconds (clock_now_s () - d->started_s));
}

static enum status
open_costs (struct design *d)
{
  if (d->spec.forward_only || d->spec.guess_costs)
    return wire_agree (
        d->wire, unit_costs_guess (d->net, d->n_samples, d->behind, &d->costs));
  return design_open_costs (d);
}

/* Heads that follow from a cut that follows from times: kernels once more,
 * which are theirs as well. */
static enum status
heads_behind_measured_cut (struct design *d)
{
  enum status e = design_make_plan (d, wire_pipe_size (d->wire));
  design_drop_plans (d);
  TRY (wire_agree (d->wire, e));
  TRY (design_open_tuning (d));
  return wire_agree (d->wire,
                     d->spec.run ? design_put_costs (d, d->spec.run) : OK);
}

/* Kernels, chosen and proven, and what blocks cost with them. */
static enum status
open_kernels (struct design *d)
{
  TRY (wire_agree (d->wire, design_stages (d)));
  place_set (-1, -1, "choosing kernels");
  TRY (design_kernels (d));
  say_when (d, "kernels opened");
  TRY (design_open_tuning (d));
  say_when (d, "kernels chosen");
  place_set (-1, -1, "measuring blocks");
  TRY (open_costs (d));
  say_when (d, "blocks measured");
  TRY (design_share_cut (d));
  if (!d->head)
    TRY (heads_behind_measured_cut (d));
  /* Measuring would have looked whether to stop. */
  return d->cached ? wire_agree (d->wire, halt_check ("starting")) : OK;
}

static enum status
open_plan (struct design *d)
{
  struct wire *w = d->wire;
  place_set (-1, -1, "planning");
  TRY (wire_agree (w, design_make_plan (d, wire_pipe_size (w))));
  for (int i = 0; i < d->n_phases; i++)
    TRY (wire_agree (w, design_check_tags (d, d->phase[i].plan)));
  if (!d->spec.forward_only)
    TRY (design_check_memory (d));
  if (!d->spec.forward_only && !d->spec.guess_costs && wire_rank (w) == 0)
    design_measure_feed (d);
  TRY (wire_agree (w, wire_same (w, design_hash (d), "the plan")));
  return wire_agree (w, wire_same (w, d->info.digest, "the data set"));
}

/* Cut, heads and kernel choices become part of the configuration: running the
 * written one again repeats the run. */
static void
settle_config (struct design *d)
{
  design_settle_stages (d);
  if (strcmp (d->config.tune, "no") != 0)
    snprintf (d->config.tune, sizeof d->config.tune, "%.*s/tune.txt",
              CONFIG_PATH - 16, d->config.dir);
}

static void
design_init (struct wire *w, const struct config *c,
             const struct design_spec *spec, struct design *d)
{
  memset (d, 0, sizeof *d);
  d->wire = w;
  d->config = *c;
  d->spec = *spec;
  d->K = (int)c->count;
  d->M = (int)c->micro;
  d->R = (int)c->replicas;
  d->batch = c->batch;
  d->n_samples = c->batch / (c->micro * c->replicas);
  d->latency_s = spec->link_given ? spec->latency_s : DESIGN_LATENCY_S;
  d->bytes_per_s = spec->link_given ? spec->bytes_per_s : DESIGN_BYTES_PER_S;
  d->started_s = clock_now_s ();
  d->info.decoder = ""; /* a calibration opens no data */
}

enum status
design_open (struct wire *w, const struct config *c,
             const struct design_spec *spec, struct design *d)
{
  design_init (w, c, spec, d);
  enum status e = open_network (d);
  if (e == OK)
    e = open_kernels (d);
  if (e == OK)
    e = open_plan (d);
  if (e == OK)
    settle_config (d);
  else
    design_close (d);
  return e;
}

/* Costs for micro-batches of d->n_samples. */
static enum status
sketch_costs (struct design *d, bool tuned)
{
  const struct design_spec *spec = &d->spec;
  if (spec->n_kept > 0)
    return design_costs_kept (d, &d->costs);
  if (spec->costs)
    return design_costs_take (spec->costs, d->net, d->n_samples, d->config.head,
                              &d->costs);
  if (!spec->measure)
    return unit_costs_guess (d->net, d->n_samples, d->behind, &d->costs);
  if (!d->kernels)
    TRY (design_kernels (d));
  if (!tuned)
    TRY (design_open_tuning (d));
  return design_find_costs (d);
}

enum status
design_blocks (struct wire *w, const struct config *c,
               const struct design_spec *spec, struct design *d)
{
  design_init (w, c, spec, d);
  enum status e = c->file[0] ? open_data (d) : OK;
  if (e == OK)
    e = make_network (d);
  d->steps = d->data ? design_steps (c, d->n_train) : c->steps;
  e = wire_worst (w, e);
  if (e == OK)
    design_count_cores (d);
  else
    design_close (d);
  return e;
}

enum status
design_recost (struct design *d, int64_t n_samples, bool tuned)
{
  d->n_samples = n_samples;
  unit_costs_clear (&d->costs);
  return sketch_costs (d, tuned);
}

enum status
design_replan (struct design *d, int n_pipe)
{
  /* A cut that no time decides stays with its number of stages. */
  const bool same = d->plan && d->plan->K == d->K && d->head &&
                    strcmp (d->config.cut, "measured") != 0;
  mem_free (&d->has_head);
  mem_free (&d->does);
  mem_free (&d->cost);
  TRY (make_phases (d));
  if (!same)
    TRY (design_stages (d));
  return design_make_plan (d, n_pipe);
}

enum status
design_sketch (struct wire *alone, const struct config *c, int n_pipe,
               const struct design_spec *spec, struct design *d)
{
  TRY (design_blocks (alone, c, spec, d));
  enum status e = make_phases (d);
  if (e == OK)
    e = design_stages (d);
  if (e == OK)
    e = sketch_costs (d, false);
  if (e == OK) {
    design_cache_say (d);
    e = design_make_plan (d, n_pipe);
  }
  if (e != OK)
    design_close (d);
  return e;
}

void
design_close (struct design *d)
{
  mem_free (&d->shared);
  drop_phases (d);
  design_stages_clear (d);
  mem_free (&d->has_head);
  mem_free (&d->does);
  mem_free (&d->cost);
  unit_costs_clear (&d->costs);
  mem_free (&d->cache);
  kernels_close (&d->kernels);
  network_destroy (&d->net);
  data_close (&d->data);
}
