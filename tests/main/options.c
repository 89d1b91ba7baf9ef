/* ranks: 0 */
/* tests/main/options.c -- words of a command line by rows of options that no
 * command has: what each kind takes, and every complaint; wrong words are rows
 * too. */
#include "main/main.h"
#include "tests/tap.h"

struct options {
  struct given given;
  bool dry;
  const char *name, *split;
  int n;
  int64_t far;
  double share, bytes;
  char mark;
};

static bool
mark (void *field, const char *value)
{
  *(char *)field = value ? value[0] : '-';
  return !value || value[1] == '\0';
}

/* clang-format off */
static const struct flag flags[] = {
  { "dry-run", 0, NULL, "", INTO_BOOL (dry) },
  { "name", 'n', "NAME", "", INTO_TEXT (name) },
  { "split", 0, "NAME", "", INTO_SPLIT (split) },
  { "count", 'c', "N", "", INTO_INT (n, -2, 9) },
  { "far", 0, "N", "", INTO_INT64 (far, 0, INT64_MAX) },
  { "share", 0, "PERCENT", "", INTO_REAL (share, 0, 100, 0.01),
    .wanted = "0 to 100" },
  { "memory", 0, "GB", "", INTO_BYTES (bytes) },
  { "mark", 0, "[=X]", "", BY (mark, mark), .wanted = "a letter" },
  { 0 }
};
/* clang-format on */

#define WORDS 6
#define THE(...)        \
  {                     \
    "test", __VA_ARGS__ \
  }

/* What is left of the words, and what was said. */
static const struct {
  const char *argv[WORDS + 1];
  struct options got; /* but for names of options and words behind them */
  const char *rest, *wrong;
} table[] = {
    {THE ("a", "b"), {.n = 1}, "a b", ""},
    {THE ("--dry-run", "a"), {.dry = true, .n = 1}, "a", ""},
    {THE ("a", "--dry", "b"), {.dry = true, .n = 1}, "a b", ""},
    {THE ("--name", "x", "y"), {.name = "x", .n = 1}, "y", ""},
    {THE ("--name=x", "y"), {.name = "x", .n = 1}, "y", ""},
    {THE ("-nx", "-n", "y"), {.name = "y", .n = 1}, "", ""},
    {THE ("--name=", "--", "-z"), {.name = "", .n = 1}, "-z", ""},
    {THE ("--count", "-2"), {.n = -2}, "", ""},
    {THE ("-c", "9", "--count=3"), {.n = 3}, "", ""},
    {THE ("--far=9223372036854775807"), {.n = 1, .far = INT64_MAX}, "", ""},
    {THE ("--split", "test"), {.n = 1, .split = "test"}, "", ""},
    {THE ("--share", "50"), {.n = 1, .share = 0.5}, "", ""},
    {THE ("--share=0"), {.n = 1}, "", ""},
    {THE ("--memory", "0.5"), {.n = 1, .bytes = 5e8}, "", ""},
    {THE ("--mark", "a"), {.n = 1, .mark = '-'}, "a", ""},
    {THE ("--mark=a"), {.n = 1, .mark = 'a'}, "", ""},
    {THE ("-h", "--version"),
     {.given = {.help = true, .version = true}, .n = 1},
     "",
     ""},

    {THE ("--count", "10"),
     {.n = 1},
     "",
     "--count 10: wanted an integer from -2 to 9\n"},
    {THE ("--count=x", "--far", "-1"),
     {.n = 1},
     "",
     "--count x: wanted an integer from -2 to 9\n"
     "--far -1: wanted an integer from 0 to 9223372036854775807\n"},
    {THE ("--share", "101"), {.n = 1}, "", "--share 101: wanted 0 to 100\n"},
    {THE ("--memory", "0"),
     {.n = 1},
     "",
     "--memory 0: wanted gigabytes, more than 0\n"},
    {THE ("--split", "tests"),
     {.n = 1},
     "",
     "--split tests: wanted train, valid or test; did you mean test?\n"},
    {THE ("--mark=ab"),
     {.n = 1, .mark = 'a'},
     "",
     "--mark=ab: wanted a letter\n"},
    {THE ("a", "--name"), {.n = 1}, "a", "--name wants an argument\n"},
    {THE ("-c"), {.n = 1}, "", "-c wants an argument\n"},
    {THE ("--nmae", "x"),
     {.n = 1},
     "x",
     "--nmae is not an option of test; did you mean --name?\n"},
    {THE ("--quite"),
     {.n = 1},
     "",
     "--quite is not an option of test; did you mean --quiet?\n"},
    {THE ("--zzz=3"), {.n = 1}, "", "--zzz is not an option of test\n"},
    {THE ("-x"), {.n = 1}, "", "-x is not an option of test\n"},
};

static bool
same_text (const char *a, const char *b)
{
  return a && b ? strcmp (a, b) == 0 : a == b;
}

static bool
same (const struct options *a, const struct options *b)
{
  return a->given.help == b->given.help &&
         a->given.version == b->given.version && a->dry == b->dry &&
         same_text (a->name, b->name) && same_text (a->split, b->split) &&
         a->n == b->n && a->far == b->far && a->share == b->share &&
         a->bytes == b->bytes && a->mark == b->mark;
}

int
main (void)
{
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    struct options o = {.n = 1};
    struct text wrong, rest, line;
    char *argv[WORDS + 2] = {0};
    int argc = 0;
    text_init (&wrong);
    text_init (&rest);
    text_init (&line);
    for (; table[i].argv[argc]; argc++) {
      argv[argc] = (char *)(uintptr_t)table[i].argv[argc];
      text_add (&line, "%s ", argv[argc]);
    }
    int end = options_parse ("test", flags, argc, argv, &o, &wrong);
    for (int j = end; j < argc; j++)
      text_add (&rest, "%s%s", j > end ? " " : "", argv[j]);
    bool good = same (&o, &table[i].got) &&
                strcmp (rest.data, table[i].rest) == 0 &&
                strcmp (wrong.data, table[i].wrong) == 0;
    if (!good)
      printf ("# left: %s; said: %s\n", rest.data, wrong.data);
    tap_ok (good, "%s", line.data);
    text_clear (&wrong);
    text_clear (&rest);
    text_clear (&line);
  }
  return tap_done ();
}
