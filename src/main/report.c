/* main/report.c -- the command `report`. */
#include "main/main.h"

#include "base/log.h"
#include "report/report.h"
#include "store/file.h"

static enum status
deliver (const struct options *o, const struct text *out)
{
  const char *path = o->output;
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

enum status
command_report (const struct options *o, struct wire *w)
{
  struct report_ask ask = {.n_paths = o->n_inputs,
                           .paths = o->inputs,
                           .form = o->text    ? REPORT_TEXT
                                   : o->csv   ? REPORT_CSV
                                   : o->latex ? REPORT_LATEX
                                              : REPORT_HTML,
                           .table = o->table,
                           .split = o->split,
                           .accuracy = o->accuracy,
                           .loss = o->loss,
                           .unlike = o->unlike};
  struct text out;
  text_init (&out);
  enum status s = report_make (&ask, &out);
  if (s == OK)
    s = deliver (o, &out);
  text_clear (&out);
  return wire_agree (w, s);
}
