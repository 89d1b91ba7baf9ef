/* report/escape.c -- makes foreign texts harmless in HTML, CSV, LaTeX and on a
 * terminal.
 *
 * A run may have any name, and a value in a configuration any bytes.
 */
#include "report/report_impl.h"

#include "base/utf8.h"
#include <string.h>

/* The bytes of the character at s, 0 where it is none or not to be shown. */
static size_t
character (const char *s)
{
  unsigned code = 0;
  size_t n = utf8_next (s, 4, &code);
  bool odd = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xfffe ||
             code == 0xffff || utf8_is_mark (code);
  return odd ? 0 : n;
}

/* Every character through one that knows replacements; NULL: as it is. */
static void
escape (const char *s, const char *(*other) (char c), struct text *out)
{
  while (*s) {
    size_t n = character (s);
    const char *instead = n == 0 ? "?" : n == 1 ? other (*s) : NULL;
    if (instead)
      text_add (out, "%s", instead);
    else
      text_add (out, "%.*s", (int)n, s);
    s += n == 0 ? 1 : n;
  }
}

static const char *
for_html (char c)
{
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  }
  return NULL;
}

static const char *
for_latex (char c)
{
  switch (c) {
  case '\\':
    return "\\textbackslash{}";
  case '{':
    return "\\{";
  case '}':
    return "\\}";
  case '$':
    return "\\$";
  case '&':
    return "\\&";
  case '#':
    return "\\#";
  case '%':
    return "\\%";
  case '_':
    return "\\_";
  case '^':
    return "\\textasciicircum{}";
  case '~':
    return "\\textasciitilde{}";
  case '<':
    return "\\textless{}";
  case '>':
    return "\\textgreater{}";
  case '|':
    return "\\textbar{}";
  case '"':
    return "\\textquotedbl{}";
  case '[':
    return "{[}"; /* behind a line break it would be an argument */
  }
  return NULL;
}

static const char *
as_it_is (char c)
{
  (void)c;
  return NULL;
}

void
escape_html (const char *s, struct text *out)
{
  escape (s, for_html, out);
}

void
escape_latex (const char *s, struct text *out)
{
  escape (s, for_latex, out);
}

void
escape_plain (const char *s, struct text *out)
{
  escape (s, as_it_is, out);
}

static const char *
for_quotes (char c)
{
  return c == '"' ? "\"\"" : NULL;
}

/* A spreadsheet takes what begins with = + - @ for a formula. */
void
escape_csv (const char *s, struct text *out)
{
  bool formula = s[0] && strchr ("=+-@", s[0]);
  if (!formula && !strpbrk (s, "\",;\r\n\t '")) {
    escape_plain (s, out);
    return;
  }
  text_add (out, "\"%s", formula ? "'" : "");
  escape (s, for_quotes, out);
  text_add (out, "\"");
}
