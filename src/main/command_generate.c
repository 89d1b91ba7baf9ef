/* main/command_generate.c -- the command `generate`. */
#include "main/main.h"

#include "base/memory.h"
#include "run/run.h"

struct options {
  struct given given;
  struct run_generate ask;
  struct start start;
};

static const struct options defaults = {.ask = {.prompt = "\n",
                                                .tokens = 200,
                                                .temperature = 1,
                                                .seed = 1,
                                                .head = -1}};

/* clang-format off */
static const struct flag flags[] = {
  { "prompt", 0, "TEXT", "text to begin with; default: an empty line",
    INTO_TEXT (ask.prompt) },
  { "tokens", 0, "N", "tokens to add; default 200",
    INTO_INT64 (ask.tokens, 0, 1 << 30) },
  { "temperature", 0, "X",
    "1 (default): as the network says; lower: likelier; 0: the likeliest",
    INTO_REAL (ask.temperature, 0, 1000, 1),
    .wanted = "a number from 0 to 1000" },
  { "top-k", 0, "N",
    "draw from the N likeliest tokens only; default 0: from all",
    INTO_INT64 (ask.top_k, 0, 1 << 30) },
  { "seed", 0, "N", "the same seed draws the same text; default 1",
    INTO_INT64 (ask.seed, 0, INT64_MAX) },
  { "head", 0, "H", "ask head H, behind stage H; default: the last",
    INTO_INT (ask.head, 0, 63) },
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
    s = run_generate (w, &c, path, &o->ask);
  mem_free (&path);
  return s;
}

const struct command command_generate = {
    .name = "generate",
    .usage = "generate CHECKPOINT [section.key=value ...] [options]",
    .summary = "sample text from a language model",
    .detail =
        "Writes the prompt and what the network goes on with. CHECKPOINT may "
        "be a run directory, whose newest checkpoint is meant. The "
        "configuration comes from the checkpoint, the tokenizer from its data "
        "set file; later words win. With --head only the stages up to that "
        "head are run.",
    .flags = flags,
    .size = sizeof (struct options),
    .defaults = &defaults,
    .needs = NEEDS_RANKS | NEEDS_STDOUT,
    .least = 1,
    .most = 1,
    .wants = "a checkpoint or a run directory",
    .work = work,
};
