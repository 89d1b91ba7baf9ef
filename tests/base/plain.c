/* ranks: 0 */
/* tests/base/plain.c -- what comes from files is fit for a terminal when it is
 * said, put or kept in the log.
 */
#include "base/log.h"
#include "base/status.h"
#include "base/text.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
test_characters (void)
{
  static const struct {
    const char *in, *out;
  } rows[] = {
      {"plain text, 100 %\t\n", "plain text, 100 %\t\n"},
      {"\x1b[2J\x1b]0;t\x07", "\\x1b[2J\\x1b]0;t\\x07"},
      {"a\rb\bc\vd\fe\x7f", "a\\x0db\\x08c\\x0bd\\x0ce\\x7f"},
      {"Gr\xc3\xb6\xc3\x9f"
       "e \xe2\x96\x81 \xe6\xbc\xa2 \xf0\x9f\x98\x80",
       "Gr\xc3\xb6\xc3\x9f"
       "e \xe2\x96\x81 \xe6\xbc\xa2 \xf0\x9f\x98\x80"},
      {"\xc2\xa0\xc2\x9b"
       "2J\xc2\x80",
       "\xc2\xa0\\u009b2J\\u0080"},
      {"\xe2\x80\xae"
       "gpj",
       "\\u202egpj"},
      {"\xe2\x81\xa7\xe2\x81\xaa", "\\u2067\xe2\x81\xaa"},
      {"\x9b"
       "2J\xff\xfe",
       "\\x9b2J\\xff\\xfe"},
      {"\xc0\x9b\xe0\x80\x9b", "\\xc0\\x9b\\xe0\\x80\\x9b"},
      {"\xed\xa0\x80\xf4\x90\x80\x80\xf5", /* half a pair; beyond the last */
       "\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xf5"},
      {"\xc3", "\\xc3"},
      {"\xe6\xbc", "\\xe6\\xbc"},
      {"\xe6\x1b\xa2", "\\xe6\\x1b\\xa2"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char all[128] = "", one[TEXT_PLAIN];
    const char *p = rows[i].in;
    for (size_t left = strlen (p); left > 0;) {
      size_t took = text_plain (p, left, one);
      strcat (all, one);
      p += took;
      left -= took;
    }
    tap_ok (strcmp (all, rows[i].out) == 0, "row %zu", i);
  }
  char one[TEXT_PLAIN];
  tap_ok (text_plain ("", 1, one) == 1 && !strcmp (one, "\\x00"), "NUL");
}

static size_t
read_back (const char *path, char *out, size_t room)
{
  int fd = open (path, O_RDONLY);
  ssize_t n = fd >= 0 ? read (fd, out, room - 1) : 0;
  if (fd >= 0)
    close (fd);
  out[n > 0 ? n : 0] = '\0';
  return n > 0 ? (size_t)n : 0;
}

static void
test_streams (void)
{
  char path[] = "/tmp/il-plain-XXXXXX", log[] = "/tmp/il-plain-XXXXXX";
  static char got[1 << 14], kept[1 << 14], wide[3000];
  int fd = mkstemp (path), fd_log = mkstemp (log);
  FILE *f = fdopen (fd_log, "w");
  fflush (stdout);
  int before = dup (1);
  if (fd < 0 || !f || before < 0 || dup2 (fd, 1) < 0)
    exit (1);
  memset (wide, 0x1b, sizeof wide - 1);
  log_file_set (f);
  say (LOG_INFO, "name \"%s\"", "\x1b]0;t\x07x\xc3\xa4");
  put ("%s\n", "\x1b[2J");
  say (LOG_INFO, "%s", wide); /* four times as long as it is */
  log_file_set (NULL);
  put_piece ("\xc3", 1); /* a character in two pieces */
  put_piece ("\xa4\x1b", 2);
  put_piece ("\xc2", 1);
  put_piece ("\x9b|\xc2", 3);
  put_piece ("\xa9\0", 2);
  put_piece ("\xc2", 1);
  put ("\n");
  fflush (stdout);
  dup2 (before, 1);
  close (before);
  close (fd);
  fclose (f);
  size_t n = read_back (path, got, sizeof got);
  size_t m = read_back (log, kept, sizeof kept);
  unlink (path);
  unlink (log);
  tap_ok (n > 0 && m > 0 && !memchr (got, 0x1b, n) && !memchr (kept, 0x1b, m),
          "no escape on the terminal, none in the log");
  static const char begin[] =
      "name \"\\x1b]0;t\\x07x\xc3\xa4\"\n\\x1b[2J\n\\x1b\\x1b";
  tap_ok (!strncmp (got, begin, strlen (begin)) &&
              !strncmp (kept, begin, strlen (begin)),
          "said and put");
  static const char end[] = " ...\n\xc3\xa4\\x1b\\u009b|\xc2\xa9\\x00\xc2\n";
  tap_ok (n > strlen (end) && !strcmp (got + n - strlen (end), end),
          "a line too long is cut; pieces");
}

int
main (void)
{
  log_level_set (LOG_INFO);
  test_characters ();
  test_streams ();
  return tap_done ();
}
