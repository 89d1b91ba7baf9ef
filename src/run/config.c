/* run/config.c -- what can be found wrong in a configuration before any data is
 * touched.  Everything is reported, not the first thing only. */
#include "run/run_impl.h"

#include <math.h>
#include <string.h>

/* Keep the message of a failed call as one more line. */
static void
note (enum status s, struct text *out, int *n)
{
  if (s == OK)
    return;
  text_add (out, "%s\n", fail_message ());
  fail_clear ();
  ++*n;
}

static void
check_strategy (const struct run_config *c, struct text *out, int *n)
{
  int span;
  enum plan_mix mix;
  enum plan_order order;
  if (c->count >= 1)
    note (plan_span_parse (c->span, (int)c->count, &span), out, n);
  note (plan_mix_parse (c->mix, &mix), out, n);
  note (derive_order (c->run_schedule, &order), out, n);
}

static void
check_sizes (const struct run_config *c, struct text *out, int *n)
{
  if (c->batch % (c->micro * c->replicas) != 0)
    note (fail (E_CONFIG,
                "train.batch = %lld does not divide into train.micro = %lld "
                "micro-batches x run.replicas = %lld",
                (long long)c->batch, (long long)c->micro,
                (long long)c->replicas),
          out, n);
  if (c->steps == 0 && !(c->epochs > 0))
    note (fail (E_CONFIG, "train.steps or train.epochs must be above 0"), out,
          n);
  if (strcmp (c->precision, "f32") != 0)
    note (fail (E_CONFIG, "train.precision = %s: this version has f32 only",
                c->precision),
          out, n);
}

/* Network, cut and heads on images of the usual size: what depends on the data
 * is checked again when its header is known. */
static void
check_network (const struct run_config *c, struct text *out, int *n)
{
  struct model_spec spec;
  struct network *net = NULL;
  enum status s = derive_spec (c, NULL, &spec);
  bool tokens = s == OK && spec.family == MODEL_TRANSFORMER;
  if (s == OK && !tokens && spec.stem == MODEL_STEM_IMAGENET)
    spec.height = spec.width_px = 224;
  if (s == OK)
    s = network_create (&spec, &net);
  note (s, out, n);
  if (s != OK)
    return;
  struct network_unit u;
  if (c->count > network_units (net))
    note (fail (E_CONFIG,
                "stages.count = %lld: the network has only %d blocks (%s, "
                "output)",
                (long long)c->count, network_units (net),
                tokens ? "embedding, layers" : "stem, residual blocks"),
          out, n);
  else if (c->count >= 1 && strcmp (c->cut, "auto") != 0) {
    int *first = NULL;
    s = MEM_NEW ((size_t)c->count + 1, &first, "cut");
    if (s == OK)
      s = network_cut_parse (net, c->cut, (int)c->count, first);
    note (s, out, n);
    mem_free (&first);
  }
  note (network_head (net, 0, c->head, &u), out, n);
  network_destroy (&net);
}

void
run_config_sizes (struct run_config *c)
{
  struct model_spec spec = {.family = MODEL_RESNET};
  if (model_spec_preset (c->preset, &spec) != OK ||
      spec.family != MODEL_TRANSFORMER) {
    fail_clear (); /* the check says it */
    return;
  }
  if (c->layers == 0)
    c->layers = spec.layers;
  if (c->d_model == 0)
    c->d_model = spec.d_model;
  if (c->heads == 0)
    c->heads = spec.heads;
  if (c->context == 0)
    c->context = spec.context;
  if (!(c->mlp_ratio > 0))
    c->mlp_ratio = spec.mlp_ratio;
}

void
run_config_check (const struct run_config *c, struct text *out, int *n)
{
  enum store_split split;
  int augment;
  struct optimizer o;
  struct schedule sched;
  if (!c->dir[0])
    note (fail (E_CONFIG, "run.dir is empty: name the run directory"), out, n);
  check_strategy (c, out, n);
  note (derive_split (c->train, &split), out, n);
  note (derive_split (c->valid, &split), out, n);
  note (derive_split (c->test, &split), out, n);
  note (derive_augment (c->augment, &augment), out, n);
  note (derive_optimizer (c, &o), out, n);
  note (derive_schedule (c, c->steps, &sched), out, n);
  check_sizes (c, out, n);
  check_network (c, out, n);
}

int64_t
run_steps (const struct run_config *c, int64_t samples)
{
  if (c->steps > 0)
    return c->steps;
  return (int64_t)ceil (c->epochs * (double)samples / (double)c->batch);
}
