/* report/json.c -- all tables as one JSON document, for programs. */
#include "report/report_impl.h"

#include "store/json.h"
#include <math.h>
#include <string.h>

/* null: not known. */
static json_t *
cell_json (const struct column *k, const struct cell *c)
{
  const struct spread *s = &c->s;
  if (k->kind == COLUMN_TEXT)
    return store_json_text (c->text ? c->text : "");
  if (k->kind != COLUMN_STAT)
    return store_json_number (s->n > 0 ? s->mean : NAN);
  return json_pack (
      "{s:o, s:o, s:o, s:o, s:i}", "mean", store_json_number (s->mean), "sd",
      store_json_number (s->sd), "low", store_json_number (s->low), "high",
      store_json_number (s->high), "n", (int)s->n);
}

static json_t *
table_json (const struct table *t)
{
  json_t *rows = json_array ();
  for (int i = 0; i < t->n_rows; i++) {
    json_t *row = json_object ();
    for (int k = 0; k < t->n_columns; k++)
      json_object_set_new (
          row, t->column[k].name,
          cell_json (&t->column[k], &t->cell[i * t->n_columns + k]));
    json_array_append_new (rows, row);
  }
  return json_pack ("{s:o, s:o, s:o}", "title", store_json_text (t->title),
                    "note", store_json_text (t->note.data), "rows", rows);
}

enum status
json_make (struct report *r, struct text *out)
{
  json_t *tables = json_object ();
  for (const char *at = report_tables (); *at;) {
    char name[32];
    struct table t;
    const size_t n = strcspn (at, " ");
    snprintf (name, sizeof name, "%.*s", (int)n, at);
    at += n + strspn (at + n, " ");
    table_make (r, name, &t);
    json_object_set_new (tables, name, table_json (&t));
    text_clear (&t.note);
  }
  json_t *j =
      json_pack ("{s:o, s:o, s:o}", "notes", store_json_text (r->notes.data),
                 "unlike", store_json_text (r->unlike.data), "tables", tables);
  return store_json_put (j, JSON_INDENT (1), "the report", out);
}
