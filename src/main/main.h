/* main/main.h -- the program: words of the command line, configuration,
 * commands.
 *
 * One table of keys (keys.c) drives parsing, checking, nearest names, writing
 * of the resolved configuration and the help; one table of commands and one of
 * options (options.c) drive the command line.  Nothing here computes.
 */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include "base/status.h"
#include "base/text.h"
#include "map/map.h"
#include "run/run.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- keys (keys.c) --------------------------------------------------------- */

enum key_kind {
  KEY_INTEGER,
  KEY_REAL,
  KEY_CHOICE,
  KEY_TEXT,
  KEY_LIST,
  KEY_BOOL
};

/* What the field of struct run_config at `offset` is. */
enum key_field {
  FIELD_TEXT,  /* char[size] */
  FIELD_INT64, /* int64_t */
  FIELD_REAL,  /* double */
  FIELD_BOOL,  /* bool; a choice: its second word is true */
  FIELD_ENUM,  /* int-sized enum in the order of the choices */
  FIELD_PAIR   /* two doubles, "0.9,0.999" */
};

struct key {
  const char *section, *name;
  enum key_kind kind;
  enum key_field field;
  size_t offset, size;
  double low, high;  /* numbers: allowed range, ends included ... */
  bool open;         /* ... but `low` itself is not */
  const char *words; /* choices, separated by blanks */
  bool or_number;    /* a choice that also takes an integer, 1 or more */
  const char *later; /* those of the choices that this version does not have */
  const char *of;    /* the family it is for; NULL: both */
  const char *value; /* default, as text; NULL: none, or made later */
  const char *shown; /* default as the manual says it; NULL: value */
  const char *meaning;
};

extern const struct key key_table[];
extern const size_t key_count;

/* NULL when there is none. */
const struct key *
key_find (const char *section, const char *name);
bool
key_section_known (const char *section);
/* Whether it has any effect with the family of c. */
bool
key_applies (const struct key *k, const struct run_config *c);
/* "integer", "choice", ... */
const char *
key_kind_name (enum key_kind kind);
/* "an integer, 1 or more"; "sgd or adamw". */
void
key_wanted (const struct key *k, struct text *out);
/* Puts value into c; false when it is not one of the key's values, and then c
 * is as before. */
bool
key_set (const struct key *k, const char *value, struct run_config *c);
/* The value in c, as it is written in a file. */
void
key_get (const struct key *k, const struct run_config *c, struct text *out);
/* The likely key or section behind a slip; "" or "; did you mean X?". */
void
key_suggest (const char *section, const char *name, struct text *out);
void
key_suggest_section (const char *section, struct text *out);
/* The entry of blank-separated `words` that equals or (near) resembles word:
 * its number, or -1; near (may be NULL) gets the resembling entry or "". */
int
words_find (const char *words, const char *word, char near[RUN_WORD]);

/* -- configuration (config.c) ---------------------------------------------- */

struct complaints {
  struct text lines; /* one per line */
  int n;
};

/* What a configuration is for: training needs a data file, a plan does not. */
enum config_use { CONFIG_TRAIN, CONFIG_EVAL, CONFIG_PLAN };

struct config_source {
  const char *name;             /* of the file, for messages */
  const char *text;             /* its contents; NULL: no file */
  const char *base, *base_text; /* another one below it; NULL: none */
  const char *also; /* a section of the file that is not ours; NULL: none */
  int n_words;
  const char *const *words; /* section.key=value */
};

/* Defaults, then the base, then the file, then the words; then everything that
 * can be found wrong without data, run_config_check's list included.  Returns
 * OK, or E_CONFIG with all complaints kept as one message, a line each.  Local.
 */
enum status
config_resolve (const struct config_source *source, enum config_use use,
                struct run_config *out);
/* The same as complaints, and what came of it so far. */
void
config_collect (const struct config_source *source, enum config_use use,
                struct run_config *out, struct complaints *said);
/* All complaints about `name` as the kept message; OK when there are none. */
enum status
config_refuse (const char *name, struct complaints *said);
/* The same as config_collect without run_config_check. */
void
config_parse (const struct config_source *source, struct run_config *out,
              struct complaints *said);
/* What the command line says beside keys.  Local. */
struct options;
void
config_options (const struct options *o, struct run_config *c);
/* The resolved configuration as INI text; a run_config_writer. */
void
config_write (const struct run_config *c, struct text *out);
/* A value of c as a file has it; of a strategy's reach the number of stages.
 * value NULL: c's own, else what this text comes to in c. */
void
config_get (const struct run_config *c, const struct key *k, const char *value,
            struct text *out);
/* All keys that are not at their defaults, but run.dir: what tells one run from
 * another, however it was written. */
void
config_canonical (const struct run_config *c, struct text *out);
/* Is this a word of the kind section.key=value (or key=value)? */
bool
config_is_word (const char *argument);

/* -- INI text (ini.c), the door of libinih --------------------------------- */

/* Called for each key of a known section. */
struct ini_sink {
  const char *also; /* a section that is known besides; NULL: none */
  void (*key) (void *context, int line, const char *section, const char *name,
               const char *value);
  void (*bad) (void *context, int line, const char *what);
  void *context;
};
/* Gives every key, with its line, and every line that is none. */
void
ini_read (const char *text, const struct ini_sink *sink);

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
  char made[5][RUN_PATH + 16]; /* words made of options */
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
              struct run_config *c);
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
map_make (const struct options *o, const struct run_config *c,
          const struct run_plan_options *p);
/* Collective on world. */
enum status
map_calibrate (const struct options *o, const struct run_config *c,
               struct wire *w);
/* As an INI text; from a file.  E_CONFIG names file and line.  Local. */
void
costs_write (const struct run_costs *c, struct text *out);
enum status
costs_read (const char *path, struct run_costs *out);

#endif
