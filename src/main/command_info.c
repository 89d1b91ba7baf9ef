/* main/command_info.c -- the command `info`. */
#include "main/main.h"

#include "data/data.h"
#include "store/checkpoint.h"
#include "store/h5.h"
#include "store/run.h"
#include "wire/wire.h"
#include <limits.h>
#include <string.h>

struct options {
  struct given given;
  bool check;
};

/* clang-format off */
static const struct flag flags[] = {
  { "check", 0, NULL, "read every byte and compare digests",
    INTO_BOOL (check) },
  { 0 }
};
/* clang-format on */

/* What happened in a run directory, and its newest whole checkpoint. */
static enum status
print_run (const char *dir, bool check, struct text *out)
{
  struct text path;
  text_init (&path);
  enum status told = store_run_print (dir, out);
  if (told == E_MISSING)
    fail_clear (); /* checkpoints alone are worth showing */
  enum status s = told == OK || told == E_MISSING
                      ? store_checkpoint_newest (dir, &path)
                      : told;
  if (s == OK && path.size > 0) {
    text_add (out, "%snewest whole checkpoint:\n", told == OK ? "\n" : "");
    s = store_checkpoint_print (path.data, check, out);
  } else if (s == OK && told == OK)
    text_add (out, "\nno whole checkpoint\n");
  else if (s == OK)
    s = fail (E_MISSING,
              "%s: neither checkpoints nor events: not a run directory", dir);
  text_clear (&path);
  return s;
}

static enum status
print_path (const char *path, bool check, struct text *out)
{
  char kind[16];
  if (file_is_directory (path))
    return print_run (path, check, out);
  TRY (store_file_kind (path, kind));
  if (strcmp (kind, "dataset") == 0)
    return data_print (path, check, out);
  if (strcmp (kind, "checkpoint") == 0)
    return store_checkpoint_print (path, check, out);
  return fail (E_DATA, "%s: neither a data set nor a checkpoint", path);
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct text out;
  text_init (&out);
  enum status s = print_path (o->given.names[0], o->check, &out);
  if (s == OK)
    file_print (&out);
  text_clear (&out);
  return wire_agree (w, s);
}

const struct command command_info = {
    .name = "info",
    .usage = "info PATH [options]",
    .summary = "what is in a data set, a checkpoint or a run directory",
    .detail =
        "Prints the header of a data set or checkpoint; for a run directory "
        "its history (starts, resumes with their receipts, stops, steps lost, "
        "time) and its newest checkpoint.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_STDOUT,
    .least = 1,
    .most = 1,
    .wants = "a file or a run directory",
    .names_first = INT_MAX,
    .work = work,
};
