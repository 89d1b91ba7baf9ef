/* ranks: 0 */
/* tests/config/page.c -- what interlock.5 says of each key is what the table
 * says: its kind, range, choices, default and meaning.
 *
 *     tests/config/page --print
 *
 * writes these sections of the page, to be put into it.
 */
#include "base/memory.h"
#include "config/config.h"
#include "tests/tap.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Text as groff takes it: a hyphen that is one. */
static void
add_escaped (struct text *out, const char *s)
{
  for (; *s; s++)
    text_add (out, *s == '-' ? "\\-" : "%c", *s);
}

static void
add_key (const struct key *k, struct text *out)
{
  const char *value = k->shown ? k->shown : k->value ? k->value : "none";
  struct text words;
  text_init (&words);
  text_add (&words, "%s: ", key_kind_name (k->kind));
  if (k->kind == KEY_TEXT)
    text_add (&words, "any text");
  else if (k->kind == KEY_LIST && k->field == FIELD_TEXT)
    text_add (&words, "words with commas between");
  else
    key_wanted (k, &words);
  if (k->later)
    text_add (&words, " (%s: not in this version)", k->later);
  text_add (&words, "; default: %s.", value);
  text_add (out, ".TP\n.B ");
  add_escaped (out, k->name);
  text_add (out, "\n");
  add_escaped (out, words.data);
  text_clear (&words);
  text_add (&words, "%c%s.", toupper ((unsigned char)k->meaning[0]),
            k->meaning + 1);
  text_add (out, "\n.br\n");
  add_escaped (out, words.data);
  text_add (out, "\n");
  text_clear (&words);
}

/* One section of keys, with its head. */
static void
add_section (const char *section, struct text *out)
{
  text_add (out, ".SS [%s]\n", section);
  for (size_t i = 0; i < key_count; i++)
    if (strcmp (key_table[i].section, section) == 0)
      add_key (&key_table[i], out);
}

/* The same lines of the page, without those that lead to other sections. */
static void
cut_section (const char *page, const char *section, struct text *out)
{
  char head[CONFIG_WORD];
  snprintf (head, sizeof head, ".SS [%s]\n", section);
  for (const char *line = strstr (page, head), *from = line; line && *line;) {
    size_t n = strcspn (line, "\n");
    n += line[n] == '\n';
    if (line != from && strncmp (line, ".S", 2) == 0)
      break;
    if (strncmp (line, "See ", 4) != 0)
      text_add (out, "%.*s", (int)n, line);
    line += n;
  }
}

static char *
read_page (void)
{
  char path[CONFIG_PATH];
  const char *top = getenv ("abs_top_srcdir");
  char *text = NULL;
  snprintf (path, sizeof path, "%s/src/main/interlock.5", top ? top : ".");
  FILE *f = fopen (path, "r");
  if (!f || fseek (f, 0, SEEK_END) != 0)
    return NULL;
  size_t n = (size_t)ftell (f);
  rewind (f);
  if (MEM_NEW (n + 1, &text, "a page") == OK && fread (text, 1, n, f) != n)
    mem_free (&text);
  fclose (f);
  return text;
}

/* Where the page is not what the rows say; NULL: nowhere. */
static const char *
difference (const char *page, const char *section)
{
  static char rest[64];
  struct text is, was;
  size_t at = 0;
  text_init (&is);
  text_init (&was);
  add_section (section, &is);
  cut_section (page, section, &was);
  bool same = strcmp (is.data, was.data) == 0;
  while (!same && is.data[at] && is.data[at] == was.data[at])
    at++;
  snprintf (rest, sizeof rest, "%s", was.data + at);
  text_clear (&is);
  text_clear (&was);
  return same ? NULL : rest;
}

static void
check_page (char *page)
{
  for (size_t i = 0; i < key_count; i++)
    if (i == 0 ||
        strcmp (key_table[i].section, key_table[i - 1].section) != 0) {
      const char *at = difference (page, key_table[i].section);
      tap_ok (!at, "[%s] in interlock.5 is what its rows say%s%s",
              key_table[i].section, at ? "; here it is not: " : "",
              at ? at : "");
    }
  char *word = strstr (page, "default: furthest");
  if (word)
    word[strlen ("default: ")] = 'F';
  tap_ok (word && difference (page, "strategy"),
          "planted: another default in the page");
}

int
main (int argc, char **argv)
{
  struct text out;
  text_init (&out);
  if (argc > 1 && strcmp (argv[1], "--print") == 0) {
    for (size_t i = 0; i < key_count; i++)
      if (i == 0 ||
          strcmp (key_table[i].section, key_table[i - 1].section) != 0)
        add_section (key_table[i].section, &out);
    printf ("%s", out.data);
    text_clear (&out);
    return 0;
  }
  char *page = read_page ();
  tap_ok (page != NULL, "interlock.5 can be read");
  if (page)
    check_page (page);
  mem_free (&page);
  return tap_done ();
}
