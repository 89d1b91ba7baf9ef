/* design/shared.c -- one measured cut for all runs of a sweep.
 *
 * What strategies ask of stages differs, and so would cuts that are balanced by
 * it, and then strategies are not compared on the same blocks.  So the first
 * run that measures decides for all that have the same blocks, samples and
 * number of stages: the cut is balanced by forward, data and weights of each
 * block once, without heads, whatever the strategy.
 *
 * A run that goes on has its own cut by then, from its record (changes.c).
 */
#include "base/hash.h"
#include "base/log.h"
#include "design/design_impl.h"
#include "store/shared.h"

#include <stdio.h>
#include <string.h>

#define LINE "\ncut "

/* What the cost of blocks depends on, but for the machine; K. */
static void
describe (const struct design *d, char name[64])
{
  struct text out;
  char digest[33];
  text_init (&out);
  design_describe_blocks (d, false, &out);
  text_add (&out, "%d stages; %lld samples; isa %s; tune %s\n", d->K,
            (long long)d->n_samples, d->config.isa, d->config.tune);
  hash_digest (out.data, out.size, digest);
  snprintf (name, 64, "%.16s.txt", digest);
  text_clear (&out);
}

static enum status
cut_bodies (const struct design *d, int *first)
{
  const int n = network_units (d->net);
  double *cost = NULL;
  TRY (MEM_NEW ((size_t)(n * d->K), &cost, "cut costs"));
  for (int i = 0; i < n * d->K; i++) {
    const struct stage_cost *u = &d->costs.unit[i % n];
    cost[i] = u->forward + u->data + u->weights;
  }
  enum status e = plan_cut (n, cost, NULL, d->K, first);
  mem_free (&cost);
  return e;
}

/* The text that this run would leave. */
static enum status
print_mine (const struct design *d, struct text *out)
{
  int *first = NULL;
  TRY (MEM_NEW ((size_t)d->K + 1, &first, "cut"));
  enum status e = cut_bodies (d, first);
  text_add (out,
            "# The cut of all runs of this sweep that have the same blocks and "
            "samples\n# (stages.cut = measured); measured by %s:\n"
            "# seconds of each block, forward, data and weights, once.\n",
            d->config.dir);
  for (int i = 0; i < d->costs.n; i++) {
    const struct stage_cost *u = &d->costs.unit[i];
    text_add (out, "unit %d %.9g\n", i, u->forward + u->data + u->weights);
  }
  for (int k = 0; e == OK && k < d->K; k++)
    text_add (out, "%s%d", k ? "," : "cut ", first[k + 1] - first[k]);
  text_add (out, "\n");
  mem_free (&first);
  return e;
}

/* The word behind "cut " of a shared text; "" where there is none that fits
 * this network. */
static enum status
read_cut (const struct design *d, const char *text, char out[CONFIG_TEXT])
{
  const char *line = strstr (text, LINE);
  int *first = NULL;
  TRY (MEM_NEW ((size_t)d->K + 1, &first, "cut"));
  const int n = line ? (int)strcspn (line + sizeof LINE - 1, "\n") : 0;
  snprintf (out, CONFIG_TEXT, "%.*s", n, line ? line + sizeof LINE - 1 : "");
  if (n >= CONFIG_TEXT || network_cut_parse (d->net, out, d->K, first) != OK)
    out[0] = '\0';
  fail_clear ();
  mem_free (&first);
  return OK;
}

/* Root: that of the sweep. */
static enum status
of_sweep (struct design *d, char out[CONFIG_TEXT])
{
  struct text mine;
  char name[64], *text = NULL;
  text_init (&mine);
  describe (d, name);
  enum status e = print_mine (d, &mine);
  if (e == OK)
    e = store_shared_text (d->config.cuts, name, mine.data, &text);
  if (e == OK)
    e = read_cut (d, text, out);
  if (e == OK && !out[0])
    e = fail (E_CONFIG,
              "%s/%s: no cut of this network into %d stages; remove the file",
              d->config.cuts, name, d->K);
  if (e == OK)
    say (LOG_INFO, "cut %s, as in all such runs of the sweep (%s/%s)", out,
         d->config.cuts, name);
  mem_free (&text);
  text_clear (&mine);
  return e;
}

enum status
design_share_cut (struct design *d)
{
  char cut[CONFIG_TEXT] = "", *text = NULL;
  enum status e = OK;
  if (!d->config.cuts[0] || strcmp (d->config.cut, "measured") != 0 ||
      d->spec.forward_only || d->spec.guess_costs)
    return OK;
  if (wire_rank (d->wire) == 0) {
    e = of_sweep (d, cut);
    if (e == OK)
      e = mem_text (cut, &text);
  }
  TRY (wire_agree (d->wire, e));
  TRY (wire_broadcast_text (d->wire, &text, 0));
  mem_free (&d->shared);
  d->shared = text;
  return OK;
}
