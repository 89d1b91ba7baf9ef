/* config/ini.c -- from INI text to keys, with the line of each; the only file
 * that knows libinih.
 *
 * libinih stops naming lines after the first bad one, takes an indented line
 * for a continuation, and has a short line buffer.  So the reader below hands
 * it clean lines: it numbers them, drops indentation and comments, reports
 * every line that is none, and cuts a long one in pieces, which libinih then
 * gives back as continuations of the same key.
 */
#include "config/config.h"

#include "base/memory.h"
#include <ini.h>
#include <string.h>

struct reader {
  const struct ini_sink *sink;
  const char *next, *end; /* of the text */
  int line;               /* of the line that was given last */
  char *rest;             /* of a line in pieces; inside `clean` */
  char *clean;            /* owned; room for any line */
  bool in_section, skip;  /* skip: keys of a section that does not exist */
  bool continued;         /* the piece given last continues a key */
  /* the key under way */
  bool pending;
  int pending_line;
  struct text section, name, value;
};

static bool
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void
bad (struct reader *r, const char *what)
{
  r->sink->bad (r->sink->context, r->line, what);
}

/* -- keys as libinih gives them ---------------------------------------------
 */

static void
flush_key (struct reader *r)
{
  if (r->pending)
    r->sink->key (r->sink->context, r->pending_line, r->section.data,
                  r->name.data, r->value.data);
  r->pending = false;
}

static int
take_key (void *context, const char *section, const char *name,
          const char *value)
{
  struct reader *r = context;
  if (!r->continued) {
    flush_key (r);
    text_clear (&r->section);
    text_clear (&r->name);
    text_clear (&r->value);
    text_add (&r->section, "%s", section);
    text_add (&r->name, "%s", name);
    r->pending = true;
    r->pending_line = r->line;
  }
  text_add (&r->value, "%s", value ? value : "");
  return 1;
}

/* -- lines as libinih takes them --------------------------------------------
 */

/* One line of the text into r->clean: no blanks around, no comment behind.
 * False at the end. */
static bool
next_line (struct reader *r)
{
  if (r->next >= r->end)
    return false;
  const char *newline = memchr (r->next, '\n', (size_t)(r->end - r->next));
  const char *stop = newline ? newline : r->end;
  const char *from = r->next;
  r->next = newline ? newline + 1 : r->end;
  r->line++;
  if (r->line == 1 && stop - from >= 3 && memcmp (from, "\xef\xbb\xbf", 3) == 0)
    from += 3;
  while (from < stop && is_blank (*from))
    from++;
  size_t n = 0;
  for (const char *p = from; p < stop; p++) {
    if (*p == ';' && (p == from || is_blank (p[-1])))
      break;
    r->clean[n++] = *p;
  }
  while (n > 0 && is_blank (r->clean[n - 1]))
    n--;
  r->clean[n] = '\0';
  if (r->clean[0] == '#')
    r->clean[0] = '\0';
  return true;
}

static void
check_section (struct reader *r)
{
  char *end = strchr (r->clean, ']');
  struct text what;
  r->in_section = true;
  r->skip = true;
  if (!end || end[1] != '\0') {
    bad (r, "a section is a name in brackets, alone on its line");
    return;
  }
  *end = '\0';
  const char *also = r->sink->also;
  r->skip = !key_section_known (r->clean + 1) &&
            !(also && strcmp (r->clean + 1, also) == 0);
  if (r->skip) {
    text_init (&what);
    text_add (&what, "[%s] is not a section", r->clean + 1);
    key_suggest_section (r->clean + 1, &what);
    bad (r, what.data);
    text_clear (&what);
  }
  *end = ']';
}

/* False when libinih need not see the line. */
static bool
check_line (struct reader *r)
{
  if (r->clean[0] == '\0')
    return false;
  if (r->clean[0] == '[') {
    check_section (r);
    return !r->skip;
  }
  if (strcspn (r->clean, "=:") == strlen (r->clean)) {
    bad (r, "neither a [section] nor key = value");
    return false;
  }
  if (r->clean[0] == '=' || r->clean[0] == ':') {
    bad (r, "a value without a key");
    return false;
  }
  if (!r->in_section)
    bad (r, "a key before the first [section]");
  return r->in_section && !r->skip;
}

/* How much of a text that does not fit fits, so that no blank is lost and no
 * piece looks like a comment; 0 when there is no such place. */
static size_t
piece (const char *text, size_t room)
{
  for (size_t n = room; n > room / 2; n--)
    if (!is_blank (text[n - 1]) && !is_blank (text[n]) && text[n] != ';' &&
        text[n] != '#')
      return n;
  return 0;
}

/* fgets for libinih. */
static char *
read_line (char *out, int size, void *context)
{
  struct reader *r = context;
  size_t room = (size_t)size - 3; /* a blank in front, newline and NUL */
  r->continued = r->rest != NULL;
  if (!r->rest) {
    if (!next_line (r))
      return NULL;
    if (!check_line (r))
      r->clean[0] = '\0';
    r->rest = r->clean;
  }
  size_t n = strlen (r->rest);
  if (n > room)
    n = piece (r->rest, room);
  if (n == 0 && r->rest[0] != '\0') {
    bad (r, "the line is too long");
    r->rest[0] = '\0';
  }
  char *to = out;
  if (r->continued)
    *to++ = ' ';
  memcpy (to, r->rest, n);
  memcpy (to + n, "\n", 2);
  r->rest = r->rest[n] != '\0' ? r->rest + n : NULL;
  return out;
}

void
ini_read (const char *text, const struct ini_sink *sink)
{
  size_t size = strlen (text);
  struct reader r = {.sink = sink, .next = text, .end = text + size};
  text_init (&r.section);
  text_init (&r.name);
  text_init (&r.value);
  enum status s = MEM_NEW (size + 1, &r.clean, "a line");
  if (s != OK)
    status_end (s);
  int line = ini_parse_stream (read_line, &r, take_key, &r);
  flush_key (&r);
  if (line != 0) { /* what the checks above let through and libinih did not */
    r.line = line;
    bad (&r, "cannot be read");
  }
  mem_free (&r.clean);
  text_clear (&r.section);
  text_clear (&r.name);
  text_clear (&r.value);
}
