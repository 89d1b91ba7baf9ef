/* design/cached.c -- kernel choices, proofs of kernels and costs of blocks of
 * earlier starts, of whatever run.
 *
 * A start may take what another one has measured where nothing differs that it
 * depends on: this program, its kernel library, its numbers and instruction
 * set, the processors, the ranks that share a node and the threads of each, the
 * network with its heads, and the samples of a micro-batch; for costs also the
 * kernel choices.  Proofs are of single kernels: each start proves what was not
 * yet, and leaves all that it knows.
 *
 * The root alone looks; all ranks get what it found.  What a run has taken is
 * written into its own directory like what it has measured, and a run that goes
 * on looks there first.
 */
#include "base/fault.h"
#include "base/processor.h"
#include "design/design_impl.h"
#include "store/cache.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- keys ------------------------------------------------------------------ */

/* What machine this rank is on; one line. */
static void
describe_machine (const struct design *d, struct text *out)
{
  char digest[33];
  processor_digest (digest);
  text_add (out, "program %s; processor %s, %ld of them; %d ranks on a node",
            hash_program (), digest, sysconf (_SC_NPROCESSORS_CONF),
            wire_node_size (d->wire));
}

enum status
design_cache_open (struct design *d)
{
  /* What is found out with a fault in it is nobody else's. */
  double planted = fault_planted ();
  struct text mine, groups, all;
  int n;
  if (d->config.cache == CONFIG_CACHE_NO)
    return OK;
  TRY (wire_agree (d->wire, wire_sum (d->wire, &planted, 1)));
  if (planted > 0)
    return OK;
  text_init (&mine);
  text_init (&groups);
  text_init (&all);
  describe_machine (d, &mine);
  enum status e = wire_groups (d->wire, mine.data, &n, &groups);
  text_add (&all, "%s; %s; %s; %s; %d threads", n > 1 ? groups.data : mine.data,
            kernels_library (), kernels_numbers (), kernels_level_use (),
            d->threads);
  mem_free (&d->cache);
  if (e == OK)
    e = mem_text (all.data, &d->cache);
  text_clear (&mine);
  text_clear (&groups);
  text_clear (&all);
  return wire_agree (d->wire, e);
}

/* Keys that change what a unit or a head computes. */
static bool
is_of_network (const struct key *k)
{
  return strcmp (k->section, KEY_OF (family)->section) == 0 ||
         k == KEY_OF (border) || k == KEY_OF (head_tokens) ||
         k == KEY_OF (precision);
}

void
design_describe_blocks (const struct design *d, bool heads, struct text *out)
{
  for (size_t i = 0; i < key_count; i++)
    if (is_of_network (&key_table[i])) {
      text_add (out, "%s = ", key_table[i].full);
      key_get (&key_table[i], &d->config, out);
      text_add (out, "\n");
    }
  for (int i = 0; i < network_units (d->net); i++) {
    struct network_unit u;
    network_unit (d->net, i, &u);
    text_add (out, "%016llx %lld %lld x %lld x %lld, %.17g, head %s\n",
              (unsigned long long)u.alike, (long long)u.params,
              (long long)u.out.c, (long long)u.out.h, (long long)u.out.w,
              u.flops,
              heads && d->behind && d->behind[i] ? d->behind[i] : "none");
  }
}

static void
describe_network (const struct design *d, char digest[33])
{
  struct text out;
  text_init (&out);
  design_describe_blocks (d, true, &out);
  hash_digest (out.data, out.size, digest);
  text_clear (&out);
}

/* with_choices: it depends on the kernels that are chosen, too. */
static void
entry_key (const struct design *d, bool with_choices, struct text *out)
{
  char digest[33];
  struct text choices;
  describe_network (d, digest);
  text_add (out, "%s; %lld samples; network %s", d->cache,
            (long long)d->n_samples, digest);
  if (!with_choices)
    return;
  text_init (&choices);
  kernels_print (d->kernels, &choices);
  hash_digest (choices.data, choices.size, digest);
  text_add (out, "; choices %s", digest);
  text_clear (&choices);
}

/* -- entries --------------------------------------------------------------- */

static const struct {
  const char *kind, *words;
  bool with_choices;
} entries[DESIGN_CACHED] = {
    [DESIGN_CHOICES] = {"choices", "kernel choices", false},
    [DESIGN_PROOFS] = {"proofs", "proofs of kernels", false},
    [DESIGN_COSTS] = {"costs", "costs of blocks", true},
};

/* "" where there is none, or none is wanted.  Collective on world. */
static enum status
look_up (struct design *d, enum design_cached which, bool wanted, char **out)
{
  char *text = NULL;
  enum status e = OK;
  wanted = wanted && d->config.cache != CONFIG_CACHE_ANEW && !d->spec.anew &&
           !d->spec.proves;
  if (wire_rank (d->wire) == 0 && wanted) {
    struct text key;
    text_init (&key);
    entry_key (d, entries[which].with_choices, &key);
    e = store_cache_get (entries[which].kind, key.data, &text);
    text_clear (&key);
  } else if (wire_rank (d->wire) == 0)
    e = mem_text ("", &text);
  TRY (wire_agree (d->wire, e));
  TRY (wire_broadcast_text (d->wire, &text, 0));
  *out = text;
  return OK;
}

static enum status
parse (struct design *d, enum design_cached which, const char *text)
{
  if (which == DESIGN_CHOICES)
    return kernels_parse (d->kernels, text, "the cache's kernel choices");
  if (which == DESIGN_PROOFS)
    return kernels_believe_text (d->kernels, text, "the cache's proofs");
  return design_costs_parse_own (d, text)
             ? OK
             : fail (E_CONFIG, "the cache's costs are not those of this run");
}

enum status
design_cache_take (struct design *d, enum design_cached which, bool wanted,
                   bool *taken)
{
  char *text = NULL;
  *taken = false;
  if (!d->cache)
    return OK;
  TRY (look_up (d, which, wanted, &text));
  if (text[0]) {
    /* Whole, and yet not to be read: as if it were not there. */
    enum status e = wire_worst (d->wire, parse (d, which, text));
    if (e != OK)
      say (LOG_INFO, "not taken from the cache: %s", fail_message ());
    fail_clear ();
    *taken = e == OK;
    if (*taken)
      d->cached |= 1u << which;
  }
  mem_free (&text);
  return OK;
}

void
design_cache_put (const struct design *d, enum design_cached which)
{
  struct text key, text;
  double seconds = 0;
  if (!d->cache || wire_rank (d->wire) != 0)
    return;
  text_init (&key);
  text_init (&text);
  if (which == DESIGN_CHOICES) {
    kernels_print (d->kernels, &text);
    seconds = kernels_seconds (d->kernels);
  } else if (which == DESIGN_PROOFS)
    kernels_print_proofs (d->kernels, &text);
  else {
    design_costs_print (d, &text);
    seconds = unit_costs_seconds (&d->costs);
  }
  entry_key (d, entries[which].with_choices, &key);
  store_cache_put (entries[which].kind, key.data, seconds, text.data);
  text_clear (&key);
  text_clear (&text);
}

void
design_cache_say (const struct design *d)
{
  struct text list;
  text_init (&list);
  for (int i = 0; i < DESIGN_CACHED; i++)
    if (d->cached & 1u << i)
      text_add (&list, "%s%s", list.size ? ", " : "", entries[i].words);
  if (list.size)
    say (LOG_INFO, "from the cache of earlier starts: %s", list.data);
  text_clear (&list);
}
