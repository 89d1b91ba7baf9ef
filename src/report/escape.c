/* report/escape.c -- makes foreign texts harmless in HTML, CSV, LaTeX and on a
 * terminal.
 *
 * A run may have any name, and a value in a configuration any bytes.
 */
#include "report/report_impl.h"

#include <string.h>

/* The bytes of the character at s, 0 where it is none: malformed, too long,
 * a surrogate, a control character. */
static int
character (const unsigned char *s)
{
  if (s[0] < 0x80)
    return s[0] >= 0x20 && s[0] != 0x7f;
  int n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4)
    return 0;
  for (int i = 1; i < n; i++)
    if ((s[i] & 0xc0) != 0x80)
      return 0;
  unsigned mark =
      n == 3 ? (s[0] & 15u) << 12 | (s[1] & 63u) << 6 | (s[2] & 63u) : 0;
  bool odd = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
             (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ||
             (s[0] == 0xc2 && s[1] < 0xa0) || mark >= 0xfffe ||
             /* marks that break lines or turn the direction of writing */
             mark == 0x200e || mark == 0x200f ||
             (mark >= 0x2028 && mark <= 0x202e) ||
             (mark >= 0x2066 && mark <= 0x2069);
  return odd ? 0 : n;
}

/* Every character through one that knows replacements; NULL: as it is. */
static void
escape (const char *s, const char *(*other) (char c), struct text *out)
{
  while (*s) {
    int n = character ((const unsigned char *)s);
    const char *instead = n == 0 ? "?" : n == 1 ? other (*s) : NULL;
    if (instead)
      text_add (out, "%s", instead);
    else
      text_add (out, "%.*s", n, s);
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

int
escape_width (const char *s)
{
  int n = 0;
  for (; *s; s++)
    n += ((unsigned char)*s & 0xc0) != 0x80;
  return n;
}
