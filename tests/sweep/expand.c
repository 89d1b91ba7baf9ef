/* ranks: 0 */
/* tests/sweep/expand.c -- from lines of a sweep file to runs, on a made-up
 * program of four keys: what is asked of it, and nothing else, decides.
 *
 * Expected runs are written by hand.
 */
#include "base/memory.h"
#include "sweep/sweep_impl.h"
#include "tests/tap.h"

/* a.n and a.m: integers from 0 to 99; a.word: any; a.list: with commas. */
static const char *const keys[] = {"a.n", "a.m", "a.word", "a.list"};
static const char *const defaults[] = {"1", "2", "none", "1,1"};
#define KEYS 4

static struct {
  char value[KEYS][64];
} now;

static int
number_of (const char *name)
{
  for (int i = 0; i < KEYS; i++)
    if (strcmp (keys[i], name) == 0)
      return i;
  return -1;
}

static bool
key (void *context, const char *name, bool *list, struct text *near)
{
  (void)context;
  int i = number_of (name);
  *list = i == 3;
  if (i < 0)
    text_add (near, "; did you mean a.n?");
  return i >= 0;
}

static bool
value (void *context, const char *name, const char *word, struct text *why)
{
  int64_t n;
  (void)context;
  if (number_of (name) > 1 || (text_to_long (word, &n) && n >= 0 && n < 100))
    return true;
  text_add (why, "wanted an integer");
  return false;
}

static int
resolve (void *context, int n, const char *const *words, struct text *wrong)
{
  (void)context;
  (void)wrong;
  for (int i = 0; i < KEYS; i++)
    snprintf (now.value[i], 64, "%s", defaults[i]);
  for (int i = 0; i < n; i++) {
    char name[64];
    const char *equals = strchr (words[i], '=');
    snprintf (name, sizeof name, "%.*s", (int)(equals - words[i]), words[i]);
    snprintf (now.value[number_of (name)], 64, "%s", equals + 1);
  }
  return 0;
}

/* a.n = 99 means as many as a.m. */
static void
get (void *context, const char *name, const char *word, struct text *out)
{
  (void)context;
  int i = number_of (name);
  const char *v = word ? word : now.value[i];
  text_add (out, "%s", i == 0 && strcmp (v, "99") == 0 ? now.value[1] : v);
}

static void
canonical (void *context, struct text *out)
{
  for (int i = 0; i < KEYS; i++) {
    text_add (out, " ");
    get (context, keys[i], NULL, out);
  }
}

static int
ranks (void *context, int most)
{
  (void)context;
  int64_t m = 0;
  text_to_long (now.value[1], &m);
  return most > 0 && most < m ? most : (int)m;
}

static int64_t
steps (void *context)
{
  (void)context;
  return 10;
}

static const struct sweep_door door = {
    .key = key,
    .value = value,
    .resolve = resolve,
    .get = get,
    .canonical = canonical,
    .ranks = ranks,
    .steps = steps,
};

#define LINES 6

struct row {
  const char *name;
  const char *lines[LINES][2]; /* ends at NULL */
  const char *runs; /* words of each run, "; " behind each; NULL: refused */
  const char *say;  /* part of the complaints */
  int excluded, equal;
};

static const struct row rows[] = {
    {"no key: one run", {{0}}, "; ", NULL, 0, 0},
    {"the last key changes fastest",
     {{"a.n", "1, 2"}, {"a.m", "3,4"}},
     "a.n=1 a.m=3; a.n=1 a.m=4; a.n=2 a.m=3; a.n=2 a.m=4; ",
     NULL,
     0,
     0},
    {"a range",
     {{"a.n", "3..5, 8"}},
     "a.n=3; a.n=4; a.n=5; a.n=8; ",
     NULL,
     0,
     0},
    {"commas of a list's own",
     {{"a.list", "1,2 | 3"}},
     "a.list=1,2; a.list=3; ",
     NULL,
     0,
     0},
    {"one value of a list", {{"a.list", "1,2"}}, "a.list=1,2; ", NULL, 0, 0},
    {"bars where commas would do",
     {{"a.word", "x|y,z"}},
     "a.word=x; a.word=y,z; ",
     NULL,
     0,
     0},
    {"a zip",
     {{"a.n", "1, 2"}, {"a.word", "x, y"}, {"a.m", "3, 4"}, {"zip", "a.n a.m"}},
     "a.n=1 a.word=x a.m=3; a.n=1 a.word=y a.m=3; a.n=2 a.word=x a.m=4; "
     "a.n=2 a.word=y a.m=4; ",
     NULL,
     0,
     0},
    {"excluded by another key",
     {{"a.n", "1, 2, 3"}, {"a.m", "2, 3"}, {"exclude", "a.n > a.m"}},
     "a.n=1 a.m=2; a.n=1 a.m=3; a.n=2 a.m=2; a.n=2 a.m=3; a.n=3 a.m=3; ",
     NULL,
     1,
     0},
    {"numbers compare as numbers",
     {{"a.n", "9, 10"}, {"exclude", "a.n>=10"}},
     "a.n=9; ",
     NULL,
     1,
     0},
    {"all conditions of a line, any line",
     {{"a.n", "1, 2"},
      {"a.word", "x, y"},
      {"exclude", "a.n = 1 and a.word != x"},
      {"exclude", "a.n == 2 and a.word = x"}},
     "a.n=1 a.word=x; a.n=2 a.word=y; ",
     NULL,
     2,
     0},
    {"a default is asked too",
     {{"a.n", "1, 2"}, {"exclude", "a.n < a.m"}},
     "a.n=2; ",
     NULL,
     1,
     0},
    {"equal configurations are one run",
     {{"a.n", "1, 2, 99"}, {"a.m", "2, 3"}},
     "a.n=1 a.m=2; a.n=1 a.m=3; a.n=2 a.m=2; a.n=2 a.m=3; a.n=99 a.m=3; ",
     NULL,
     0,
     1},
    {"unknown key",
     {{"a.nn", "1"}},
     NULL,
     "made.sweep:1: a.nn is not a key; did you mean a.n?",
     0,
     0},
    {"unknown word of ours",
     {{"exlude", "a.n > 1"}},
     NULL,
     "made.sweep:1: [sweep] has no key exlude; did you mean exclude?",
     0,
     0},
    {"bad value in a list",
     {{"root", "x"}, {"a.n", "1, x, 3"}},
     NULL,
     "made.sweep:2: a.n = x: wanted an integer",
     0,
     0},
    {"an empty part",
     {{"a.n", "1,,2"}},
     NULL,
     "made.sweep:1: a.n = : wanted",
     0,
     0},
    {"a range downwards", {{"a.n", "5..3"}}, NULL, "a range goes up", 0, 0},
    {"twice",
     {{"a.n", "1"}, {"a.n", "2"}},
     NULL,
     "made.sweep:2: a.n is given twice, first in line 1",
     0,
     0},
    {"zip of unequal lists",
     {{"a.n", "1, 2"}, {"a.m", "1, 2, 3"}, {"zip", "a.n, a.m"}},
     NULL,
     "made.sweep:3: zip: a.n has 2 values and a.m has 3",
     0,
     0},
    {"zip of what is not there",
     {{"a.n", "1, 2"}, {"zip", "a.n a.m"}},
     NULL,
     "made.sweep:2: zip: a.m is not swept",
     0,
     0},
    {"a condition without a sign",
     {{"a.n", "1"}, {"exclude", "a.n 3"}},
     NULL,
     "made.sweep:2: exclude: wanted section.key",
     0,
     0},
    {"a condition on no key",
     {{"a.n", "1"}, {"exclude", "a.x = 3"}},
     NULL,
     "made.sweep:2: exclude: a.x is not a key",
     0,
     0},
    {"words behind a condition",
     {{"a.n", "1"}, {"exclude", "a.n = 3 or a.n = 4"}},
     NULL,
     "wanted `and` before \"or",
     0,
     0},
    {"run.dir", {{"run.dir", "x, y"}}, NULL, "give root instead", 0, 0},
    {"bytes", {{"memory", "4X"}}, NULL, "memory = 4X: wanted bytes", 0, 0},
    {"ranks", {{"ranks", "0"}}, NULL, "ranks = 0: wanted an integer", 0, 0},
};

static void
open_row (const struct row *row, struct sweep *s)
{
  enum status e = sweep_init (s, "made.sweep", &door);
  CHECK (e == OK, "%s", fail_message ());
  for (int i = 0; i < LINES && row->lines[i][0]; i++)
    sweep_item (s, i + 1, row->lines[i][0], row->lines[i][1]);
  e = sweep_expand (s);
  CHECK (e == OK, "%s", fail_message ());
}

static void
show_runs (const struct sweep *s, struct text *out)
{
  const char *words[KEYS + 1];
  for (int i = 0; i < s->n_runs; i++) {
    struct text dir;
    sweep_words (s, i, words, &dir);
    for (int j = 0; j < s->n_axes; j++)
      text_add (out, "%s%s", j ? " " : "", words[j]);
    text_add (out, "; ");
    text_clear (&dir);
  }
}

static void
test_rows (void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct row *row = &rows[i];
    struct sweep s;
    struct text runs;
    open_row (row, &s);
    text_init (&runs);
    show_runs (&s, &runs);
    if (row->runs)
      tap_ok (s.n_wrong == 0 && strcmp (runs.data, row->runs) == 0 &&
                  s.n_excluded == row->excluded && s.n_equal == row->equal,
              "%s: \"%s\", %d excluded, %d equal %s", row->name, runs.data,
              s.n_excluded, s.n_equal, s.wrong.data);
    else
      tap_ok (s.n_wrong == 1 && strstr (s.wrong.data, row->say), "%s: %.120s",
              row->name, s.wrong.data);
    text_clear (&runs);
    sweep_clear (&s);
  }
}

/* -- names -----------------------------------------------------------------
 */

static const char *
hash_of (const struct sweep *s, int i)
{
  return s->run[i].id + strlen (s->run[i].id) - 8;
}

static void
test_ids (void)
{
  static const struct row one = {"", {{"a.n", "1, 2"}, {"a.m", "3"}}, 0, 0, 0,
                                 0};
  static const struct row two = {
      "", {{"a.m", "3, 4"}, {"a.n", "2, 5"}, {"root", "r"}}, 0, 0, 0, 0};
  struct sweep a, b;
  int i = -1;
  open_row (&one, &a);
  open_row (&two, &b);
  tap_ok (strncmp (a.run[1].id, "n2-m3-", 6) == 0 &&
              strlen (a.run[1].id) == 14 &&
              strspn (hash_of (&a, 1), "0123456789abcdef") == 8,
          "an id is readable and ends in a hash: %s", a.run[1].id);
  tap_ok (strcmp (hash_of (&a, 0), hash_of (&a, 1)) != 0,
          "another configuration, another hash");
  tap_ok (strcmp (hash_of (&a, 1), hash_of (&b, 0)) == 0,
          "the same one from another file, the same hash");
  tap_ok (strncmp (a.run[0].dir, "runs/made/n1-m3-", 16) == 0 &&
              strncmp (b.run[0].dir, "r/m3-n2-", 8) == 0,
          "directories: %s, %s", a.run[0].dir, b.run[0].dir);
  tap_ok (sweep_find (&a, "2", &i) == OK && i == 1 &&
              sweep_find (&a, a.run[0].id, &i) == OK && i == 0,
          "a run by number and by id");
  tap_ok (sweep_find (&a, "3", &i) == E_USAGE &&
              strstr (fail_message (), "runs 1 to 2"),
          "no such number: %s", fail_message ());
  fail_clear ();
  char slip[64];
  snprintf (slip, sizeof slip, "%s", a.run[0].id);
  slip[1] = '7';
  tap_ok (sweep_find (&a, slip, &i) == E_USAGE &&
              strstr (fail_message (), a.run[0].id),
          "no such id, and the nearest: %s", fail_message ());
  fail_clear ();
  tap_ok (a.run[0].ranks == 3, "ranks of a run");
  sweep_clear (&a);
  sweep_clear (&b);
}

static void
test_settings (void)
{
  static const struct row row = {"",
                                 {{"name", "set"},
                                  {"ranks", "2"},
                                  {"a.m", "1, 5"},
                                  {"memory", "1.5G"},
                                  {"base", "b.ini"},
                                  {"at_once", "7"}},
                                 0,
                                 0,
                                 0,
                                 0};
  struct sweep s;
  open_row (&row, &s);
  tap_ok (s.n_wrong == 0 && s.run[0].ranks == 1 && s.run[1].ranks == 2,
          "ranks at most");
  tap_ok (s.memory_bytes == 1.5 * 1024 * 1024 * 1024 && s.at_once == 7 &&
              strcmp (s.base, "b.ini") == 0 && strcmp (s.root, "runs/set") == 0,
          "name, base, memory, at_once");
  sweep_clear (&s);
  CHECK (sweep_init (&s, "/x/y/made.sweep", &door) == OK, "a sweep");
  sweep_item (&s, 1, "base", "b.ini");
  tap_ok (strcmp (s.base, "/x/y/b.ini") == 0 && strcmp (s.name, "made") == 0,
          "a base is seen from the file's folder");
  sweep_clear (&s);
}

static void
test_queue (void)
{
  static const char queue[] = "105 100 3 PENDING\n100 100 7 RUNNING\n"
                              "90 90 N/A RUNNING\n";
  tap_ok (sweep_queue_has (queue, 1, "100", "3") &&
              sweep_queue_has (queue, 1, "100", "7") &&
              !sweep_queue_has (queue, 1, "100", "1") &&
              !sweep_queue_has (queue, 1, "10", "3") &&
              sweep_queue_has (queue, 0, "90", NULL),
          "which task of which array is in the queue");
}

int
main (void)
{
  test_rows ();
  test_ids ();
  test_settings ();
  test_queue ();
  tap_ok (mem_leaks () == 0, "nothing is left");
  return tap_done ();
}
