/* main/command_report.c -- the command `report`. */
#include "main/main.h"

#include "base/log.h"
#include "base/memory.h"
#include "design/ask.h"
#include "report/report.h"
#include "store/file.h"
#include "store/run.h"
#include "wire/wire.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct options {
  struct given given;
  bool text, csv, json, latex, markdown, svg;
  struct report_spec spec; /* without runs, form and predict */
};

/* "4,16" */
static bool
on (void *spec, const char *list)
{
  struct report_spec *s = spec;
  s->n_on = 0;
  for (const char *at = list;; at++) {
    char *end;
    long n = strtol (at, &end, 10);
    if (end == at || n < 1 || n > 1 << 20 || (*end && *end != ',') ||
        s->n_on == REPORT_ON)
      return false;
    s->on[s->n_on++] = (int)n;
    if (!*end)
      return true;
    at = end;
  }
}

/* -- rows -------------------------------------------------------------------
 */

/* clang-format off */
static const struct flag flags[] = {
  { "split", 0, "NAME", "which split: train, valid or test; default: valid",
    INTO_SPLIT (spec.split) },
  { "csv", 0, NULL, "a table as comma-separated lines", INTO_BOOL (csv) },
  { "json", 0, NULL, "all tables as one JSON document", INTO_BOOL (json) },
  { "latex", 0, NULL, "a table for LaTeX (booktabs)", INTO_BOOL (latex) },
  { "markdown", 0, NULL, "a table for a README", INTO_BOOL (markdown) },
  { "svg", 0, NULL,
    "a picture alone: the output over time (of --on, where given), a panel for "
    "each data set; of finished runs, where some have",
    INTO_BOOL (svg) },
  { "text", 0, NULL, "all tables for the terminal", INTO_BOOL (text) },
  { "table", 0, "NAME",
    "--csv, --latex, --markdown: which table: compare (default), cost, heads, "
    "time, probe, cka, agreement, scale, results, runs, card, "
    "differs or repeat",
    INTO_TEXT (spec.table) },
  { "accuracy", 0, "PERCENT",
    "ask for the time to this accuracy; default: the highest that all runs "
    "reach",
    INTO_ABOVE (spec.accuracy, 0, 100, 0.01),
    .wanted = "a number above 0 and at most 100" },
  { "loss", 0, "VALUE",
    "of language models: the same for a loss, in bits/byte, or in nats/token "
    "where runs do not tell bits; default: the lowest that all reach",
    INTO_ABOVE (spec.loss, 0, 1000000, 1),
    .wanted = "a number above 0 and at most 1000000" },
  { "on", 0, "RANKS",
    "predict the time on so many ranks, as in 4,16, from what blocks took in "
    "the runs: as another axis and further columns",
    BY (on, spec), .wanted = "up to 4 integers, 1 or more, with commas between" },
  { "unlike", 0, NULL,
    "compare runs that differ in data, batch, schedule, ... as well",
    INTO_BOOL (spec.unlike) },
  { "output", 'o', "FILE",
    "the file to write; default: report.html, or the terminal for --text, "
    "--csv, --json, --latex, --markdown and --svg",
    INTO_TEXT (given.output) },
  { 0 }
};
/* clang-format on */

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  char near[TEXT_NEAR] = "";
  if (o->text + o->latex + o->csv + o->json + o->markdown + o->svg > 1)
    text_add (wrong, "--text, --csv, --json, --latex, --markdown and --svg "
                     "exclude each other\n");
  if (o->spec.accuracy > 0 && o->spec.loss > 0)
    text_add (wrong, "--accuracy and --loss exclude each other\n");
  if (o->spec.table && text_among (report_tables (), o->spec.table, near) < 0)
    text_add (wrong, "--table %s: wanted one of %s%s%s%s\n", o->spec.table,
              report_tables (), near[0] ? "; did you mean " : "", near,
              near[0] ? "?" : "");
  else if (o->spec.table && !o->csv && !o->latex && !o->markdown)
    text_add (wrong, "--table wants --csv, --latex or --markdown\n");
}

/* -- work -------------------------------------------------------------------
 */

static enum report_form
form_of (const struct options *o)
{
  return o->text       ? REPORT_TEXT
         : o->csv      ? REPORT_CSV
         : o->json     ? REPORT_JSON
         : o->latex    ? REPORT_LATEX
         : o->markdown ? REPORT_MARKDOWN
         : o->svg      ? REPORT_SVG
                       : REPORT_HTML;
}

static enum status
deliver (const struct options *o, const struct text *out)
{
  const char *path = o->given.output;
  if (!path && form_of (o) == REPORT_HTML)
    path = "report.html";
  if (!path) {
    file_print (out);
    return OK;
  }
  TRY (store_output_put (path, out->data, out->size));
  say (LOG_INFO, "written: %s, %s", path, text_bytes ((double)out->size));
  return OK;
}

/* A file of a run; NULL: there is none. */
static char *
text_of (const char *dir, const char *name)
{
  char *text = NULL;
  if (store_run_get (dir, name, &text) != OK)
    fail_clear ();
  return text;
}

/* Whether blocks were cut and threads given alike: what they took compares. */
static bool
costs_alike (const char *a, const char *b)
{
  const struct {
    const char *file, *word;
  } same[] = {{"config.ini", KEY_NAME (cut)}, {"facts.ini", "facts.threads"}};
  bool alike = true;
  for (int i = 0; alike && i < 2; i++) {
    char *x = text_of (a, same[i].file), *y = text_of (b, same[i].file);
    char u[CONFIG_TEXT] = "", v[CONFIG_TEXT] = "";
    alike = x && y && config_word (x, same[i].word, u, sizeof u) &&
            config_word (y, same[i].word, v, sizeof v) && strcmp (u, v) == 0;
    mem_free (&x);
    mem_free (&y);
  }
  return alike;
}

/* For report_spec.predict. */
static enum status
predict (int n, const char *const *dirs, int which, int ranks,
         struct report_pace *out)
{
  struct design_pace pace = {.n = 0};
  char *config = NULL, **kept = NULL;
  struct config c;
  int n_kept = 0;
  TRY (store_run_get (dirs[which], "config.ini", &config));
  const struct config_source source = {.name = dirs[which], .text = config};
  enum status e = design_configure (&source, CONFIG_PLAN, &c);
  if (e == OK)
    e = MEM_NEW ((size_t)n, &kept, "costs of runs");
  for (int i = 0; e == OK && i < n; i++)
    if (i == which || costs_alike (dirs[which], dirs[i])) {
      kept[n_kept] = text_of (dirs[i], "costs.txt");
      n_kept += kept[n_kept] != NULL;
    }
  if (e == OK)
    e = design_predict (&c, ranks, n_kept, (const char *const *)kept, &pace);
  out->n = pace.n;
  for (int i = 0; i < pace.n; i++) {
    out->first[i] = (double)pace.first[i];
    out->step_s[i] = pace.step_s[i];
  }
  while (n_kept > 0)
    mem_free (&kept[--n_kept]);
  mem_free (&kept);
  mem_free (&config);
  return e;
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct report_spec spec = o->spec;
  struct text out;
  spec.n_paths = o->given.n_names;
  spec.paths = o->given.names;
  spec.predict = predict;
  spec.form = form_of (o);
  text_init (&out);
  enum status s = report_make (&spec, &out);
  if (s == OK)
    s = deliver (o, &out);
  text_clear (&out);
  return wire_agree (w, s);
}

const struct command command_report = {
    .name = "report",
    .usage = "report RUN... [options]",
    .summary = "tables and pictures from runs",
    .detail =
        "Compares runs at equal samples, executed operations, wall time and "
        "core-hours: by accuracy, language models by loss. A RUN is a run "
        "directory or a folder of them; runs that differ in their seed alone "
        "are a group, with mean, deviation and confidence. Writes one HTML "
        "page that needs nothing else, or a text, or one table. Runs that "
        "differ in more than network, stages and strategy are refused.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_STDOUT,
    .least = 1,
    .wants = "run directories",
    .names_first = INT_MAX,
    .check = check,
    .work = work,
};
