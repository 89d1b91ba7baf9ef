/* report/report.h -- one or many runs side by side: tables and pictures.
 *
 * Reads run directories, also of runs that are under way, were killed or were
 * written by an earlier version: what is not there is said to be "not
 * recorded".  Everything is Local, and changes nothing in a run directory.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include <stdbool.h>

enum report_form {
  REPORT_HTML,  /* a page by itself: SVG inside, no script, nothing fetched */
  REPORT_TEXT,  /* for a terminal */
  REPORT_CSV,   /* one table */
  REPORT_LATEX, /* one table, for the package booktabs */
  REPORT_MARKDOWN, /* one table, and what has to be known of it */
  REPORT_JSON,     /* all tables, for programs */
  REPORT_SVG, /* a picture: the output over time, a panel for each data set;
              of runs that have finished, where some have */
};

#define REPORT_ON 4 /* numbers of ranks for which times are predicted */

/* Seconds of a step, in each phase of a run: from step first[i] on. */
struct report_pace {
  int n;
  double first[CONFIG_PHASES], step_s[CONFIG_PHASES];
};

struct report_spec {
  int n_paths;
  const char *const *paths; /* run directories, or folders of them */
  enum report_form form;
  const char *table; /* of report_tables; NULL: the first */
  const char *split; /* NULL: valid, or what there is */
  double accuracy;   /* 0..1, to which the time is asked; 0: chosen */
  double loss;       /* the same of language models, as report_make tells it */
  bool unlike;       /* compare what differs in more than its subject */
  int n_on, on[REPORT_ON]; /* ranks for which times are predicted, ... */
  /* ... by this: the pace of the run in dirs[which]; what others of the n have
   * measured may help.  NULL where n_on is 0. */
  enum status (*predict) (int n, const char *const *dirs, int which, int ranks,
                          struct report_pace *out);
};
/* Names of the tables, separated by blanks. */
const char *
report_tables (void);
/* The whole report, added to out.  E_MISSING when no path is a run; E_CONFIG,
 * naming the settings, when the runs are unlike and this was not asked for, or
 * when an accuracy was asked of language models, or a loss of others.
 *
 * The output of language models is compared by its loss: in bits per byte where
 * all runs have that, else in nats per token; of others by its accuracy. */
enum status
report_make (const struct report_spec *spec, struct text *out);

/* Two runs: after which step and in which stage they first differ, by what they
 * have recorded, and what is not the same about them; added to out.  *differ:
 * there is a difference.  E_MISSING: one is no run, or there is no step that
 * both have recorded. */
enum status
report_compare (const char *a, const char *b, bool *differ, struct text *out);

/* Tables as one picture of their own, SVG for light paper, one below the
 * other: cells coloured by their value, blue below 0, orange above. */
struct report_words {
  char words[24];
};
struct report_cell {
  double value;              /* NAN: grey, or empty without words */
  char words[24], below[24]; /* two lines; "" for none */
  bool marked;               /* a frame */
};
struct report_grid {
  char title[64], rows[24], columns[24]; /* names of the axes */
  int n_rows, n_columns;
  struct report_words *row, *column;
  struct report_cell *cell; /* n_rows x n_columns */
};
/* about: lines in front of the tables. */
void
report_grids (const char *title, const char *about, int n,
              const struct report_grid *grids, struct text *out);

#endif
