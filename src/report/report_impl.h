/* report/report_impl.h -- the inside of a report: runs, groups of runs that
 * differ in their seed alone, tables, pictures.
 *
 * Missing numbers are NAN everywhere.  Memory lives in a pool until the report
 * is made.
 */
#ifndef REPORT_REPORT_IMPL_H
#define REPORT_REPORT_IMPL_H

#include "base/memory.h"
#include "config/config.h"
#include "report/report.h"
#include "data/data.h"
#include "store/metrics.h"
#include "store/run.h"
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_SHOWN 12 /* groups that a picture tells apart */
#define REPORT_HEADS 64

/* -- memory (pool.c) ------------------------------------------------------- */

struct pool {
  struct pool_block *last;
};
/* Zeroed; running out of memory is a CHECK, as it is for texts. */
void *
pool_take (struct pool *p, size_t n, size_t size);
char *
pool_text (struct pool *p, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));
void
pool_clear (struct pool *p);

/* -- numbers (stat.c) ------------------------------------------------------ */

struct spread {
  int n;            /* numbers that there are */
  double mean, sd;  /* sd: of the sample; NAN for one */
  double low, high; /* 95 % confidence of the mean, Student's t; NAN for one */
  double least, most;
};
struct spread
stat_of (int n, const double *v); /* NAN are left out */
/* The ends of a band around the mean: its confidence; of two numbers, which
 * would hide all else, the numbers themselves. */
void
stat_band (const struct spread *s, double *low, double *high);
/* Quantile p of Student's t with so many degrees of freedom. */
double
stat_student (double p, int freedom);

/* -- what lies in a run directory (read.c) --------------------------------- */

/* Rows of metrics.csv that tell how gradients agree; of no split of the data.
 */
enum { SPLIT_AGREEMENT = DATA_SPLITS };

struct sheet { /* a file of comma-separated numbers */
  int n_columns, n_rows;
  char **column;
  double *value;    /* n_rows x n_columns; NAN where a field is no number */
  int split, texts; /* columns; -1: none.  A split is its enum data_split,
                       SPLIT_AGREEMENT, or NAN */
  char **text;      /* n_rows: the fields of column `texts` */
};
/* Text that may end in the middle of a line: that line is left out. */
void
sheet_read (struct pool *p, const char *text, struct sheet *out);
/* The same; the column of that name holds texts. */
void
sheet_read_with (struct pool *p, const char *text, const char *texts,
                 struct sheet *out);
/* Heads that its columns name. */
int
sheet_heads (const struct sheet *s);
/* Put rows of metrics before those of a later file of the same run, up to where
 * that one begins; both have numbers alone. */
void
sheet_precede (struct pool *p, const struct sheet *was, struct sheet *is);
int
sheet_column (const struct sheet *s, const char *name); /* -1: none */
double
sheet_at (const struct sheet *s, int row, int column); /* column -1: NAN */

struct words { /* "section.key" and value of an INI text */
  int n;
  char *(*pair)[2];
};
void
words_read (struct pool *p, const char *text, struct words *out);
/* "" when it is not there. */
const char *
words_get (const struct words *w, const char *key);
double
words_number (const struct words *w, const char *key); /* NAN */

/* The operations that text tells, one in a line; *n of them. */
struct store_trace_op *
trace_read (struct pool *p, const char *text, int *n);

struct report;

/* -- a run (run.c) --------------------------------------------------------- */

struct start { /* of a run: its first, or one that went on */
  double step, ranks, threads;
  double clock_s; /* training seconds of the starts before, up to step */
  double core_s;
};

enum run_axis {
  AXIS_SAMPLES,
  AXIS_STEPS,
  AXIS_SECONDS, /* of training: without evaluation, waiting for saves, and
                   steps that were lost */
  AXIS_FLOPS,   /* executed */
  AXIS_CORES,   /* core-hours */
  AXIS_ON,      /* seconds as predicted on spec.on[0] ranks, and so on */
  AXES = AXIS_ON + REPORT_ON
};

struct phase {       /* of a strategy that changes */
  double first;      /* step that it begins with */
  const char *words; /* of its reach; "table" */
};

struct run {
  char *path, *name, *state;
  struct words config, facts;
  struct sheet metrics, summary;
  int n_starts;
  struct start *start;
  double lost; /* steps done twice */
  int K;
  const char *reach; /* strategy.span in numbers, or "all"; a table's rows;
                        a dial */
  double batch, seed, steps; /* steps: recorded so far */
  double useful, executed;   /* operations of a step */
  double cores;              /* of its last start */
  int n_phases;              /* 0: one strategy throughout */
  struct phase *phase;
  double cycle_s;
  double on_s[REPORT_ON]; /* predicted, mean of the steps so far; NAN: not
                             known */
  char *processor, *program, *libraries, *mpi; /* of its last start */
  double begun;    /* of the first start, s since 1970; NAN */
  double *x[AXES]; /* n_rows of metrics each */
  int group;
  struct probed *probed; /* NULL: nothing has been probed */
};
/* E_MISSING: not a run directory. */
enum status
run_read (struct pool *p, const char *path, struct run *out);
/* Rows of a split in which the column has a number, in order of x: *n of them
 * into x and y, which have room for all rows.  split: also SPLIT_AGREEMENT;
 * column: "head0_loss". */
void
run_points (const struct run *r, int split, const char *column,
            enum run_axis axis, int *n, double *x, double *y);
/* y at x, between the rows on both sides; NAN outside of them. */
double
run_at (struct pool *p, const struct run *r, enum data_split split,
        const char *column, enum run_axis axis, double x);
/* The first x at which y is reached from below; NAN: it is not. */
double
run_reach (struct pool *p, const struct run *r, enum data_split split,
           const char *column, enum run_axis axis, double y);
/* The same from above. */
double
run_fall (struct pool *p, const struct run *r, enum data_split split,
          const char *column, enum run_axis axis, double y);
/* The last number of a column; NAN. */
double
run_last (const struct run *r, int split, const char *column);
/* Measured seconds of a step; NAN. */
double
run_step_s (const struct run *r);
/* Where a step lies on an axis; NAN. */
double
run_place (const struct run *r, enum run_axis axis, double step);
/* Busy seconds of a cycle that the plan has for a rank; NAN. */
double
run_planned (const struct run *r, int rank);
/* "head3_accuracy" of the output; valid until the next call. */
const char *
run_output (const struct run *r, const char *what);

/* -- times that are predicted (predict.c) ---------------------------------- */

/* Fills on_s and the axes of all runs; what is not known is noted. */
void
predict_all (struct report *r);
/* What a predicted time is, in sentences. */
extern const char predict_note[];
/* "on 4 ranks" of the axis AXIS_ON + i. */
const char *
predict_words (struct report *r, int i);

/* -- groups (group.c) ------------------------------------------------------ */

struct group { /* runs that differ in their seed alone */
  char *label;
  int n, *run;
  int K;
  int style; /* number of colour and dash; -1: too many, not drawn alone */
};

struct report {
  struct pool pool;
  const struct report_spec *spec;
  int n_runs, n_groups;
  struct run *run;
  struct group *group;
  enum data_split split; /* whose measure is compared */
  const struct measure *measure;
  struct text notes;   /* a line each */
  struct text unlike;  /* what differs besides the subject, a line each */
  double target;       /* of the measure, to which the time is asked */
  double budget[AXES]; /* what all runs have reached; NAN: not recorded */
  int clip;            /* numbers given to parts of pictures */
  const char *probed;  /* kind of probe that is shown; NULL: none */
  bool bits;           /* it has bits per token */
  int n_maps;
  struct likeness *map; /* within groups, then between them */
};
/* Groups, labels, differences, budgets.  Fails only as report_make. */
enum status
group_runs (struct report *r);
/* Value of a key as groups see it: of the configuration, or "run.ranks",
 * "run.threads", "data.digest". */
const char *
group_value (const struct run *r, const char *key);
/* What tells the data set of a run from others. */
const char *
group_data (const struct run *r);
/* One number of each run of a group. */
struct spread
group_stat (const struct report *r, const struct group *g,
            double (*of) (const struct report *r, const struct run *run,
                          const void *how),
            const void *how);
/* Digits as numbers: "resnet20" before "resnet110". */
int
group_natural (const char *a, const char *b);

/* -- by what outputs and heads are compared (measure.c) -------------------- */

struct measure {
  const char *column;       /* "accuracy": head0_accuracy and on */
  const char *title, *unit; /* for people */
  const char *of_output;    /* beginning of a sentence on that of an output */
  const char *best;         /* "highest accuracy" */
  bool lower;               /* the lowest is the best */
  double scale;             /* people see it times this ... */
  int digits;               /* ... with so many decimals */
};
const struct measure *
measure_choose (const struct report *r);
/* Its column of the output; valid until the next call. */
const char *
measure_output (const struct report *r, const struct run *run);
/* The newest of the output, for group_stat; of a head. */
double
measure_last (const struct report *r, const struct run *run, const void *how);
double
measure_head (const struct report *r, const struct run *run, int head);
/* Is a better than b?  Not where one is NAN. */
bool
measure_better (const struct report *r, double a, double b);

struct mark { /* where a phase begins */
  double x, y;
  const char *words;
};
struct curve { /* mean and band of a group, and its extreme runs */
  int n;
  double *x, *mean, *low, *high, *least, *most;
  int n_marks;
  struct mark *mark;
};
/* Whether there is any mark. */
bool
curve_marked (const struct report *r);
/* Room for n points. */
void
curve_room (struct report *r, int n, struct curve *out);
/* The next one; nothing where s has no number. */
void
curve_add (struct curve *c, double x, const struct spread *s);

/* n 0 where there is nothing. */
void
group_curve (struct report *r, const struct group *g, int split,
             const char *column, enum run_axis axis, struct curve *out);

/* -- what probes have found (probe.c) -------------------------------------- */

enum finding {
  FOUND_ACCURACY,
  FOUND_BITS, /* per token */
  FOUND_EFFECTIVE,
  FOUND_PARTICIPATION,
  FOUND_FEATURES,
  FINDINGS
};
struct probed { /* of a run */
  double step, samples;
  int n;                                /* stages */
  double value[FINDINGS][REPORT_HEADS]; /* NAN: not told */
};
struct likeness {  /* linear CKA of stages; a number of each run, or pair */
  int of[2], n[2]; /* groups, and their stages */
  bool within;     /* of the stages of each run, not between runs */
  struct spread *value; /* n[0] x n[1] */
};
/* Fills run.probed, probed, bits and map from RUN/probe.  Groups are there. */
enum status
probe_collect (struct report *r);
/* For group_stat. */
struct probe_place {
  enum finding what;
  int stage;
};
double
probe_of (const struct report *r, const struct run *run, const void *how);
/* Most stages of a run of the group; 0: nothing probed. */
int
probe_stages (const struct report *r, const struct group *g);
/* What was probed, in a sentence. */
void
probe_note (const struct report *r, struct text *out);

/* -- tables (table.c, tables.c, compare.c) --------------------------------- */

enum column_kind {
  COLUMN_TEXT,
  COLUMN_NUMBER,
  COLUMN_STAT,
  COLUMN_ASIDE /* a number of CSV alone; people have it in the note.  Behind all
                  others */
};
struct column {
  const char *name, *title; /* of CSV; for people */
  enum column_kind kind;
  double scale; /* people see the number times this ... */
  int digits;   /* ... with so many decimals */
};
struct cell {
  const char *text; /* COLUMN_TEXT; else what stands where n is 0, or NULL */
  struct spread s;
};
struct table {
  const char *name, *title;
  struct text note;
  int n_columns, n_rows;
  const struct column *column;
  struct cell *cell;
};
struct filling { /* of a table, cell by cell */
  struct report *r;
  struct table *t;
  int at;
};
/* Room for n rows. */
void
table_rows (struct report *r, struct table *t, int n);
struct cell *
table_next (struct filling *f);
void
table_put_text (struct filling *f, const char *s);
void
table_put_number (struct filling *f, double v);
void
table_put_stat (struct filling *f, const struct group *g,
                double (*of) (const struct report *r, const struct run *run,
                              const void *how),
                const void *how);
/* Fill tables (compare.c, insight.c). */
void
compare_fill (struct report *r, struct table *t);
void
insight_probe (struct report *r, struct table *t);
void
insight_cka (struct report *r, struct table *t);
void
insight_agreement (struct report *r, struct table *t);
void
insight_scale (struct report *r, struct table *t);
void
results_fill (struct report *r, struct table *t);
/* The one of that name; its note must be cleared. */
void
table_make (struct report *r, const char *name, struct table *out);
/* Columns that people see; a cell as they read it. */
int
table_shown (const struct table *t);
void
table_cell (const struct column *k, const struct cell *c, struct text *out);
void
table_html (const struct table *t, struct text *out);
void
table_print (const struct table *t, struct text *out);
void
table_csv (const struct table *t, struct text *out);
/* All tables.  E_MEMORY. */
enum status
json_make (struct report *r, struct text *out);
void
table_markdown (const struct report *r, const struct table *t,
                struct text *out);
void
table_latex (const struct report *r, const struct table *t, struct text *out);
/* -- what was run (card.c) --------------------------------------------------
 */

/* Facts that all groups have alike; the others, for each group; a command for
 * each run. */
void
card_fill (struct report *r, struct table *t);
void
card_differs (struct report *r, struct table *t);
void
card_repeat (struct report *r, struct table *t);
/* For the caption of what is shown by stage: a sentence with a blank in front,
 * harmless for HTML, where stages of the same number are not the same blocks.
 */
void
card_cuts (struct report *r, struct text *out);

/* -- text made harmless (escape.c) ----------------------------------------- */

/* Text made harmless: for HTML and SVG, also in attributes; for a field of
 * CSV; for LaTeX; for a terminal.  Bytes that are not UTF-8, and control
 * characters, become a question mark. */
void
escape_html (const char *s, struct text *out);
void
escape_csv (const char *s, struct text *out);
void
escape_latex (const char *s, struct text *out);
void
escape_plain (const char *s, struct text *out);

/* -- pictures (svg.c and one file for each kind) ------------------------------
 */

/* How lines, bands and dots of groups look: in the colours of a page, which is
 * light or dark, or of a picture that stands alone and is light. */
void
svg_lines_style (bool page, struct text *out);

struct axis {
  double low, high; /* of the data; the ends of the scale once it is made */
  double step;      /* between ticks */
  double unit;      /* ticks show value / unit */
  int digits;       /* of a tick */
  char title[96];
};
/* Round ends and ticks for about `ticks` intervals; from_zero: low is 0. */
void
axis_make (struct axis *a, int ticks, bool from_zero);
/* The same and a unit for that axis of a run: title, minutes, powers of ten. */
void
axis_run (struct report *r, struct axis *a, enum run_axis what, int ticks);

/* A picture of a page up to its title, which is open; a narrow screen shrinks
 * it a little and scrolls it sideways.  Its end. */
void
svg_begin (struct text *out, double width, double height);
void
svg_end (struct text *out);

struct frame { /* a chart under way */
  struct text *out;
  bool alone; /* part of a picture that is no page */
  double width, height, left, right, top, bottom; /* px; margins */
  struct axis x, y;
  int clip;
};
double
frame_x (const struct frame *f, double v);
double
frame_y (const struct frame *f, double v);
/* <svg>, grid, ticks, titles; leaves a clipped group open for the data. */
void
frame_begin (struct report *r, struct frame *f, const char *about);
void
frame_data_end (struct frame *f);
void
frame_end (struct frame *f);
/* Width of a text in px, rather too large. */
double
svg_width (const char *s, double size);
/* Text; anchor start, middle or end.  css: class, or NULL. */
void
svg_text (struct text *out, double x, double y, const char *anchor,
          const char *css, const char *s);
/* At most so many characters of s: more of its end than of its beginning, since
 * what a name has in common with others comes first. */
const char *
svg_short (struct pool *p, const char *s, int most);
/* Names of the groups with their lines, for pictures without labels. */
void
svg_legend (struct report *r, struct text *out);

struct scale {            /* of colours */
  double low, high, unit; /* numbers are shown times the unit ... */
  int digits;             /* ... with so many decimals */
};
/* A cell of a map; box: left, top, width, height.  v NAN: empty. */
void
heat_cell (struct text *out, double v, const struct scale *s, bool number,
           const double box[4]);

enum chart_size {
  CHART_SMALL,
  CHART_HALF,
  CHART_FULL, /* with labels */
  CHART_ALONE /* the same, in a picture that stands alone */
};
#define CHART_ALONE_WIDTH 980.0
#define CHART_ALONE_HEIGHT 400.0
struct lines { /* a chart: a curve of each group, in their order */
  struct curve *curve;
  bool percent;
  enum chart_size size;
  struct axis x, y;
};
/* Lowest and highest of what is drawn into x and y. */
void
lines_reach (struct report *r, struct lines *s);
void
lines_draw (struct report *r, struct text *out, const struct lines *s,
            const char *about);
/* Several curves of one quantity in one chart.  column: of metrics.csv; "output
 * loss", "output accuracy": of the last head of each. */
bool
line_chart (struct report *r, struct text *out, int split, const char *column,
            enum run_axis axis, enum chart_size size, const char *title);

struct series { /* a metric of each head, or of each stage */
  int split;
  const char *(*name) (int k, const char *metric, char *out);
  const char *place, *metric, *title; /* place: "head", "stage" */
};
/* A small chart for each of them, side by side. */
void
series_row (struct report *r, struct text *out, const struct series *s,
            enum run_axis axis);

struct depth { /* a number of each stage, or of the head behind it */
  double (*of) (const struct report *r, const struct run *run, int stage);
  const char *title;
  bool heads, percent, from_zero;
};
/* Nothing where no group has it at two stages. */
void
depth_chart (struct report *r, struct text *out, const struct depth *what,
             enum chart_size size);

/* One picture: adds <figure>s to out, or nothing where a run has nothing to
 * show.  They are listed in page.c. */
void
picture_output (struct report *r, struct text *out);
void
picture_heads (struct report *r, struct text *out);
void
picture_depth (struct report *r, struct text *out);
void
picture_probe (struct report *r, struct text *out);
void
picture_alike (struct report *r, struct text *out);
void
picture_agreement (struct report *r, struct text *out);
void
picture_scale (struct report *r, struct text *out);
void
picture_time (struct report *r, struct text *out);
void
picture_gantt (struct report *r, struct text *out);
void
picture_sweep (struct report *r, struct text *out);

/* -- a picture that stands alone (picture.c) ------------------------------- */

/* A panel, added to out below *height px of others: the output over time, on
 * the most ranks for which it is predicted for all runs; measured, where there
 * are none.  r's runs are of one data set. */
void
picture_panel (struct report *r, double *height, struct text *out);
/* The whole of such panels. */
void
picture_whole (const char *panels, double height, struct text *out);

/* -- the whole (page.c, plain.c) ------------------------------------------- */

void
page_make (struct report *r, struct text *out);
void
plain_make (struct report *r, struct text *out);
/* Maps of similarity for a terminal (alike.c). */
void
alike_print (struct report *r, struct text *out);

#endif
