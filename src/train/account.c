/* train/account.c -- where the time went, per rank, as a table and a file. */
#include "train/train_impl.h"

#include <string.h>

static void
add_row (struct text *out, const char *label, const double *v)
{
  double wall = 0;
  for (int c = 0; c < CLOCK_CLASSES; c++)
    wall += v[c];
  text_add (out, "%s", label);
  for (int c = 0; c < CLOCK_CLASSES; c++)
    text_add (out, " %7.2f", v[c]);
  text_add (out, " %8.2f\n", wall);
}

static void
show_table (const double *all, int size, struct text *table, struct text *csv)
{
  double mean[CLOCK_CLASSES] = {0};
  text_add (table, "where the time went, seconds\n%-6s", "rank");
  text_add (csv, "rank");
  for (int c = 0; c < CLOCK_CLASSES; c++) {
    const char *name = clock_class_name ((enum clock_class)c);
    text_add (table, " %7s", name);
    text_add (csv, ",%s", name);
  }
  text_add (table, " %8s\n", "wall");
  text_add (csv, ",wall\n");
  for (int r = 0; r < size; r++) {
    const double *v = all + (size_t)r * CLOCK_CLASSES;
    char label[16];
    snprintf (label, sizeof label, "%-6d", r);
    if (size <= 32)
      add_row (table, label, v);
    text_add (csv, "%d", r);
    double wall = 0;
    for (int c = 0; c < CLOCK_CLASSES; c++) {
      text_add (csv, ",%.6f", v[c]);
      wall += v[c];
      mean[c] += v[c] / size;
    }
    text_add (csv, ",%.6f\n", wall);
  }
  if (size > 1)
    add_row (table, "mean  ", mean);
  text_add (
      table,
      "(plain: arithmetic of plain backpropagation; extra: further "
      "gradient passes; wait: for another rank; exposed: messages; agree: "
      "train.agreement)\n");
}

enum status
account_report (struct session *s, int64_t steps_done)
{
  int size = wire_size (s->wire);
  double *all = NULL;
  (void)steps_done;
  clock_switch (&s->account, CLOCK_OTHER);
  TRY (wire_agree (s->wire,
                   MEM_NEW ((size_t)size * CLOCK_CLASSES, &all, "accounts")));
  enum status e =
      wire_all_gather (s->wire, s->account.spent_s, CLOCK_CLASSES, all);
  if (e == OK && wire_rank (s->wire) == 0) {
    struct text table, csv;
    text_init (&table);
    text_init (&csv);
    show_table (all, size, &table, &csv);
    say (LOG_INFO, "%s", table.data);
    if (s->run)
      e = store_run_put (s->run, "summary.csv", csv.data);
    text_clear (&table);
    text_clear (&csv);
  }
  mem_free (&all);
  return wire_agree (s->wire, e);
}
