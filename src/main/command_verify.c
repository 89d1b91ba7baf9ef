/* main/command_verify.c -- the command `verify`. */
#include "main/main.h"

#include "verify/verify.h"
#include "wire/wire.h"
#include <string.h>

struct options {
  struct given given;
  bool resume;
  const char *check, *path; /* one of them; NULL: all checks */
};

/* clang-format off */
static const struct flag flags[] = {
  { "resume", 0, NULL,
    "the check of stopping and going on alone; as verify resume",
    INTO_BOOL (resume) },
  { 0 }
};
/* clang-format on */

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  o->check = o->resume ? "resume" : NULL;
  for (int i = 0; i < o->given.n_names; i++) {
    const char *name = o->given.names[i];
    if (o->check || o->path)
      text_add (wrong, "%s: verify takes one check or configuration\n", name);
    else if (strpbrk (name, "./")) /* no check has one in its name */
      o->path = name;
    else
      o->check = name;
  }
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  const struct start start = {0};
  struct config c;
  if (!o->path && o->given.n_words == 0)
    return verify_run (w, o->check ? o->check : "");
  if (o->check)
    return wire_agree (w, fail (E_USAGE,
                                "verify %s has a configuration of its own; "
                                "verify CONFIG.ini takes words",
                                o->check));
  TRY (configure_file (o->path, &o->given, &start, CONFIG_TRAIN, w, &c));
  return verify_kernels (w, &c);
}

const struct command command_verify = {
    .name = "verify",
    .usage = "verify [CHECK] | verify CONFIG.ini [section.key=value ...]",
    .summary = "self-check on this machine",
    .detail =
        "Runs small checks (gradients, equal bits for every folding, ...) and "
        "leaves with 0 or at the first difference. With a configuration: "
        "compares every kernel that its network may use with plain arithmetic.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_RANKS | NEEDS_STDOUT,
    .check = check,
    .work = work,
};
