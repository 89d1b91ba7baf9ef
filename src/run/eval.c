/* run/eval.c -- the command `eval`: every head of a checkpoint on a split. */
#include "run/session.h"

#include <math.h>
#include <string.h>

static void
print_number (double v)
{
  if (isfinite (v))
    put (" %12.4f", v);
  else
    put (" %12s", "-");
}

static void
print_heads (const struct session *s, const struct evaluation *v,
             enum data_split split)
{
  const struct design *d = s->design;
  bool tokens = network_family (d->net)->language;
  const bool rebuilds = design_rebuilds_any (d);
  put ("%-6s %-24s %12s %12s", "head", "behind", "loss", "accuracy");
  if (tokens)
    put (" %12s %12s", "perplexity", "bits/byte");
  if (rebuilds)
    put (" %14s", "reconstruction");
  put ("   (%s, %lld %s)\n", data_split_name (split), (long long)v->samples,
       tokens ? "windows" : "samples");
  for (int k = 0; k < d->K; k++) {
    struct network_unit u;
    network_unit (d->net, d->first[k + 1] - 1, &u);
    put ("%-6d %-24s", k, u.name);
    print_number (v->loss[k]);
    print_number (v->accuracy[k]);
    if (tokens) {
      print_number (exp (v->loss[k]));
      print_number (session_bits (s, split, v->loss[k]));
    }
    if (rebuilds) {
      put ("  ");
      print_number (v->rebuilt[k]);
    }
    put ("\n");
  }
}

enum status
run_eval (struct wire *w, const struct config *c, const char *checkpoint,
          const char *split)
{
  struct session s;
  enum data_split which;
  char *tuning = NULL;
  int64_t step;
  TRY (wire_agree (w, derive_split_named (split, &which)));
  TRY (wire_agree (w, session_tuning_of (checkpoint, &tuning)));
  struct session_spec spec = {
      .design = {.tuning = tuning, .forward_only = true}};
  struct config config = *c;
  config.init[0] = '\0';
  config.limit = 0; /* of what is evaluated: less than a batch will do */
  enum status e = session_open (w, &config, &spec, &s);
  if (e != OK) {
    mem_free (&tuning);
    return e;
  }
  struct evaluation v = {0};
  if (s.design->info.samples[which] == 0)
    e = fail (E_DATA, "%s: there is no split /%s", c->file, split);
  if (e == OK)
    e = MEM_NEW ((size_t)s.design->K, &v.loss, "evaluation");
  if (e == OK)
    e = MEM_NEW ((size_t)s.design->K, &v.accuracy, "evaluation");
  if (e == OK)
    e = MEM_NEW ((size_t)s.design->K, &v.rebuilt, "evaluation");
  e = wire_agree (w, e);
  if (e == OK)
    e = session_load (&s, checkpoint, false, true, &step);
  if (e == OK)
    e = wire_agree (w, session_evaluate (&s, which, c->limit, NULL, &v));
  if (e == OK && wire_rank (w) == 0)
    print_heads (&s, &v, which);
  mem_free (&v.loss);
  mem_free (&v.accuracy);
  mem_free (&v.rebuilt);
  mem_free (&tuning);
  session_close (&s);
  return e;
}
