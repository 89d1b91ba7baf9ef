/* base/text.c -- growing strings, numbers for people, nearest names. */
#include "base/text.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- growing strings ------------------------------------------------------- */

static char nothing[1];

void
text_init (struct text *t)
{
  *t = (struct text){.data = nothing};
}

static void
text_reserve (struct text *t, size_t room)
{
  if (room <= t->room)
    return;
  size_t wider = t->room * 2 > room ? t->room * 2 : room + 64;
  char *data = t->room > 0 ? t->data : NULL;
  enum status s =
      mem_grow (&data, data != NULL ? t->size + 1 : 0, wider, 1, "a text");
  if (s != OK)
    status_end (s);
  t->data = data;
  t->room = wider;
}

void
text_add (struct text *t, const char *fmt, ...)
{
  va_list args;
  va_start (args, fmt);
  int n = vsnprintf (NULL, 0, fmt, args);
  va_end (args);
  CHECK (n >= 0, "a text cannot be formatted: %s", fmt);
  text_reserve (t, t->size + (size_t)n + 1);
  va_start (args, fmt);
  vsnprintf (t->data + t->size, (size_t)n + 1, fmt, args);
  va_end (args);
  t->size += (size_t)n;
}

void
text_clear (struct text *t)
{
  if (t->room > 0)
    mem_free (&t->data);
  text_init (t);
}

/* -- numbers for people ---------------------------------------------------- */

static char *
next_buffer (size_t *room)
{
  static _Thread_local char buffers[8][48];
  static _Thread_local int turn;
  turn = (turn + 1) % 8;
  *room = sizeof buffers[0];
  return buffers[turn];
}

/* Digits behind the point, so that three digits count: 1.24, 12.4, 124.  The
 * bounds are where rounding would make a fourth one. */
static int
three_digits (double x)
{
  return x < 9.995 ? 2 : x < 99.95 ? 1 : 0;
}

const char *
text_bytes (double bytes)
{
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  size_t room;
  char *out = next_buffer (&room);
  int unit = 0;
  while (fabs (bytes) >= 999.5 && unit < 5) {
    bytes /= 1000;
    unit++;
  }
  int digits = unit == 0 ? 0 : three_digits (fabs (bytes));
  snprintf (out, room, "%.*f %s", digits, bytes, units[unit]);
  return out;
}

const char *
text_seconds (double s)
{
  size_t room;
  char *out = next_buffer (&room);
  if (!isfinite (s) || fabs (s) > 1e15)
    snprintf (out, room, "?");
  else if (s < 0)
    snprintf (out, room, "-%s", text_seconds (-s));
  else if (s == 0)
    snprintf (out, room, "0 s");
  else if (s < 999.5e-6)
    snprintf (out, room, "%.*f us", three_digits (s * 1e6), s * 1e6);
  else if (s < 999.5e-3)
    snprintf (out, room, "%.*f ms", three_digits (s * 1e3), s * 1e3);
  else if (s < 59.95)
    snprintf (out, room, "%.*f s", three_digits (s), s);
  else {
    long long whole = llround (s);
    if (whole < 3600)
      snprintf (out, room, "%lld min %lld s", whole / 60, whole % 60);
    else if (whole < 100 * 3600)
      snprintf (out, room, "%lld h %lld min", whole / 3600, whole / 60 % 60);
    else
      snprintf (out, room, "%lld d %lld h", whole / 86400, whole / 3600 % 24);
  }
  return out;
}

const char *
text_count (int64_t n)
{
  size_t room;
  char *out = next_buffer (&room), digits[24];
  int n_digits =
      snprintf (digits, sizeof digits, "%llu",
                n < 0 ? 0ULL - (unsigned long long)n : (unsigned long long)n);
  char *p = out;
  if (n < 0)
    *p++ = '-';
  for (int i = 0; i < n_digits; i++) {
    if (i > 0 && (n_digits - i) % 3 == 0)
      *p++ = ',';
    *p++ = digits[i];
  }
  *p = '\0';
  return out;
}

/* -- for a terminal -------------------------------------------------------- */

static bool
is_control (unsigned code)
{
  if (code == '\t' || code == '\n')
    return false;
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
         utf8_is_mark (code) || code == 0xfeff;
}

size_t
text_plain (const char *s, size_t n, char out[TEXT_PLAIN])
{
  unsigned code = 0;
  size_t length = utf8_next (s, n, &code);
  if (length == 0 || code < 0x80) {
    unsigned char c = (unsigned char)s[0];
    bool raw = length == 1 && !is_control (c);
    snprintf (out, TEXT_PLAIN, raw ? "%c" : "\\x%02x", c);
    return 1;
  }
  if (is_control (code))
    snprintf (out, TEXT_PLAIN, "\\u%04x", code & 0xffff);
  else
    snprintf (out, TEXT_PLAIN, "%.*s", (int)length, s);
  return length;
}

/* -- nearest names --------------------------------------------------------- */

#define WORD_MOST 63

static size_t
least (size_t a, size_t b)
{
  return a < b ? a : b;
}

static bool
same_letter (char a, char b)
{
  return tolower ((unsigned char)a) == tolower ((unsigned char)b);
}

/* Optimal string alignment: insertions, deletions, changes and swaps of
 * neighbours, each of cost 1; no part is edited twice. */
static size_t
distance (const char *a, size_t n, const char *b, size_t m)
{
  size_t rows[3][WORD_MOST + 1];
  size_t *two_back = rows[0], *back = rows[1], *now = rows[2];
  for (size_t j = 0; j <= m; j++)
    back[j] = j;
  for (size_t i = 1; i <= n; i++) {
    now[0] = i;
    for (size_t j = 1; j <= m; j++) {
      bool same = same_letter (a[i - 1], b[j - 1]);
      now[j] = least (least (back[j], now[j - 1]) + 1, back[j - 1] + !same);
      if (i > 1 && j > 1 && same_letter (a[i - 1], b[j - 2]) &&
          same_letter (a[i - 2], b[j - 1]))
        now[j] = least (now[j], two_back[j - 2] + 1);
    }
    size_t *spare = two_back;
    two_back = back;
    back = now;
    now = spare;
  }
  return back[m];
}

const char *
text_nearest (const char *word, const char *const *names, size_t n)
{
  const char *best = NULL;
  size_t length = strlen (word);
  if (length == 0 || length > WORD_MOST)
    return NULL;
  /* One slip in three letters is likely a slip; with more it is another word.
   */
  size_t best_distance = (length + 2) / 3 + 1;
  for (size_t i = 0; i < n; i++) {
    size_t m = strlen (names[i]);
    if (m > WORD_MOST)
      continue;
    size_t d = distance (word, length, names[i], m);
    /* A distance of the whole word means that no letter was in common. */
    if (d < best_distance && d < m) {
      best = names[i];
      best_distance = d;
    }
  }
  return best;
}

#define AMONG 32 /* words at most */

int
text_among (const char *words, const char *word, char near[TEXT_NEAR])
{
  char list[AMONG][TEXT_NEAR];
  const char *names[AMONG];
  int n = 0;
  for (const char *p = words; *(p += strspn (p, " "));) {
    size_t length = strcspn (p, " ");
    CHECK (n < AMONG && length < TEXT_NEAR, "a list of choices is too long");
    snprintf (list[n], TEXT_NEAR, "%.*s", (int)length, p);
    if (strcmp (list[n], word) == 0)
      return n;
    names[n] = list[n];
    n++;
    p += length;
  }
  if (near) {
    const char *best = text_nearest (word, names, (size_t)n);
    snprintf (near, TEXT_NEAR, "%s", best ? best : "");
  }
  return -1;
}

/* -- strict parsing -------------------------------------------------------- */

bool
text_piece (const char **at, char *word, size_t room)
{
  size_t n = strcspn (*at, ",");
  if (n == 0 || n >= room)
    return false;
  memcpy (word, *at, n);
  word[n] = '\0';
  *at += n;
  return true;
}

bool
text_to_long (const char *word, int64_t *out)
{
  const char *p = word;
  if (*p == '-' || *p == '+')
    p++;
  if (*p == '\0' || p[strspn (p, "0123456789")] != '\0')
    return false;
  errno = 0;
  long long value = strtoll (word, NULL, 10);
  if (errno != 0)
    return false;
  *out = value;
  return true;
}

bool
text_to_double (const char *word, double *out)
{
  /* The letters of "inf", "nan" and of hexadecimal numbers are not among
   * these; strtod decides about the order of the rest. */
  if (word[0] == '\0' || word[strspn (word, "0123456789+-.eE")] != '\0')
    return false;
  char *end;
  double value = strtod (word, &end);
  if (*end != '\0' || !isfinite (value))
    return false;
  /* Too small for a double is no zero. */
  if (value == 0 && strcspn (word, "123456789") < strcspn (word, "eE"))
    return false;
  *out = value;
  return true;
}

void
text_add_real (struct text *t, double v)
{
  char digits[40];
  for (int n = 1; n <= 17; n++) {
    snprintf (digits, sizeof digits, "%.*g", n, v);
    if (strtod (digits, NULL) == v)
      break;
  }
  text_add (t, "%s", digits);
}
