/* base/log.c -- what people read: levels, stamps, colours, the live line.
 *
 * A line is formatted first and written at once, so that lines of several ranks
 * do not mix.  Nothing here allocates: a training step may speak.
 */
#include "base/log.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/place.h"
#include "base/status.h"
#include "base/text.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 4096

static const char *const level_names[] = {"error", "warn", "info", "debug",
                                          "trace"};
#define N_LEVELS ((int)(sizeof level_names / sizeof level_names[0]))

static int level_now = -1; /* -1: not yet looked up */
static FILE *log_file;
static bool live_shown; /* the cursor stands behind a live line */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void
log_level_set (enum log_level level)
{
  level_now = (int)level;
}

enum log_level
log_level_get (void)
{
  if (level_now < 0) {
    level_now = LOG_INFO;
    const char *word = getenv ("INTERLOCK_LOG");
    for (int i = 0; word != NULL && i < N_LEVELS; i++)
      if (strcmp (word, level_names[i]) == 0)
        level_now = i;
  }
  return (enum log_level)level_now;
}

void
log_file_set (FILE *file)
{
  pthread_mutex_lock (&lock);
  if (log_file != NULL)
    fflush (log_file);
  log_file = file;
  pthread_mutex_unlock (&lock);
}

static bool
stream_is_terminal (FILE *stream)
{
  const char *term = getenv ("TERM");
  if (term != NULL && strcmp (term, "dumb") == 0)
    return false;
  return isatty (fileno (stream)) != 0;
}

/* mpirun gives its ranks a pseudo-terminal as stdout wherever its own output
 * goes; stderr stays a pipe.  Then what counts is where the launcher writes. */
static bool
launcher_has_terminal (void)
{
  char link[64];
  snprintf (link, sizeof link, "/proc/%ld/fd/1", (long)getppid ());
  int fd = open (link, O_WRONLY | O_NOCTTY | O_CLOEXEC);
  if (fd < 0)
    return false;
  bool terminal = isatty (fd) != 0;
  close (fd);
  return terminal;
}

bool
log_is_terminal (void)
{
  static int known = -1;
  if (known < 0)
    known = stream_is_terminal (stdout) &&
            (isatty (STDERR_FILENO) || launcher_has_terminal ());
  return known;
}

/* NO_COLOR counts when it is set to anything but an empty text. */
static bool
stream_has_colour (FILE *stream)
{
  const char *no = getenv ("NO_COLOR");
  return (no == NULL || no[0] == '\0') && stream_is_terminal (stream);
}

static void
live_erase (void)
{
  if (live_shown)
    fputs ("\r\033[K", stdout);
  live_shown = false;
}

/* Spelling out control characters makes a line longer.  One that does not fit
 * the buffer is cut and ends in " ...". */
static void
line_format (char line[LINE_BYTES], const char *fmt, va_list args)
{
  char raw[LINE_BYTES], piece[TEXT_PLAIN];
  int n = vsnprintf (raw, sizeof raw, fmt, args);
  size_t left = n < 0 ? 0 : strlen (raw), have = 0;
  bool cut = n >= (int)sizeof raw;
  for (const char *p = raw; left > 0;) {
    size_t took = text_plain (p, left, piece), m = strlen (piece);
    if (have + m + 5 > LINE_BYTES) {
      cut = true;
      break;
    }
    memcpy (line + have, piece, m);
    have += m;
    p += took;
    left -= took;
  }
  memcpy (line + have, cut ? " ..." : "", cut ? 5 : 1);
}

static void
line_write (enum log_level level, const char *stamp, const char *text)
{
  static const char *const words[] = {"interlock: ", "interlock: warning: ", "",
                                      "debug: ", "trace: "};
  static const char *const colours[] = {"\033[1;31m", "\033[1;33m"};
  FILE *stream = level <= LOG_WARN ? stderr : stdout;
  pthread_mutex_lock (&lock);
  live_erase ();
  fflush (stdout);
  char line[LINE_BYTES + 256];
  int n;
  if (level <= LOG_WARN && stream_has_colour (stream))
    n = snprintf (line, sizeof line, "%s%s\033[0m%s%s\n", colours[level],
                  words[level], stamp, text);
  else
    n = snprintf (line, sizeof line, "%s%s%s\n", words[level], stamp, text);
  if (n > 0)
    fwrite (line, 1, strlen (line), stream);
  fflush (stream);
  if (log_file != NULL) {
    fprintf (log_file, "%s%s%s\n", words[level], stamp, text);
    fflush (log_file);
  }
  pthread_mutex_unlock (&lock);
}

void
say (enum log_level level, const char *fmt, ...)
{
  if (level > log_level_get () || place_rank () != 0)
    return;
  char text[LINE_BYTES];
  va_list args;
  va_start (args, fmt);
  line_format (text, fmt, args);
  va_end (args);
  line_write (level, "", text);
}

void
tell (enum log_level level, const char *fmt, ...)
{
  if (level > log_level_get ())
    return;
  char text[LINE_BYTES], stamp[160];
  va_list args;
  va_start (args, fmt);
  line_format (text, fmt, args);
  va_end (args);
  snprintf (stamp, sizeof stamp, "%s: ", place_text ());
  line_write (level, stamp, text);
}

static void
write_plain (const char *text, size_t n)
{
  char piece[TEXT_PLAIN];
  for (size_t i = 0; i < n;) {
    i += text_plain (text + i, n - i, piece);
    fputs (piece, stdout);
    if (log_file != NULL)
      fputs (piece, log_file);
  }
}

/* The controls U+0080 to U+009F are two bytes in UTF-8, c2 80 to c2 9f, and a
 * model may write them in two pieces.  So a c2 is held back until the next byte
 * tells whether it began a control or an ordinary character. */
static bool half_c1;

static void
write_byte (unsigned char c)
{
  char word[TEXT_PLAIN];
  bool c1 = half_c1 && c >= 0x80 && c < 0xa0;
  if (half_c1 && !c1)
    fputc (0xc2, stdout);
  half_c1 = c == 0xc2;
  if (c1)
    snprintf (word, sizeof word, "\\u%04x", c);
  else if ((c < 0x20 && !strchr ("\t\n\r", c)) || c == 0 || c == 0x7f)
    snprintf (word, sizeof word, "\\x%02x", c);
  else {
    if (!half_c1)
      fputc (c, stdout);
    return;
  }
  fputs (word, stdout);
}

static void
put_begin (void)
{
  pthread_mutex_lock (&lock);
  live_erase ();
}

static void
put_end (void)
{
  fflush (stdout);
  if (log_file != NULL)
    fflush (log_file);
  pthread_mutex_unlock (&lock);
}

void
put (const char *fmt, ...)
{
  if (place_rank () != 0)
    return;
  char few[LINE_BYTES], *text = few;
  va_list args;
  va_start (args, fmt);
  int n = vsnprintf (few, sizeof few, fmt, args);
  va_end (args);
  if (n >= (int)sizeof few && MEM_NEW ((size_t)n + 1, &text, "output") == OK) {
    va_start (args, fmt);
    vsnprintf (text, (size_t)n + 1, fmt, args);
    va_end (args);
  }
  put_begin ();
  if (half_c1)
    fputc (0xc2, stdout);
  half_c1 = false;
  write_plain (text, n < 0 ? 0 : strlen (text));
  put_end ();
  if (text != few)
    mem_free (&text);
}

void
put_piece (const char *piece, size_t n)
{
  if (place_rank () != 0)
    return;
  put_begin ();
  for (size_t i = 0; i < n; i++)
    write_byte ((unsigned char)piece[i]);
  put_end ();
}

bool
put_done (void)
{
  return fflush (stdout) == 0 && !ferror (stdout);
}

void
log_live (const char *fmt, ...)
{
  if (place_rank () != 0 || log_level_get () < LOG_INFO || !log_is_terminal ())
    return;
  char text[LINE_BYTES];
  va_list args;
  va_start (args, fmt);
  line_format (text, fmt, args);
  va_end (args);
  pthread_mutex_lock (&lock);
  fprintf (stdout, "\r%s\033[K", text);
  fflush (stdout);
  live_shown = true;
  pthread_mutex_unlock (&lock);
}

#define LIVE_S 0.1 /* between two states of the live line */
static double progress_s = 30, progress_last_s = -1;

void
log_progress_begin (void)
{
  progress_last_s = log_is_terminal () ? 0 : clock_now_s ();
}

void
log_progress_rate (double seconds)
{
  progress_s = seconds;
}

void
log_progress (const char *fmt, ...)
{
  const double now = clock_now_s ();
  const bool live = log_is_terminal ();
  place_move ();
  if (progress_last_s < 0)
    log_progress_begin ();
  if (now - progress_last_s < (live ? LIVE_S : progress_s))
    return;
  progress_last_s = now;
  char text[LINE_BYTES];
  va_list args;
  va_start (args, fmt);
  line_format (text, fmt, args);
  va_end (args);
  if (live)
    log_live ("%s", text);
  else
    say (LOG_INFO, "%s", text);
}

void
log_live_done (void)
{
  pthread_mutex_lock (&lock);
  if (live_shown)
    fputc ('\n', stdout);
  live_shown = false;
  fflush (stdout);
  pthread_mutex_unlock (&lock);
}
