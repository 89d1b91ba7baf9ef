/* report/markdown.c -- a table as Markdown, with what has to be known of it in
 * lines below, which an editor can show.
 */
#include "report/report_impl.h"

#include "base/utf8.h"
#include <stdio.h>
#include <string.h>

#define LINE 80

/* No character of s ends a cell, a line or begins markup. */
static void
add_safe (const char *s, struct text *out)
{
  struct text plain;
  text_init (&plain);
  escape_plain (s, &plain);
  for (const char *p = plain.data; *p; p++)
    text_add (out, strchr ("|\\`*_<[", *p) ? "\\%c" : "%c", *p);
  text_clear (&plain);
}

/* Words of a text in lines, of which all but very long words fit LINE. */
static void
add_lines (const char *s, struct text *out)
{
  int at = 0;
  while (*s) {
    const int n = (int)strcspn (s, " \n");
    char word[256];
    snprintf (word, sizeof word, "%.*s", n, s);
    const int width = utf8_count (word);
    if (at > 0) {
      const bool fits = at + 1 + width <= LINE;
      text_add (out, "%s", fits ? " " : "\n");
      at = fits ? at + 1 : 0;
    }
    text_add (out, "%.*s", n, s);
    at += width;
    s += n;
    if (*s == '\n') {
      text_add (out, "\n");
      at = 0;
    }
    s += *s != '\0';
  }
  text_add (out, "%s", at > 0 ? "\n" : "");
}

static void
add_note (const char *words, struct text *out)
{
  if (!words[0])
    return;
  text_add (out, "\n");
  add_lines (words, out);
}

void
table_markdown (const struct report *r, const struct table *t, struct text *out)
{
  const int n = table_shown (t);
  for (int k = 0; k < n; k++) {
    text_add (out, "%s", k ? " | " : "| ");
    add_safe (t->column[k].title, out);
  }
  text_add (out, " |\n|");
  for (int k = 0; k < n; k++)
    text_add (out, "%s|", t->column[k].kind == COLUMN_TEXT ? "---" : "---:");
  text_add (out, "\n");
  for (int i = 0; i < t->n_rows; i++) {
    for (int k = 0; k < n; k++) {
      struct text one;
      text_init (&one);
      table_cell (&t->column[k], &t->cell[i * t->n_columns + k], &one);
      text_add (out, "%s", k ? " | " : "| ");
      /* Numbers have no markup; their brackets stay what they are. */
      if (t->column[k].kind == COLUMN_TEXT)
        add_safe (one.data, out);
      else
        text_add (out, "%s", one.data);
      text_clear (&one);
    }
    text_add (out, " |\n");
  }
  add_note (t->note.data, out);
  add_note (r->unlike.data, out);
  add_note (r->notes.data, out);
}
