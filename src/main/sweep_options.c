/* main/sweep_options.c -- options of runs and of sets of runs. */
#include "main/main.h"

#include <string.h>

#define SWEEP_WORDS "list check run submit table dir"

static void
number (const char *name, const char *value, int64_t high, int *out,
        struct text *lines)
{
  int64_t n;
  if (text_to_long (value, &n) && n >= 1 && n <= high)
    *out = (int)n;
  else
    text_add (lines, "--%s %s: wanted an integer from 1 to %lld\n", name, value,
              (long long)high);
}

static void
fresh (struct options *o, const char *name, struct text *lines)
{
  o->fresh = true;
  o->fresh_by = name;
  if (name &&
      (!name[0] || strlen (name) >= CONFIG_WORD || strpbrk (name, "\n\r")))
    text_add (lines, "--fresh=%.80s: wanted a name of 1 to %d characters\n",
              name, CONFIG_WORD - 1);
}

void
sweep_option (struct options *o, int letter, const char *value,
              struct text *lines)
{
  switch (letter) {
  case OPT_FRESH:
    fresh (o, value, lines);
    break;
  case OPT_MISSING:
    o->missing = true;
    break;
  case OPT_DRY_RUN:
    o->dry_run = true;
    break;
  case OPT_SCRIPT:
    o->script = value;
    break;
  case OPT_PACK:
    number ("pack", value, 1 << 16, &o->pack, lines);
    break;
  case OPT_AT_ONCE:
    number ("at-once", value, 1 << 20, &o->at_once, lines);
    break;
  default:
    CHECK (false, "option %d has no meaning", letter);
  }
}

void
sweep_options_check (struct options *o, struct text *lines)
{
  char near[CONFIG_WORD] = "";
  if (!o->path) {
    text_add (lines, "sweep wants a sweep file\n");
    return;
  }
  if (!o->kind)
    o->kind = "list";
  int which = words_find (SWEEP_WORDS, o->kind, near);
  bool run = strcmp (o->kind, "run") == 0;
  bool dir = strcmp (o->kind, "dir") == 0;
  int wanted = (run && !o->missing) || dir;
  if (which < 0)
    text_add (lines, "sweep %s: wanted one of " SWEEP_WORDS "%s%s%s\n", o->kind,
              near[0] ? "; did you mean " : "", near, near[0] ? "?" : "");
  else if (o->n_inputs < wanted)
    text_add (lines, "sweep %s wants a run: its number or its id%s\n", o->kind,
              run ? ", or --missing" : "");
  else if (o->n_inputs > wanted)
    text_add (lines, "%s: too many words for sweep %s\n", o->inputs[wanted],
              o->kind);
  if (which >= 0 && o->n_words > 0 && !run)
    text_add (lines, "%s: section.key=value is for sweep run\n", o->words[0]);
  if (which >= 0 && o->fresh && (!run || o->missing))
    text_add (lines, "--fresh is for one run: sweep run I --fresh\n");
  if (which >= 0 && o->n_rest > 0 && strcmp (o->kind, "submit") != 0)
    text_add (lines,
              "-- %s: words behind -- are for sbatch, that is for "
              "sweep submit\n",
              o->rest[0]);
}
