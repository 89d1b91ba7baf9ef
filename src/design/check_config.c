/* design/check_config.c -- what can be found wrong in a configuration before
 * any data is touched.  Everything is reported, not the first thing only. */
#include "design/design_impl.h"

#include <math.h>
#include <string.h>

void
complaints_note (enum status s, struct complaints *said)
{
  if (s == OK)
    return;
  text_add (&said->lines, "%s\n", fail_message ());
  fail_clear ();
  said->n++;
}

static void
check_strategy (const struct config *c, struct complaints *said)
{
  struct text span;
  text_init (&span);
  if (c->count >= 1)
    complaints_note (config_span_show (c->span, (int)c->count, &span), said);
  if (c->count >= 1 && c->dial[0])
    complaints_note (dial_check (c), said);
  text_clear (&span);
}

static void
check_sizes (const struct config *c, struct complaints *said)
{
  int64_t n_samples;
  complaints_note (derive_micro (c, &n_samples), said);
  if (c->steps == 0 && !(c->epochs > 0))
    complaints_note (fail (E_CONFIG, "%s or %s must be above 0",
                           KEY_NAME (steps), KEY_NAME (epochs)),
                     said);
}

static enum status
check_head (const struct config *c, const struct network *net, int k)
{
  char grammar[CONFIG_TEXT];
  struct network_unit u;
  TRY (config_head_parse (c->head, (int)c->count, k, grammar));
  if (network_head_shares (grammar) != network_head_shares (c->head))
    return fail (E_CONFIG, "%s = %s: either all heads end in shared or none",
                 KEY_NAME (head), c->head);
  return network_head (net, 0, grammar, &u);
}

/* Of what is chosen only the suffix may be wrong. */
static enum status
check_suffix (const struct config *c, const struct network *net)
{
  char known[NETWORK_HEAD] = "", grammar[CONFIG_TEXT];
  const char *suffix = config_head_suffix (c->head);
  struct network_unit u;
  for (int i = 0; !known[0] && network_head_known (net, 0, i, known); i++)
    continue;
  if (strlen (known) + strlen (suffix) >= sizeof grammar)
    return fail (E_CONFIG, "%s: \"%.80s...\" is too long", KEY_NAME (head),
                 suffix);
  snprintf (grammar, sizeof grammar, "%s%.200s", known, suffix);
  return suffix[0] ? network_head (net, 0, grammar, &u) : OK;
}

/* Behind every stage, or the one that all would have. */
static void
check_heads (const struct config *c, const struct network *net,
             struct complaints *said)
{
  const int heads = config_head_is_list (c->head) ? (int)c->count - 1 : 1;
  enum status s = OK;
  if (config_head_is_auto (c->head)) {
    complaints_note (check_suffix (c, net), said);
    return;
  }
  for (int k = 0; s == OK && (k < heads || k == 0); k++)
    s = check_head (c, net, k);
  complaints_note (s, said);
}

/* Network, cut and heads on images of the usual size: what depends on the data
 * is checked again when its header is known. */
static void
check_network (const struct config *c, struct complaints *said)
{
  struct model_spec spec;
  struct network *net = NULL;
  enum status s = derive_spec (c, NULL, &spec);
  if (s == OK)
    s = network_create (&spec, &net);
  complaints_note (s, said);
  if (s != OK)
    return;
  if (c->count > network_units (net))
    complaints_note (fail (E_CONFIG,
                           "%s = %lld: the network has only %d blocks (%s, "
                           "output)",
                           KEY_NAME (count), (long long)c->count,
                           network_units (net), network_family (net)->parts),
                     said);
  else if (c->count >= 1 && !config_cut_is_chosen (c)) {
    int *first = NULL;
    s = MEM_NEW ((size_t)c->count + 1, &first, "cut");
    if (s == OK)
      s = network_cut_parse (net, c->cut, (int)c->count, first);
    complaints_note (s, said);
    mem_free (&first);
  }
  check_heads (c, net, said);
  network_destroy (&net);
}

static void
check (const struct config *c, struct complaints *said)
{
  struct optimizer o;
  struct schedule sched;
  if (!c->dir[0])
    complaints_note (
        fail (E_CONFIG, "%s is empty: name the run directory", KEY_NAME (dir)),
        said);
  check_strategy (c, said);
  complaints_note (derive_optimizer (c, &o), said);
  complaints_note (derive_schedule (c, c->steps, &sched), said);
  check_sizes (c, said);
  check_network (c, said);
}

void
design_configure_parse (const struct config_source *source, struct config *out,
                        struct complaints *said)
{
  config_parse (source, out, said);
  derive_sizes (out);
  route_resolve (source, out, said);
  dial_resolve (source, out, said);
}

void
design_configure_collect (const struct config_source *source,
                          enum config_use use, struct config *out,
                          struct complaints *said)
{
  design_configure_parse (source, out, said);
  if (use != CONFIG_PLAN && out->file[0] == '\0')
    complaints_note (fail (E_CONFIG,
                           "%s is needed: a data set file, made by "
                           "`interlock import`",
                           KEY_NAME (file)),
                     said);
  check (out, said);
}

enum status
design_configure (const struct config_source *source, enum config_use use,
                  struct config *out)
{
  struct complaints said = {.n = 0};
  struct config c;
  text_init (&said.lines);
  design_configure_collect (source, use, &c, &said);
  enum status s =
      config_refuse (source->text ? source->name : "the command line", &said);
  text_clear (&said.lines);
  if (s == OK)
    *out = c;
  return s;
}

int64_t
design_steps (const struct config *c, int64_t samples)
{
  if (c->steps > 0)
    return c->steps;
  return (int64_t)ceil (c->epochs * (double)samples / (double)c->batch);
}
