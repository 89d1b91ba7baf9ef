/* main/command_compare.c -- the command `compare`. */
#include "main/main.h"

#include "report/report.h"
#include "wire/wire.h"
#include <limits.h>

struct options {
  struct given given;
};

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  const char *const *run = o->given.names;
  struct text out;
  bool differ = false;
  text_init (&out);
  enum status s = report_compare (run[0], run[1], &differ, &out);
  if (out.size)
    file_print (&out);
  text_clear (&out);
  s = wire_agree (w, s);
  return s == OK && differ ? E_DIFFER : s;
}

/* Leaves with E_DIFFER, without a message, when they do. */
const struct command command_compare = {
    .name = "compare",
    .usage = "compare RUN RUN [options]",
    .summary =
        "two runs: where they first differ, and what differs between them",
    .detail =
        "Tells after which step and in which stage two run directories first "
        "differ (by the digests of weights in metrics.csv, see run.digests, by "
        "losses, and by checkpoints), and what is not the same about them: "
        "settings, data, program, libraries, processors, ranks. Leaves with 0 "
        "where they are equal as far as both have recorded, with 1 where they "
        "differ.",
    .size = sizeof (struct options),
    .needs = NEEDS_STDOUT,
    .least = 2,
    .most = 2,
    .wants = "two run directories",
    .names_first = INT_MAX,
    .work = work,
};
