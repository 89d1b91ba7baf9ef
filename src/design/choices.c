/* design/choices.c -- what was measured once in the life of a run directory,
 * kept in it: kernel choices and the costs of blocks.
 */
#include "design/design_impl.h"

#include <stdio.h>
#include <string.h>

enum status
design_put_tuning (const struct design *d, struct store_run *run)
{
  struct text printed;
  text_init (&printed);
  kernels_print_all (d->kernels, &printed);
  enum status e = store_run_put (run, "tune.txt", printed.data);
  text_clear (&printed);
  return e;
}

/* Heads whose costs a text tells: of no stage, the same behind every block, or
 * those of the stages. */
enum heads { NO_HEADS, SAME_HEADS, STAGE_HEADS };

static enum heads
heads_of (const struct design *d)
{
  const int n = network_units (d->net) - 1;
  int there = 0;
  bool alike = true;
  for (int i = 0; i < n; i++) {
    const char *head = d->behind[i], *first = d->behind[0];
    there += head != NULL;
    alike = alike && head && strcmp (head, first) == 0;
  }
  return there == 0 ? NO_HEADS : alike ? SAME_HEADS : STAGE_HEADS;
}

static void
heads_words (const struct design *d, enum heads which, char out[CONFIG_TEXT])
{
  char digest[33];
  struct text list;
  snprintf (out, CONFIG_TEXT, "head %s",
            which == NO_HEADS || !d->head ? "none" : d->head[0]);
  if (which != STAGE_HEADS || !d->head)
    return;
  text_init (&list);
  for (int k = 0; k < d->K - 1; k++)
    text_add (&list, "%d %s\n", d->first[k + 1], d->head[k]);
  hash_digest (list.data, list.size, digest);
  snprintf (out, CONFIG_TEXT, "heads %s", digest);
  text_clear (&list);
}

/* What the costs depend on. */
static void
costs_key (const struct design *d, enum heads which, char key[1024])
{
  char heads[CONFIG_TEXT];
  heads_words (d, which, heads);
  snprintf (key, 1024, "%lld samples; %d units %lld parameters; %s",
            (long long)d->n_samples, network_units (d->net),
            (long long)network_params (d->net), heads);
}

static bool
same_heads (const struct design *d)
{
  bool same = d->head && d->K > 1;
  for (int k = 1; same && k < d->K - 1; k++)
    same = strcmp (d->head[k], d->head[0]) == 0;
  return same;
}

static bool
parse_costs (const struct design *d, const char *text, enum heads which,
             struct unit_costs *out)
{
  char key[1024];
  if (which == SAME_HEADS && !same_heads (d))
    return false;
  costs_key (d, which, key);
  return unit_costs_parse (text, key, network_units (d->net), out);
}

void
design_costs_print (const struct design *d, struct text *out)
{
  char key[1024];
  costs_key (d, heads_of (d), key);
  unit_costs_print (&d->costs, key, out);
}

bool
design_costs_parse_own (struct design *d, const char *text)
{
  return parse_costs (d, text, heads_of (d), &d->costs);
}

enum status
design_put_costs (const struct design *d, struct store_run *run)
{
  struct text out;
  text_init (&out);
  design_costs_print (d, &out);
  enum status e = store_run_put (run, "costs.txt", out.data);
  text_clear (&out);
  return e;
}

enum status
design_put_choices (const struct design *d, struct store_run *run)
{
  if (strcmp (d->config.tune, "no") != 0)
    TRY (design_put_tuning (d, run));
  return design_put_costs (d, run);
}

enum status
design_find_costs (struct design *d)
{
  bool taken;
  TRY (design_cache_take (d, DESIGN_COSTS, true, &taken));
  if (taken)
    return OK;
  TRY (unit_costs_measure (d->wire, d->kernels, d->net, d->n_samples, d->behind,
                           &d->costs));
  if (!d->spec.anew)
    design_cache_put (d, DESIGN_COSTS);
  return OK;
}

/* Once in the life of a run directory, whatever machine and ranks it goes on
 * with. */
enum status
design_open_costs (struct design *d)
{
  char *text = NULL;
  TRY (design_read_text (d, d->spec.run ? d->config.dir : NULL, "costs.txt",
                         &text));
  /* What tells of heads behind all blocks tells of these. */
  const bool known = parse_costs (d, text, heads_of (d), &d->costs) ||
                     parse_costs (d, text, SAME_HEADS, &d->costs);
  mem_free (&text);
  /* The root's answer counts: others read the same text. */
  if (known)
    return OK;
  TRY (design_find_costs (d));
  return wire_agree (d->wire,
                     d->spec.run ? design_put_costs (d, d->spec.run) : OK);
}

bool
design_costs_parse (const struct design *d, const char *text, bool *heads,
                    struct unit_costs *out)
{
  *heads = parse_costs (d, text, STAGE_HEADS, out) ||
           parse_costs (d, text, SAME_HEADS, out);
  return *heads || parse_costs (d, text, NO_HEADS, out);
}
