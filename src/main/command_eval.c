/* main/command_eval.c -- the command `eval`. */
#include "main/main.h"

#include "base/memory.h"
#include "run/run.h"

struct options {
  struct given given;
  const char *split;
  struct start start;
};

static const struct options defaults = {.split = "valid"};

/* clang-format off */
static const struct flag flags[] = {
  { "split", 0, "NAME", "which split: train, valid or test; default: valid",
    INTO_SPLIT (split) },
  THREADS,
  { 0 }
};
/* clang-format on */

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  char *path = NULL;
  struct config c;
  enum status s = configure_checkpoint (o->given.names[0], &o->given, &o->start,
                                        w, &path, &c);
  if (s == OK)
    s = run_eval (w, &c, path, o->split);
  mem_free (&path);
  return s;
}

const struct command command_eval = {
    .name = "eval",
    .usage = "eval CHECKPOINT [section.key=value ...] [options]",
    .summary = "metrics of every head of a checkpoint on a split",
    .detail =
        "The configuration comes from the checkpoint (or the newest checkpoint "
        "of a run directory); later words win.",
    .flags = flags,
    .size = sizeof (struct options),
    .defaults = &defaults,
    .needs = NEEDS_RANKS | NEEDS_STDOUT,
    .least = 1,
    .most = 1,
    .wants = "a checkpoint or a run directory",
    .work = work,
};
