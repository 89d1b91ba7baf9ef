/* main/main.h -- the program: options, commands, and what commands share.
 *
 * A command is one file, command_NAME.c, and one row of COMMANDS.  Nothing here
 * computes.
 */
#ifndef MAIN_MAIN_H
#define MAIN_MAIN_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;
struct design_costs;
struct design_plan_spec;
struct wire;

/* -- options (options.c) --------------------------------------------------- */

/* What a field is; values that are no text are from low to high. */
enum flag_kind {
  FLAG_YES,   /* bool; the option takes no value */
  FLAG_TEXT,  /* const char *; one of words, where there are any */
  FLAG_INT,   /* int */
  FLAG_INT64, /* int64_t */
  FLAG_REAL,  /* double; the value is in units */
  FLAG_ABOVE, /* the same, but low is not among the values */
  FLAG_OTHER  /* a function puts the value there */
};

/* An option of a command.  A table of them ends with a row without a name. */
struct flag {
  const char *name;
  char letter;          /* short form; 0: none */
  const char *argument; /* NULL: takes none; "[=NAME]": may have one */
  const char *meaning;
  enum flag_kind kind;
  size_t offset; /* of its field in the struct options of the command */
  int64_t low, high;
  double unit;
  const char *words;  /* separated by blanks; NULL: any text */
  const char *wanted; /* for the complaint; integers need none */
  bool (*take) (void *field, const char *value); /* false: not wanted */
};

/* The end of a row: into which field its value goes. */
#define AT(field) .offset = offsetof (struct options, field)
#define INTO_BOOL(field) .kind = FLAG_YES, AT (field)
#define INTO_TEXT(field) .kind = FLAG_TEXT, AT (field)
#define INTO_SPLIT(field)                         \
  INTO_TEXT (field), .words = "train valid test", \
                     .wanted = "train, valid or test"
#define INTO_INT(field, from, to) \
  .kind = FLAG_INT, AT (field), .low = from, .high = to
#define INTO_INT64(field, from, to) \
  .kind = FLAG_INT64, AT (field), .low = from, .high = to
#define INTO_REAL(field, from, to, in) \
  .kind = FLAG_REAL, AT (field), .low = from, .high = to, .unit = in
#define INTO_ABOVE(field, from, to, in) \
  .kind = FLAG_ABOVE, AT (field), .low = from, .high = to, .unit = in
#define INTO_BYTES(field) \
  INTO_ABOVE (field, 0, INT64_MAX, 1e9), .wanted = "gigabytes, more than 0"
#define BY(function, field) .kind = FLAG_OTHER, AT (field), .take = function

/* Option number i of a command, those that all have included; NULL: there are
 * no more. */
const struct flag *
flag_at (const struct flag *own, int i);

/* Take all options out of argv, which is reordered: what is behind the number
 * that is returned is none.  into: the struct options of the command, which
 * begins with a struct given. */
int
options_parse (const char *whose, const struct flag *own, int argc, char **argv,
               void *into, struct text *wrong);

/* -- commands (command.c) -------------------------------------------------- */

/* What a command needs, bits. */
enum {
  NEEDS_RANKS = 1, /* all ranks of its launcher, by MPI */
  NEEDS_STOP = 2,  /* signals and the machine's clock may stop it */
  NEEDS_STDOUT = 4 /* its work is what it writes there, unless -o is given */
};

/* What is on a command line beside options of its own.  Every struct options
 * begins with one. */
struct given {
  bool help, version, completion; /* the last: what shells ask */
  const char *where;              /* which folder is asked for; NULL: none */
  unsigned needs;
  const char *output; /* -o; NULL: not given */
  int n_names, n_words, n_rest;
  const char **names; /* owned array of borrowed texts, the last of them NULL:
                         files, runs, kinds */
  const char **words; /* likewise: key=value */
  const char *const *rest; /* behind "--"; borrowed */
};

struct command {
  const char *name;
  const char *usage;        /* behind "interlock " */
  const char *summary;      /* one line */
  const char *detail;       /* a paragraph */
  const struct flag *flags; /* its own; NULL: none */
  size_t size;              /* of its struct options */
  const void *defaults;     /* `size` bytes; NULL: zero */
  unsigned needs;           /* unless check says otherwise */
  int least, most;          /* names it takes; most 0: any number */
  const char *wants;        /* what these are, where one has to be given */
  int names_first;          /* so many words are names, whatever their look */
  bool rest;                /* takes words behind "--" */
  bool keys;                /* its help lists the keys of a configuration */
  void (*kinds) (struct text *help); /* ... and these; NULL: none */
  const char *then; /* words of which one may follow the first name; or NULL */
  /* What names, words and options come to together; NULL: nothing more. */
  void (*check) (void *options, struct text *wrong);
  /* Speaks through a fence before it returns.  Collective on world. */
  enum status (*work) (const void *options, struct wire *w);
};

/* The table of commands, in the order of the help: command_NAME of
 * command_NAME.c. */
#define COMMANDS(X) \
  X (train)         \
  X (eval)          \
  X (generate)      \
  X (plan)          \
  X (verify)        \
  X (compare)       \
  X (export)        \
  X (import)        \
  X (info)          \
  X (probe)         \
  X (sweep)         \
  X (report)
#define X(name) extern const struct command command_##name;
COMMANDS (X)
#undef X
extern const struct command *const command_table[];
extern const int command_count;

/* Everything from argv, which is reordered and borrowed: the command (NULL:
 * none named) and its struct options.  E_USAGE with a line for each thing that
 * is wrong; *options is to be freed in any case. */
enum status
command_parse (int argc, char **argv, const struct command **command,
               struct given **options);
void
command_free (struct given **options);

/* -- help (help.c) --------------------------------------------------------- */

void
help_program (struct text *out);
void
help_command (const struct command *c, struct text *out);

/* -- its own files (where.c) ----------------------------------------------- */

#define WHERE "jobs datasets doc"
/* Adds the folder that is called so.  E_USAGE, E_MISSING. */
enum status
where_is (const char *name, struct text *out);

/* -- completion (completion.c) --------------------------------------------- */

void
completion_add (struct text *out);

/* -- configurations of commands (configure.c) ------------------------------ */

/* What options say of a run beside the keys of its configuration. */
struct start {
  int threads; /* 0: not given */
  bool fresh;
  const char *fresh_by; /* --fresh=NAME; NULL: not named */
  const char *dump;     /* NULL: not given */
};
/* Rows of commands whose struct options has a `start`. */
#define THREADS                                                           \
  {                                                                       \
    "threads", 0, "N",                                                    \
        "threads of each rank; default: OMP_NUM_THREADS, else the cores " \
        "there are",                                                      \
        INTO_INT (start.threads, 1, 4096)                                 \
  }
/* of: which run is meant, or "". */
#define FRESH(of)                                                             \
  {                                                                           \
    "fresh", 0, "[=NAME]",                                                    \
        of "begin anew: what an earlier run has left in the run directory "   \
           "is moved to old-1, old-2, ... in it, once the new one is "        \
           "accepted. A job that Slurm has started again goes on where it "   \
           "has done so before; with =NAME (for scripts that try again) "     \
           "whoever comes under that name does",                              \
        BY (configure_fresh, start), .wanted = "a name of 1 to 63 characters" \
  }
bool
configure_fresh (void *start, const char *name);
/* Puts *s into c; E_USAGE when a text is too long for it.  Local. */
enum status
configure_start (const struct start *s, struct config *c);
/* From a file (path NULL: none) and the words that were given.  Collective on
 * world. */
enum status
configure_file (const char *path, const struct given *g, const struct start *s,
                enum config_use use, struct wire *w, struct config *c);
/* From a checkpoint, or the newest of a run directory, and words; *path is that
 * of the file, owned by the caller.  Collective on world. */
enum status
configure_checkpoint (const char *name, const struct given *g,
                      const struct start *s, struct wire *w, char **path,
                      struct config *c);

/* The newest checkpoint where path is a run directory, else path.  E_MISSING.
 * Local. */
enum status
configure_find (const char *path, struct text *out);

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

/* -- maps (map.c) and their costs (costs_file.c) --------------------------- */

/* Prints a map over these axes, and writes it to csv and svg where they are not
 * NULL.  micro_given: no number of micro-batches may be left out.  Local. */
enum status
map_make (const struct map *axes, bool micro_given, const struct config *c,
          const struct design_plan_spec *p, const char *csv, const char *svg);
/* Measures for the numbers of micro-batches of axes, and writes the file path.
 * Collective on world. */
enum status
map_calibrate (const struct map *axes, const char *path, const struct config *c,
               struct wire *w);
/* As an INI text; from a file.  E_CONFIG names file and line.  Local. */
void
costs_write (const struct design_costs *c, struct text *out);
enum status
costs_read (const char *path, struct design_costs *out);

#endif
