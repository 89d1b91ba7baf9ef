/* ranks: 0 */
/* tests/base/utf8.c -- every character of UTF-8, and what is none. */
#include "base/utf8.h"
#include "tests/tap.h"

/* As the standard spells a number, however odd. */
static size_t
spell (unsigned code, char out[4])
{
  size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char first[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (size_t i = n; i-- > 1; code >>= 6)
    out[i] = (char)(0x80 | (code & 0x3f));
  out[0] = (char)(first[n] | code);
  return n;
}

static void
test_all (void)
{
  unsigned wrong = 0;
  for (unsigned code = 0; code < 0x1fffff; code++) {
    char s[5] = "";
    unsigned got = 0;
    size_t n = spell (code, s);
    bool none = code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
    size_t want = none ? 0 : n;
    wrong += utf8_next (s, 4, &got) != want || (want > 0 && got != code) ||
             utf8_next (s, n - 1, &got) != 0;
  }
  tap_ok (wrong == 0, "every number, or none: %u wrong", wrong);
}

/* Of three bytes, the characters and nothing else. */
static void
test_none (void)
{
  unsigned n[4] = {0}, code;
  for (unsigned v = 0; v < 1u << 24; v++) {
    char s[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
    n[utf8_next (s, 3, &code)]++;
  }
  tap_ok (n[1] == 0x80u << 16 && n[2] == 0x780u << 8 && n[3] == 0xf800 - 0x800,
          "three bytes: %u, %u, %u of one, two, three", n[1] >> 16, n[2] >> 8,
          n[3]);
}

static void
test_texts (void)
{
  static const char text[] = "a\xc3\xa4\xe2\x80\xa6z";
  tap_ok (utf8_count (text) == 4 && utf8_count ("") == 0 &&
              utf8_at (text, 2) == text + 3 && utf8_at (text, 3)[0] == 'z' &&
              utf8_at (text, 9)[0] == '\0',
          "characters of a text are counted and found");
  tap_ok (utf8_is_mark (0x202e) && utf8_is_mark (0x2069) &&
              !utf8_is_mark (0x2026) && !utf8_is_mark (0x206a),
          "marks that turn or break a line");
}

int
main (void)
{
  test_all ();
  test_none ();
  test_texts ();
  return tap_done ();
}
