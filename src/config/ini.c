/* config/ini.c -- INI text as lines of section, name and value.
 *
 * The text is copied once and cut up in place.  Every line that is none is
 * kept with what is wrong with it, in its place among the others, so that one
 * try can say all of it.
 */
#include "config/config_impl.h"

#include "base/memory.h"
#include <string.h>

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* Without blanks around; cuts behind the last letter. */
static char *
trim (char *from, char *end)
{
  while (from < end && is_blank (*from))
    from++;
  while (end > from && is_blank (end[-1]))
    end--;
  *end = '\0';
  return from;
}

/* The line without blanks around and without a comment.  A semicolon begins one
 * at the start of a line and behind a blank, a number sign at the start. */
static char *
clean (char *line)
{
  line += strspn (line, " \t\r\f\v");
  char *end = line;
  while (*end && !(*end == ';' && (end == line || is_blank (end[-1]))))
    end++;
  return trim (line, *line == '#' ? line : end);
}

/* -- one line ----------------------------------------------------------------
 */

struct reader {
  struct ini *ini;
  const char *also;
  const char *section; /* NULL: before the first one */
  bool skip;           /* keys of a section that does not exist */
  int number;          /* of the line */
};

static void
add (struct reader *r, const char *name, const char *value, const char *bad)
{
  struct ini_line *l = &r->ini->line[r->ini->n++];
  *l = (struct ini_line){
      .number = r->number, .section = r->section, .name = name, .value = value};
  enum status s = bad ? mem_text (bad, &l->bad) : OK;
  if (s != OK)
    status_end (s);
}

static void
take_section (struct reader *r, char *line)
{
  char *end = strchr (line, ']');
  struct text what;
  r->section = "";
  r->skip = true;
  if (!end || end[1] != '\0') {
    add (r, NULL, NULL, "a section is a name in brackets, alone on its line");
    return;
  }
  *end = '\0';
  r->section = line + 1;
  r->skip = r->also && strcmp (r->section, r->also) != 0 &&
            !key_section_known (r->section);
  if (!r->skip)
    return;
  text_init (&what);
  text_add (&what, "[%s] is not a section", r->section);
  key_suggest_section (r->section, &what);
  add (r, NULL, NULL, what.data);
  text_clear (&what);
}

static void
take_line (struct reader *r, char *line)
{
  size_t n = strcspn (line, "=:");
  if (line[0] == '\0')
    return;
  if (line[0] == '[')
    take_section (r, line);
  else if (line[n] == '\0')
    add (r, NULL, NULL, "neither a [section] nor key = value");
  else if (n == 0)
    add (r, NULL, NULL, "a value without a key");
  else if (!r->section)
    add (r, NULL, NULL, "a key before the first [section]");
  else if (!r->skip) {
    char *value = line + n + 1;
    value = trim (value, value + strlen (value));
    add (r, trim (line, line + n), value, NULL);
  }
}

/* -- a text ------------------------------------------------------------------
 */

void
ini_open (const char *text, const char *also, struct ini *out)
{
  struct reader r = {.ini = out, .also = also};
  size_t lines = 1;
  *out = (struct ini){.n = 0};
  for (const char *c = text; *c; c++)
    lines += *c == '\n';
  enum status s = mem_text (text, &out->text);
  if (s == OK)
    s = MEM_NEW (lines, &out->line, "lines of an INI text");
  if (s != OK)
    status_end (s);
  char *line = out->text;
  if (strncmp (line, "\xef\xbb\xbf", 3) == 0)
    line += 3;
  while (line) {
    char *end = strchr (line, '\n');
    if (end)
      *end++ = '\0';
    r.number++;
    take_line (&r, clean (line));
    line = end;
  }
}

void
ini_close (struct ini *i)
{
  for (int k = 0; k < i->n; k++)
    mem_free (&i->line[k].bad);
  mem_free (&i->line);
  mem_free (&i->text);
  i->n = 0;
}

const char *
ini_get (const struct ini *i, const char *name)
{
  size_t n = strcspn (name, ".");
  for (int k = 0; k < i->n; k++) {
    const struct ini_line *l = &i->line[k];
    if (l->name && strlen (l->section) == n &&
        memcmp (l->section, name, n) == 0 &&
        strcmp (l->name, name + n + 1) == 0)
      return l->value;
  }
  return NULL;
}
