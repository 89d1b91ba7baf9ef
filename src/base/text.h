/* base/text.h -- growing strings, numbers for people, nearest names. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

struct text {
  char *data;  /* NUL-terminated; owned; "" when empty (never NULL) */
  size_t size; /* without the NUL */
  size_t room;
};
/* init never fails (points at a static empty string until something is added).
 * add: formatted; running out of memory is a CHECK. */
void
text_init (struct text *t);
void
text_add (struct text *t, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));
void
text_clear (struct text *t);

/* "1.5 GB", "312 kB"; "3 min 20 s", "1.24 s", "310 ms"; "466,906".  The result
 * is one of eight rotating static buffers. */
const char *
text_bytes (double bytes);
const char *
text_seconds (double s);
const char *
text_count (int64_t n);

/* Text that comes from a file or another program, made fit for a terminal.
 * Of the n > 0 bytes at s takes one character and returns how many bytes it
 * has; out gets it as it is, or spelt out ("\x1b", "\u202e") where it is a
 * control character other than tab and newline, turns the direction of what
 * follows, or is no UTF-8. */
#define TEXT_PLAIN 8
size_t
text_plain (const char *s, size_t n, char out[TEXT_PLAIN]);

/* The entry of names[0..n-1] nearest to word (optimal string alignment
 * distance), or NULL when none is near enough to be a likely slip. */
const char *
text_nearest (const char *word, const char *const *names, size_t n);

/* The entry of blank-separated `words` that equals or (near) resembles word:
 * its number, or -1; near (may be NULL) gets the resembling entry or "". */
#define TEXT_NEAR 64
int
text_among (const char *words, const char *word, char near[TEXT_NEAR]);

/* Copy the piece in front of the next comma, or the end, into word and step
 * over it; false when it is empty or does not fit. */
bool
text_piece (const char **at, char *word, size_t room);

/* Strict parsing of a whole word; false when it is not one.  "1e3", "0x10" and
 * blanks around are refused for integers. */
bool
text_to_long (const char *word, int64_t *out);
bool
text_to_double (const char *word, double *out);
/* Add the shortest digits that give the same double back. */
void
text_add_real (struct text *t, double v);

#endif
