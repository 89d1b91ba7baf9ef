/* model/kernels.c -- the library and its choices, in the words of those who may
 * not know kernels.
 */
#include "model/kernels.h"

#include "base/log.h"
#include "base/memory.h"
#include "kern/kern.h"
#include <string.h>

struct kernels {
  struct kern *kern;
  struct kern_tuning *tuning;
};

/* -- levels of instructions --------------------------------------------------
 */

const char *
kernels_level_have (void)
{
  return kern_isa_have ();
}

const char *
kernels_level_use (void)
{
  return kern_isa_use ();
}

const char *
kernels_level_common (const char *a, const char *b)
{
  return kern_isa_common (a, b);
}

static enum status
not_known (const char *name)
{
  struct text names;
  text_init (&names);
  kern_isa_names (&names);
  enum status e =
      fail (E_UNSUPPORTED, "run.isa = %s: %s has no such level; it has %s",
            name, kern_library (), names.data);
  text_clear (&names);
  return e;
}

static enum status
not_had (const char *name, const char *groups, const char *whose)
{
  if (groups[0])
    return fail (E_MISSING, "run.isa = %s: not all ranks have it: %s", name,
                 groups);
  return fail (E_MISSING, "run.isa = %s: %s has %s only", name, whose,
               kern_isa_have ());
}

enum status
kernels_level_choose (const char *word, const char *common, const char *groups,
                      const char *whose, const char **out)
{
  *out = common;
  if (strcmp (word, "auto") == 0)
    return OK;
  if (strcmp (word, "native") == 0)
    return groups[0]
               ? fail (E_MISSING,
                       "run.isa = native: the ranks have unlike instruction "
                       "sets: %s; run.isa = auto brings all of them to %s",
                       groups, common)
               : OK;
  *out = word;
  if (!kern_isa_known (word))
    return not_known (word);
  return kern_isa_includes (common, word) ? OK : not_had (word, groups, whose);
}

enum status
kernels_level_limit (const char *level)
{
  return kern_isa_limit (level);
}

/* -- the library -------------------------------------------------------------
 */

const char *
kernels_library (void)
{
  return kern_library ();
}

const char *
kernels_numbers (void)
{
  return kern_numbers ();
}

enum status
kernels_open (int threads, bool narrow, struct kernels **out)
{
  struct kernels *k = NULL;
  TRY (MEM_NEW (1, &k, "kernels"));
  enum status e = kern_open (threads, &k->kern);
  if (e == OK && narrow)
    kern_precision_set (k->kern, KERN_BF16);
  if (e == OK)
    e = kern_tuning_create (&k->tuning);
  if (e != OK)
    kernels_close (&k);
  *out = k;
  return e;
}

void
kernels_close (struct kernels **k)
{
  if (!*k)
    return;
  kern_tuning_destroy (&(*k)->tuning);
  kern_close (&(*k)->kern);
  mem_free (k);
}

const char *
kernels_describe (const struct kernels *k)
{
  return kern_describe (k->kern);
}

bool
kernels_native (const struct kernels *k)
{
  return kern_native (k->kern);
}

int
kernels_block (const struct kernels *k)
{
  return kern_block (k->kern);
}

/* -- choices -----------------------------------------------------------------
 */

enum status
kernels_forget (struct kernels *k)
{
  kern_tuning_destroy (&k->tuning);
  return kern_tuning_create (&k->tuning);
}

void
kernels_print (const struct kernels *k, struct text *out)
{
  kern_tuning_print (k->tuning, out);
}

enum status
kernels_parse (struct kernels *k, const char *text, const char *origin)
{
  return kern_tuning_parse (text, origin, k->tuning);
}

const char *
kernels_elsewhere (const struct kernels *k)
{
  return kern_tuning_elsewhere (k->kern, k->tuning)
             ? kern_tuning_machine (k->tuning)
             : NULL;
}

double
kernels_seconds (const struct kernels *k)
{
  return kern_tuning_seconds (k->tuning);
}

enum status
kernels_choose_by_rule (struct kernels *k, const struct network *net,
                        const char *was)
{
  struct kern_tuning *before = NULL;
  stage_tune_rule (k->kern, net, k->tuning);
  if (!was || !was[0])
    return OK;
  TRY (kern_tuning_create (&before));
  enum status e =
      kern_tuning_parse (was, "the checkpoint's kernel choices", before);
  if (e == OK)
    kern_tuning_go_on (k->tuning, before);
  kern_tuning_destroy (&before);
  return e;
}

enum status
kernels_choose (struct kernels *k, const struct network *net, int64_t n_samples,
                const char *const *heads, const struct stage_team *team)
{
  return stage_tune (k->kern, net, n_samples, heads, team, k->tuning);
}

/* -- verdicts ----------------------------------------------------------------
 */

enum status
kernels_prove (struct kernels *k, const struct network *net, int64_t n_samples,
               const char *const *heads, const struct stage_team *team,
               enum status mine)
{
  TRY (team->share (team->context, mine, NULL, 0));
  return stage_prove (k->kern, net, n_samples, heads, team, k->tuning);
}

enum status
kernels_believe (struct kernels *k)
{
  return kern_verdicts_take (k->kern, k->tuning);
}

enum status
kernels_believe_text (struct kernels *k, const char *text, const char *origin)
{
  struct kern_tuning *was = NULL;
  TRY (kern_tuning_create (&was));
  enum status e = kern_tuning_parse (text, origin, was);
  if (e == OK)
    e = kern_verdicts_take (k->kern, was);
  kern_tuning_destroy (&was);
  return e;
}

int
kernels_proven (const struct kernels *k)
{
  return kern_proof_count (k->kern);
}

void
kernels_print_proofs (const struct kernels *k, struct text *out)
{
  kern_verdicts_print (k->kern, out);
}

void
kernels_print_all (const struct kernels *k, struct text *out)
{
  kern_tuning_print (k->tuning, out);
  kern_verdicts_print (k->kern, out);
}

void
kernels_say_proofs (const struct kernels *k, int *right, int *dropped)
{
  *right = *dropped = 0;
  for (int i = 0; i < kern_proof_count (k->kern); i++) {
    const struct kern_proof p = kern_proof_at (k->kern, i);
    if (p.right)
      say (LOG_INFO, "ok %d - %s: largest error %.2g", ++*right, p.key,
           p.error);
    else
      ++*dropped;
  }
}

void
kernels_say_dropped (struct kernels *k)
{
  kern_dropped_say (k->kern);
}

/* -- stages ------------------------------------------------------------------
 */

enum status
kernels_stage (struct kernels *k, struct stage_spec *spec, struct stage **out)
{
  spec->tuning = k->tuning;
  return stage_create (k->kern, spec, out);
}

enum status
kernels_measure (struct kernels *k, const struct network *net,
                 int64_t n_samples, int n, struct stage_measured *list)
{
  return stage_measure (k->kern, net, k->tuning, n_samples, n, list);
}

enum status
kernels_seal (struct kernels *k)
{
  return kern_seal (k->kern);
}
