/* main/compare.c -- the command `compare`. */
#include "main/main.h"

#include "report/report.h"

enum status
command_compare (const struct options *o, struct wire *w)
{
  struct text out;
  bool differ = false;
  text_init (&out);
  enum status s = report_compare (o->inputs[0], o->inputs[1], &differ, &out);
  if (out.size)
    file_print (&out);
  text_clear (&out);
  s = wire_agree (w, s);
  return s == OK && differ ? E_DIFFER : s;
}
