/* main/main.h -- the program: words of the command line, commands.
 *
 * One table of commands and one of options (options.c) drive the command line.
 * Nothing here computes.
 */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "map/map.h"
#include "run/run.h"
#include "train/train.h"
#include "verify/verify.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- command line (options.c) ---------------------------------------------- */

enum { /* bits */
       CMD_TRAIN = 1,
       CMD_EVAL = 2,
       CMD_PLAN = 4,
       CMD_VERIFY = 8,
       CMD_IMPORT = 16,
       CMD_INFO = 32,
       CMD_LATER = 64, /* named, not in this version */
       CMD_SWEEP = 128,
       CMD_GENERATE = 256,
       CMD_REPORT = 512,
       CMD_PROBE = 1024,
       CMD_COMPARE = 2048,
       CMD_ALL = 4095
};

/* Options of a map and a calibration (map_options.c): their letters. */
enum {
  OPT_MAP = 1024,
  OPT_STAGES,
  OPT_MICRO,
  OPT_SPANS,
  OPT_AHEAD,
  OPT_LATENCY,
  OPT_BANDWIDTH,
  OPT_COSTS,
  OPT_CALIBRATE,
  OPT_CSV_FILE,
  OPT_SVG
};

/* Those of runs and sets of runs (sweep_options.c). */
enum {
  OPT_FRESH = 2048,
  OPT_MISSING,
  OPT_DRY_RUN,
  OPT_SCRIPT,
  OPT_PACK,
  OPT_AT_ONCE
};

struct options;
struct command {
  const char *name;
  unsigned bit;
  bool mpi;
  const char *usage;   /* behind "interlock " */
  const char *summary; /* one line */
  const char *detail;  /* a paragraph */
  enum status (*work) (const struct options *o, struct wire *w);
};
extern const struct command command_table[];
extern const size_t command_count;

struct flag {
  const char *name;
  int letter;           /* short form, or a number above 255 */
  const char *argument; /* NULL: takes none; "[=NAME]": may have one */
  unsigned commands;    /* bits */
  const char *meaning;
};
extern const struct flag flag_table[];
extern const size_t flag_count;

struct options {
  const struct command *command; /* NULL: none named */
  bool help, version;
  const char *path; /* configuration, checkpoint, file; NULL: none */
  const char *kind; /* import: what; verify: which check; sweep: what to do;
                       else NULL */
  int n_inputs, n_words;
  const char **inputs; /* owned array of borrowed texts */
  const char **words;  /* likewise: key=value */
  int n_rest;
  const char *const *rest; /* behind "--", sweep only; borrowed */
  const char *output, *split, *dump, *script;
  int threads, ranks, columns, pack, at_once;
  const char *table; /* report */
  double accuracy;   /* report: 0..1; 0: not given */
  double loss;       /* report; 0: not given */
  bool unit, measure, list, check, csv, missing, dry_run, fresh;
  const char *fresh_by; /* --fresh=NAME; NULL: not named */
  struct run_generate generate;
  char made[5][CONFIG_PATH + 16]; /* words made of options */
  int n_made;
  bool text, latex, unlike;
  struct {
    bool maps, wide;
    int samples, classes, rows, cols, block;
    double memory_bytes;
  } probe;
  struct {
    bool wanted, micro_given;
    struct map axes;               /* cells: none */
    double latency_s, bytes_per_s; /* -1, 0: not given */
    double ahead;                  /* 0.1: 10 %; -1: not given */
    const char *costs, *calibrate, *csv, *svg;
  } map;
};

/* One of the options of runs; complaints are added to lines.  Local. */
void
sweep_option (struct options *o, int letter, const char *value,
              struct text *lines);
/* What `sweep` is to do, and whether it has what that takes.  Local. */
void
sweep_options_check (struct options *o, struct text *lines);
/* One of the options of a map; complaints are added to lines.  Local. */
void
map_option (struct options *o, int letter, const char *value,
            struct text *lines);
/* What they come to together, with defaults for axes.  Local. */
void
map_options_check (struct options *o, struct text *lines);

/* Everything from argv, which is reordered and borrowed.  E_USAGE with a line
 * for each thing that is wrong; *o can be cleared in any case. */
enum status
options_parse (int argc, char **argv, struct options *o);
void
options_clear (struct options *o);
/* What they say of a configuration beside keys.  Local. */
void
options_config (const struct options *o, struct config *c);

/* -- help (help.c) --------------------------------------------------------- */

void
help_program (struct text *out);
void
help_command (const struct command *c, struct text *out);

/* -- files of words (file.c) ----------------------------------------------- */

/* A text file that may be a configuration; owned by the caller.  Local. */
enum status
file_read (const char *path, char **out);
/* The same, read by the root rank alone, on all ranks.  A fence.  Collective on
 * world. */
enum status
file_share (struct wire *w, const char *path, char **out);
/* Root's verdict and message on all ranks; then a fence, so that the message is
 * printed once and without a rank.  Collective on world. */
enum status
file_verdict (struct wire *w, enum status s);
bool
file_is_directory (const char *path);
/* A text to stdout, with a newline at the end, whoever made it. */
void
file_print (const struct text *out);

/* -- commands (commands.c; report.c; sweep.c) ------------------------------ */

/* Path and configuration of the checkpoint that o names; *path is owned by the
 * caller.  Collective on world. */
enum status
configure_as (const struct options *o, struct wire *w, char **path,
              struct config *c);
/* Each speaks through a fence before it returns.  Collective on world. */
enum status
command_train (const struct options *o, struct wire *w);
enum status
command_eval (const struct options *o, struct wire *w);
enum status
command_generate (const struct options *o, struct wire *w);
enum status
command_plan (const struct options *o, struct wire *w);
enum status
command_verify (const struct options *o, struct wire *w);
enum status
command_import (const struct options *o, struct wire *w);
enum status
command_info (const struct options *o, struct wire *w);
enum status
command_probe (const struct options *o, struct wire *w);
enum status
command_sweep (const struct options *o, struct wire *w);
enum status
command_report (const struct options *o, struct wire *w);
/* E_DIFFER, without a message, when they do. */
enum status
command_compare (const struct options *o, struct wire *w);
/* Does it need MPI this time? */
bool
command_sweep_trains (const struct options *o);

/* -- maps (map.c) and their costs (costs_file.c) --------------------------- */

/* Local. */
enum status
map_make (const struct options *o, const struct config *c,
          const struct run_plan_options *p);
/* Collective on world. */
enum status
map_calibrate (const struct options *o, const struct config *c, struct wire *w);
/* As an INI text; from a file.  E_CONFIG names file and line.  Local. */
void
costs_write (const struct run_costs *c, struct text *out);
enum status
costs_read (const char *path, struct run_costs *out);

#endif
