/* main/command_train.c -- the command `train`. */
#include "main/main.h"

#include "train/train.h"

struct options {
  struct given given;
  struct start start;
};

/* clang-format off */
static const struct flag flags[] = {
  FRESH (""),
  { "dump", 0, "STEP,STAGE,WHAT",
    "write a tensor of one step and stage to the run directory",
    INTO_TEXT (start.dump) },
  THREADS,
  { 0 }
};
/* clang-format on */

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct config c;
  TRY (configure_file (o->given.names[0], &o->given, &o->start, CONFIG_TRAIN, w,
                       &c));
  return train_run (w, &c);
}

const struct command command_train = {
    .name = "train",
    .usage = "train [CONFIG.ini] [section.key=value ...] [options]",
    .summary = "train a network",
    .detail =
        "Trains what the configuration says, and leaves a run directory with "
        "the resolved configuration, the record and checkpoints. One rank or "
        "many: ranks = replicas x pipe ranks, and the result does not depend "
        "on how the stages are folded onto the pipe ranks.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_RANKS | NEEDS_STOP,
    .most = 1,
    .keys = true,
    .work = work,
};
