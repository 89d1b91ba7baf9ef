/* main/command_report.c -- the command `report`. */
#include "main/main.h"

#include "base/log.h"
#include "report/report.h"
#include "store/file.h"
#include "wire/wire.h"
#include <limits.h>

struct options {
  struct given given;
  bool text, csv, latex;
  struct report_spec spec; /* without runs and form */
};

/* -- rows -------------------------------------------------------------------
 */

/* clang-format off */
static const struct flag flags[] = {
  { "split", 0, "NAME", "which split: train, valid or test; default: valid",
    INTO_SPLIT (spec.split) },
  { "csv", 0, NULL, "a table as comma-separated lines", INTO_BOOL (csv) },
  { "latex", 0, NULL, "a table for LaTeX (booktabs)", INTO_BOOL (latex) },
  { "text", 0, NULL, "all tables for the terminal", INTO_BOOL (text) },
  { "table", 0, "NAME",
    "--csv, --latex: which table: compare (default), cost, heads, time, "
    "probe, cka, agreement or "
    "runs",
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
  { "unlike", 0, NULL,
    "compare runs that differ in data, batch, schedule, ... as well",
    INTO_BOOL (spec.unlike) },
  { "output", 'o', "FILE",
    "the file to write; default: report.html, or the terminal for --text, "
    "--csv and --latex",
    INTO_TEXT (given.output) },
  { 0 }
};
/* clang-format on */

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  char near[TEXT_NEAR] = "";
  if (o->text + o->latex + o->csv > 1)
    text_add (wrong, "--text, --csv and --latex exclude each other\n");
  if (o->spec.accuracy > 0 && o->spec.loss > 0)
    text_add (wrong, "--accuracy and --loss exclude each other\n");
  if (o->spec.table && text_among (report_tables (), o->spec.table, near) < 0)
    text_add (wrong, "--table %s: wanted one of %s%s%s%s\n", o->spec.table,
              report_tables (), near[0] ? "; did you mean " : "", near,
              near[0] ? "?" : "");
  else if (o->spec.table && !o->csv && !o->latex)
    text_add (wrong, "--table wants --csv or --latex\n");
}

/* -- work -------------------------------------------------------------------
 */

static enum status
deliver (const struct options *o, const struct text *out)
{
  const char *path = o->given.output;
  if (!path && !o->text && !o->csv && !o->latex)
    path = "report.html";
  if (!path) {
    file_print (out);
    return OK;
  }
  TRY (store_output_put (path, out->data, out->size));
  say (LOG_INFO, "written: %s, %s", path, text_bytes ((double)out->size));
  return OK;
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct report_spec spec = o->spec;
  struct text out;
  spec.n_paths = o->given.n_names;
  spec.paths = o->given.names;
  spec.form = o->text    ? REPORT_TEXT
              : o->csv   ? REPORT_CSV
              : o->latex ? REPORT_LATEX
                         : REPORT_HTML;
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
