/* report/table.c -- a table as HTML, CSV, LaTeX and plain text.
 *
 * All four print the same cells: a number that people see rounded stands whole
 * in the attribute `value` of HTML's element <data>, as it stands in the CSV.
 */
#include "report/report_impl.h"

#include "base/utf8.h"
#include <stdio.h>
#include <string.h>

#define EXACT "%.9g"

/* -- cells ----------------------------------------------------------------- */

struct cell *
table_next (struct filling *f)
{
  return &f->t->cell[f->at++];
}

void
table_put_text (struct filling *f, const char *s)
{
  table_next (f)->text = s;
}

void
table_put_number (struct filling *f, double v)
{
  table_next (f)->s = stat_of (1, &v);
}

void
table_put_stat (struct filling *f, const struct group *g,
                double (*of) (const struct report *, const struct run *,
                              const void *),
                const void *how)
{
  table_next (f)->s = group_stat (f->r, g, of, how);
}

void
table_rows (struct report *r, struct table *t, int n)
{
  t->n_rows = n;
  t->cell =
      pool_take (&r->pool, (size_t)n * (size_t)t->n_columns, sizeof *t->cell);
}

int
table_shown (const struct table *t)
{
  int n = t->n_columns;
  while (n > 0 && t->column[n - 1].kind == COLUMN_ASIDE)
    n--;
  return n;
}

/* -- numbers for people --------------------------------------------------- */

static const char *
none (const struct cell *c)
{
  return c->text ? c->text : "not recorded";
}

/* People need no deviation of what is the same in all runs. */
static bool
spreads (const struct column *k, const struct cell *c)
{
  return k->kind == COLUMN_STAT && c->s.n > 1 &&
         c->s.sd > 1e-12 * fabs (c->s.mean);
}

/* "92.31", "92.31 ± 0.42 [91.3, 93.3]". */
static void
add_people (const struct column *k, const struct cell *c,
            const char *plus_minus, struct text *out)
{
  text_add (out, "%.*f", k->digits, c->s.mean * k->scale);
  if (spreads (k, c))
    text_add (out, " %s %.*f [%.*f, %.*f]", plus_minus, k->digits,
              c->s.sd * k->scale, k->digits, c->s.low * k->scale, k->digits,
              c->s.high * k->scale);
  if (c->text)
    text_add (out, " %s", c->text);
}

/* -- HTML ------------------------------------------------------------------ */

static void
add_data (const struct column *k, double v, struct text *out)
{
  text_add (out, "<data value=\"" EXACT "\">%.*f</data>", v, k->digits,
            v * k->scale);
}

static void
html_cell (const struct column *k, const struct cell *c, bool first,
           struct text *out)
{
  if (k->kind == COLUMN_TEXT) {
    text_add (out, first ? "<th scope=\"row\">" : "<td class=\"left\">");
    escape_html (c->text ? c->text : "", out);
    text_add (out, first ? "</th>" : "</td>");
    return;
  }
  if (c->s.n == 0) {
    text_add (out, "<td class=\"none\">");
    escape_html (none (c), out);
    text_add (out, "</td>");
    return;
  }
  text_add (out, "<td>");
  add_data (k, c->s.mean, out);
  if (spreads (k, c)) {
    text_add (out, " <span class=\"sd\">± ");
    add_data (k, c->s.sd, out);
    text_add (out, "</span><br/><span class=\"ci\">[");
    add_data (k, c->s.low, out);
    text_add (out, ", ");
    add_data (k, c->s.high, out);
    text_add (out, "]</span>");
  }
  if (c->text) {
    text_add (out, "<br/><span class=\"ci\">");
    escape_html (c->text, out);
    text_add (out, "</span>");
  }
  text_add (out, "</td>");
}

void
table_html (const struct table *t, struct text *out)
{
  text_add (out,
            "<div class=\"table\"><table id=\"table-%s\"><caption>%s"
            "</caption>\n<thead><tr>",
            t->name, t->title);
  for (int k = 0; k < table_shown (t); k++) {
    text_add (out, "<th scope=\"col\"%s>",
              t->column[k].kind == COLUMN_TEXT ? " class=\"left\"" : "");
    escape_html (t->column[k].title, out);
    text_add (out, "</th>");
  }
  text_add (out, "</tr></thead>\n<tbody>\n");
  for (int i = 0; i < t->n_rows; i++) {
    text_add (out, "<tr>");
    for (int k = 0; k < table_shown (t); k++)
      html_cell (&t->column[k], &t->cell[i * t->n_columns + k], k == 0, out);
    text_add (out, "</tr>\n");
  }
  text_add (out, "</tbody></table></div>\n");
  if (t->note.size > 0) {
    text_add (out, "<p class=\"note\">");
    escape_html (t->note.data, out);
    text_add (out, "</p>\n");
  }
}

/* -- CSV ------------------------------------------------------------------- */

static const char *const parts[] = {"", "_sd", "_low", "_high", "_n"};

static void
csv_cell (const struct column *k, const struct cell *c, struct text *out)
{
  const double v[] = {c->s.mean, c->s.sd, c->s.low, c->s.high, c->s.n};
  if (k->kind == COLUMN_TEXT) {
    escape_csv (c->text ? c->text : "", out);
    return;
  }
  for (int i = 0; i < (k->kind == COLUMN_STAT ? 5 : 1); i++) {
    text_add (out, "%s", i ? "," : "");
    if (isfinite (v[i]))
      text_add (out, EXACT, v[i]);
  }
}

/* A column over several runs becomes five: mean, deviation, the ends of the
 * confidence, and how many.  Numbers are whole, not as people see them. */
void
table_csv (const struct table *t, struct text *out)
{
  for (int k = 0; k < t->n_columns; k++)
    for (int i = 0; i < (t->column[k].kind == COLUMN_STAT ? 5 : 1); i++)
      text_add (out, "%s%s%s", k + i ? "," : "", t->column[k].name, parts[i]);
  text_add (out, "\n");
  for (int i = 0; i < t->n_rows; i++) {
    for (int k = 0; k < t->n_columns; k++) {
      text_add (out, "%s", k ? "," : "");
      csv_cell (&t->column[k], &t->cell[i * t->n_columns + k], out);
    }
    text_add (out, "\n");
  }
}

/* -- LaTeX ----------------------------------------------------------------- */

static void
latex_number (const struct column *k, const struct cell *c, struct text *out)
{
  if (c->s.n == 0) {
    text_add (out, "--");
    return;
  }
  text_add (out, "$%.*f", k->digits, c->s.mean * k->scale);
  if (spreads (k, c))
    text_add (out, " \\pm %.*f$ {\\scriptsize $[%.*f, %.*f]$}", k->digits,
              c->s.sd * k->scale, k->digits, c->s.low * k->scale, k->digits,
              c->s.high * k->scale);
  else
    text_add (out, "$");
  if (c->text) {
    text_add (out, " {\\scriptsize ");
    escape_latex (c->text, out);
    text_add (out, "}");
  }
}

/* What a reader has to know stands above the table, as a comment. */
static void
latex_comment (const char *words, struct text *out)
{
  bool fresh = true;
  for (; *words; fresh = *words++ == '\n')
    text_add (out, "%s%c", fresh ? "% " : "", *words);
  text_add (out, "%s", fresh ? "" : "\n");
}

void
table_latex (const struct report *r, const struct table *t, struct text *out)
{
  latex_comment (r->unlike.data, out);
  latex_comment (r->notes.data, out);
  latex_comment (t->note.data, out);
  text_add (out, "%% needs \\usepackage{booktabs,textcomp} and [T1]{fontenc}\n"
                 "\\begin{tabular}{");
  for (int k = 0; k < table_shown (t); k++)
    text_add (out, "%c", t->column[k].kind == COLUMN_TEXT ? 'l' : 'r');
  text_add (out, "}\n\\toprule\n");
  for (int k = 0; k < table_shown (t); k++) {
    text_add (out, "%s", k ? " & " : "");
    escape_latex (t->column[k].title, out);
  }
  text_add (out, " \\\\\n\\midrule\n");
  for (int i = 0; i < t->n_rows; i++) {
    for (int k = 0; k < table_shown (t); k++) {
      const struct cell *c = &t->cell[i * t->n_columns + k];
      text_add (out, "%s", k ? " & " : "");
      if (t->column[k].kind == COLUMN_TEXT)
        escape_latex (c->text ? c->text : "", out);
      else
        latex_number (&t->column[k], c, out);
    }
    text_add (out, " \\\\\n");
  }
  text_add (out, "\\bottomrule\n\\end{tabular}\n");
}

/* -- plain ----------------------------------------------------------------- */

void
table_cell (const struct column *k, const struct cell *c, struct text *out)
{
  if (k->kind == COLUMN_TEXT)
    escape_plain (c->text ? c->text : "", out);
  else if (c->s.n == 0)
    escape_plain (none (c), out);
  else
    add_people (k, c, "±", out);
}

static void
plain_put (const char *s, int width, bool left, struct text *out)
{
  int n = width - utf8_count (s);
  if (left)
    text_add (out, "%s%*s", s, n > 0 ? n : 0, "");
  else
    text_add (out, "%*s%s", n > 0 ? n : 0, "", s);
}

/* Column k of row i; the row -1 is the head. */
static void
plain_at (const struct table *t, int i, int k, struct text *out)
{
  if (i < 0)
    text_add (out, "%s", t->column[k].title);
  else
    table_cell (&t->column[k], &t->cell[i * t->n_columns + k], out);
}

void
table_print (const struct table *t, struct text *out)
{
  text_add (out, "%s\n", t->title);
  int *width = NULL;
  if (MEM_NEW ((size_t)t->n_columns + 1, &width, "a table") != OK)
    CHECK (false, "%s", fail_message ());
  for (int put = 0; put < 2; put++)
    for (int i = -1; i < t->n_rows; i++) {
      for (int k = 0; k < table_shown (t); k++) {
        struct text one;
        text_init (&one);
        plain_at (t, i, k, &one);
        if (put) {
          text_add (out, "%s", k ? "  " : "");
          plain_put (one.data, width[k], t->column[k].kind == COLUMN_TEXT, out);
        } else if (utf8_count (one.data) > width[k])
          width[k] = utf8_count (one.data);
        text_clear (&one);
      }
      while (put && out->size > 0 && out->data[out->size - 1] == ' ')
        out->data[--out->size] = '\0';
      text_add (out, "%s", put ? "\n" : "");
    }
  mem_free (&width);
  if (t->note.size > 0) {
    text_add (out, "(");
    escape_plain (t->note.data, out);
    text_add (out, ")\n");
  }
}
