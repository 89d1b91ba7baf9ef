/* ranks: 0 */
/* tests/base/text.c -- growing strings, numbers for people, strict parsing, and
 * nearest names against a slow obvious twin. */
#include "base/text.h"
#include "base/memory.h"
#include "base/random.h"
#include "tests/tap.h"
#include <stdlib.h>

static void
test_growing (void)
{
  struct text t;
  char want[6000] = "";
  size_t bytes, blocks, peak;
  text_init (&t);
  tap_ok (t.data != NULL && t.data[0] == '\0' && t.size == 0, "begins empty");
  for (int i = 0; i < 1000; i++) {
    char piece[16];
    snprintf (piece, sizeof piece, "%d,", i * 7);
    strcat (want, piece);
    text_add (&t, "%d,", i * 7);
  }
  tap_ok (strcmp (t.data, want) == 0 && t.size == strlen (want),
          "a thousand pieces");
  text_add (&t, "%s", "");
  tap_ok (t.size == strlen (want), "adding nothing");
  text_clear (&t);
  tap_ok (t.size == 0 && t.data[0] == '\0', "empty after clear");
  text_add (&t, "again");
  tap_ok (strcmp (t.data, "again") == 0, "usable after clear");
  text_clear (&t);
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0 && bytes == 0, "nothing left behind");
}

static void
test_people (void)
{
  static const struct {
    double bytes;
    const char *want;
  } sizes[] = {{0, "0 B"},           {999, "999 B"},     {1000, "1.00 kB"},
               {1536, "1.54 kB"},    {312e3, "312 kB"},  {999.6e3, "1.00 MB"},
               {12.34e6, "12.3 MB"}, {1.5e9, "1.50 GB"}, {2e12, "2.00 TB"}};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    tap_ok (strcmp (text_bytes (sizes[i].bytes), sizes[i].want) == 0,
            "%.0f bytes are %s: %s", sizes[i].bytes, sizes[i].want,
            text_bytes (sizes[i].bytes));
  static const struct {
    double s;
    const char *want;
  } times[] = {{0, "0 s"},           {2.5e-6, "2.50 us"},  {0.310, "310 ms"},
               {0.00999, "9.99 ms"}, {1.24, "1.24 s"},     {12.34, "12.3 s"},
               {200, "3 min 20 s"},  {59.97, "1 min 0 s"}, {3725, "1 h 2 min"},
               {-3, "-3.00 s"},      {500000, "5 d 18 h"}, {NAN, "?"}};
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
    tap_ok (strcmp (text_seconds (times[i].s), times[i].want) == 0,
            "%g s are %s: %s", times[i].s, times[i].want,
            text_seconds (times[i].s));
  static const struct {
    int64_t n;
    const char *want;
  } counts[] = {{0, "0"},
                {7, "7"},
                {999, "999"},
                {1000, "1,000"},
                {466906, "466,906"},
                {-1234567, "-1,234,567"},
                {INT64_MIN, "-9,223,372,036,854,775,808"}};
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
    tap_ok (strcmp (text_count (counts[i].n), counts[i].want) == 0, "count %s",
            counts[i].want);
  const char *first = text_count (1);
  for (int i = 0; i < 7; i++)
    (void)text_count (2);
  tap_ok (strcmp (first, "1") == 0, "eight results live side by side");
}

static void
test_parsing (void)
{
  static const struct {
    const char *word;
    bool good;
    int64_t value;
  } longs[] = {
      {"0", true, 0},
      {"42", true, 42},
      {"-7", true, -7},
      {"+7", true, 7},
      {"007", true, 7},
      {"9223372036854775807", true, INT64_MAX},
      {"-9223372036854775808", true, INT64_MIN},
      {"9223372036854775808", false, 0},
      {"-9223372036854775809", false, 0},
      {"", false, 0},
      {"-", false, 0},
      {"--1", false, 0},
      {" 1", false, 0},
      {"1 ", false, 0},
      {"1e3", false, 0},
      {"0x10", false, 0},
      {"1.0", false, 0},
      {"1\n", false, 0},
      {"one", false, 0},
  };
  for (size_t i = 0; i < sizeof longs / sizeof longs[0]; i++) {
    int64_t value = 12345;
    bool good = text_to_long (longs[i].word, &value);
    tap_ok (good == longs[i].good &&
                value == (good ? longs[i].value : INT64_C (12345)),
            "integer '%s'", longs[i].word);
  }
  static const struct {
    const char *word;
    bool good;
    double value;
  } doubles[] = {
      {"0", true, 0},       {"0.1", true, 0.1},    {"-2.5e-3", true, -0.0025},
      {"1e-400", false, 0}, {"0.0e-400", true, 0}, {"1e400", false, 0},
      {".5", true, 0.5},    {"5.", true, 5},       {"1e3", true, 1000},
      {"+1E+2", true, 100}, {"", false, 0},        {".", false, 0},
      {"1e", false, 0},     {"e5", false, 0},      {"1.2.3", false, 0},
      {"inf", false, 0},    {"nan", false, 0},     {"0x1p3", false, 0},
      {" 1", false, 0},     {"1 ", false, 0},      {"1,5", false, 0},
      {"1e999", false, 0},  {"1-2", false, 0},     {"infinity", false, 0},
  };
  for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
    double value = 12345;
    bool good = text_to_double (doubles[i].word, &value);
    tap_ok (good == doubles[i].good &&
                value == (good ? doubles[i].value : 12345.0),
            "number '%s'", doubles[i].word);
  }
}

/* -- nearest names --------------------------------------------------------- */

/* By trying every edit at the end of both words. */
static int
slow_distance (const char *a, int n, const char *b, int m)
{
  if (n == 0 || m == 0)
    return n + m;
  int best = slow_distance (a, n - 1, b, m) + 1;
  int other = slow_distance (a, n, b, m - 1) + 1;
  best = other < best ? other : best;
  other = slow_distance (a, n - 1, b, m - 1) + (a[n - 1] != b[m - 1]);
  best = other < best ? other : best;
  if (n > 1 && m > 1 && a[n - 1] == b[m - 2] && a[n - 2] == b[m - 1]) {
    other = slow_distance (a, n - 2, b, m - 2) + 1;
    best = other < best ? other : best;
  }
  return best;
}

static const char *
slow_nearest (const char *word, const char *const *names, size_t n)
{
  int length = (int)strlen (word), most = (length + 2) / 3;
  const char *best = NULL;
  for (int d = 0; d <= most && best == NULL; d++)
    for (size_t i = 0; i < n && best == NULL; i++) {
      int m = (int)strlen (names[i]);
      if (slow_distance (word, length, names[i], m) == d && d < m)
        best = names[i];
    }
  return best;
}

static void
random_word (uint64_t i, char out[6])
{
  struct random_key key = {9, RANDOM_TEST, i, 0};
  int length = 1 + (int)random_below (&key, 0, 5);
  for (int j = 0; j < length; j++)
    out[j] = (char)('a' + random_below (&key, 1 + (uint64_t)j, 3));
  out[length] = '\0';
}

static void
test_twin (void)
{
  int n_none = 0, n_some = 0;
  bool same = true;
  for (uint64_t trial = 0; trial < 300; trial++) {
    char words[6][6];
    const char *names[5];
    for (uint64_t i = 0; i < 6; i++)
      random_word (trial * 6 + i, words[i]);
    for (int i = 0; i < 5; i++)
      names[i] = words[i + 1];
    const char *got = text_nearest (words[0], names, 5);
    const char *want = slow_nearest (words[0], names, 5);
    same = same && got == want;
    n_none += want == NULL;
    n_some += want != NULL;
  }
  tap_ok (same, "as the slow twin finds, 300 times");
  tap_ok (n_none > 10 && n_some > 10, "near and far words were among them");
}

static void
test_nearest (void)
{
  static const char *const names[] = {"train",  "eval",     "plan",
                                      "verify", "import",   "info",
                                      "probe",  "momentum", "weight_decay"};
  static const struct {
    const char *word, *want;
  } rows[] = {
      {"trian", "train"},
      {"tran", "train"},
      {"vrify", "verify"},
      {"pln", "plan"},
      {"momentun", "momentum"},
      {"weigth_decay", "weight_decay"},
      {"weightdecay", "weight_decay"},
      {"TRAIN", "train"},
      {"train", "train"},
      {"banana", NULL},
      {"", NULL},
      {"zq", NULL},
      {"x", NULL},
  };
  size_t n = sizeof names / sizeof names[0];
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const char *got = text_nearest (rows[i].word, names, n);
    bool good = rows[i].want == NULL
                    ? got == NULL
                    : got != NULL && strcmp (got, rows[i].want) == 0;
    tap_ok (good, "'%s' is near %s", rows[i].word,
            rows[i].want != NULL ? rows[i].want : "nothing");
  }
  char endless[300];
  memset (endless, 'a', sizeof endless - 1);
  endless[sizeof endless - 1] = '\0';
  tap_ok (text_nearest (endless, names, n) == NULL, "an endless word");
}

int
main (void)
{
  test_growing ();
  test_people ();
  test_parsing ();
  test_nearest ();
  test_twin ();
  return tap_done ();
}
