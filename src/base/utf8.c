/* base/utf8.c -- characters of UTF-8. */
#include "base/utf8.h"

bool
utf8_step (struct utf8 *u, unsigned char c)
{
  if (u->left > 0) {
    bool good = c >= u->lo && c <= u->hi;
    u->left--;
    u->lo = 0x80;
    u->hi = 0xbf;
    return good;
  }
  if (c < 0x80)
    return true;
  if (c < 0xc2 || c > 0xf4)
    return false;
  u->left = (int)utf8_bytes (c) - 1;
  u->lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  u->hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  return true;
}

size_t
utf8_next (const char *s, size_t n, unsigned *code)
{
  struct utf8 u = {0};
  unsigned value = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)s[i];
    if (!utf8_step (&u, c))
      return 0;
    /* A first byte of n begins with n bits set and one that is not. */
    value = i > 0        ? value << 6 | (c & 0x3f)
            : u.left > 0 ? c & (0x3fu >> u.left)
                         : c;
    if (u.left == 0) {
      *code = value;
      return i + 1;
    }
  }
  return 0;
}

bool
utf8_begins (char c)
{
  return ((unsigned char)c & 0xc0) != 0x80;
}

int
utf8_count (const char *s)
{
  int n = 0;
  for (; *s; s++)
    n += utf8_begins (*s);
  return n;
}

const char *
utf8_at (const char *s, int n)
{
  for (; *s; s++)
    if (utf8_begins (*s) && n-- == 0)
      break;
  return s;
}

bool
utf8_is_mark (unsigned code)
{
  return code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code < 0x202f) || (code >= 0x2066 && code < 0x206a);
}
