/* report/json.c -- all tables as one JSON document, for programs. */
#include "report/report_impl.h"

#include "base/memory.h"
#include <jansson.h>
#include <math.h>
#include <string.h>

#define DIGITS 9 /* as EXACT has, in the CSV */

static json_t *
number (double v)
{
  return isfinite (v) ? json_real (v) : json_null ();
}

/* Bytes that are not UTF-8 cannot stand in JSON. */
static json_t *
words (const char *s)
{
  json_t *j = json_string (s ? s : "");
  return j ? j : json_string ("(not UTF-8)");
}

/* null: not known. */
static json_t *
cell_json (const struct column *k, const struct cell *c)
{
  const struct spread *s = &c->s;
  if (k->kind == COLUMN_TEXT)
    return words (c->text);
  if (k->kind != COLUMN_STAT)
    return number (s->n > 0 ? s->mean : NAN);
  return json_pack ("{s:o, s:o, s:o, s:o, s:i}", "mean", number (s->mean), "sd",
                    number (s->sd), "low", number (s->low), "high",
                    number (s->high), "n", (int)s->n);
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
  return json_pack ("{s:o, s:o, s:o}", "title", words (t->title), "note",
                    words (t->note.data), "rows", rows);
}

static int
add_part (const char *part, size_t n, void *out)
{
  text_add (out, "%.*s", (int)n, part);
  return 0;
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
  json_t *j = json_pack ("{s:o, s:o, s:o}", "notes", words (r->notes.data),
                         "unlike", words (r->unlike.data), "tables", tables);
  const int failed = json_dump_callback (
      j, add_part, out, JSON_INDENT (1) | JSON_REAL_PRECISION (DIGITS));
  json_decref (j);
  if (failed)
    return fail (E_MEMORY, "no memory for the report as JSON");
  text_add (out, "\n");
  return OK;
}
