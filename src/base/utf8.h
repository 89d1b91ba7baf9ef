/* base/utf8.h -- characters of UTF-8, by table 3-7 of the Unicode standard: no
 * longer spelling than needed, no surrogates, nothing behind U+10FFFF.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* What of a character is still to come; all 0 before one. */
struct utf8 {
  int left;        /* bytes */
  unsigned lo, hi; /* what the next of them may be */
};
/* The next byte; false where it cannot stand there. */
bool
utf8_step (struct utf8 *u, unsigned char c);

/* Bytes of the character at s, n bytes at most, and its number; 0: it is none.
 * With a text that ends with 0, n may be 4. */
size_t
utf8_next (const char *s, size_t n, unsigned *code);

/* For texts that need not be UTF-8: the bytes of a character by its first one;
 * whether one begins with c; how many do in s; where the n-th of them does, the
 * end where there are fewer. */
static inline size_t
utf8_bytes (unsigned char first)
{
  return first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
bool
utf8_begins (char c);
int
utf8_count (const char *s);
const char *
utf8_at (const char *s, int n);

/* A mark that breaks lines or turns the direction of writing. */
bool
utf8_is_mark (unsigned code);

#endif
