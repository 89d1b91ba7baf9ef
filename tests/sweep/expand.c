/* ranks: 0 */
/* tests/sweep/expand.c -- from lines of a sweep file to runs: the keys of the
 * configuration that they name, and nothing else, decide.
 *
 * Expected runs are written by hand.
 */
#include "base/memory.h"
#include "sweep/sweep_impl.h"
#include "tests/tap.h"

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
     {{"strategy.span", "1, 2"}, {"stages.count", "3,4"}},
     "strategy.span=1 stages.count=3; strategy.span=1 stages.count=4; "
     "strategy.span=2 stages.count=3; strategy.span=2 stages.count=4; ",
     NULL,
     0,
     0},
    {"a range",
     {{"strategy.span", "3..5, 8"}},
     "strategy.span=3; strategy.span=4; strategy.span=5; strategy.span=8; ",
     NULL,
     0,
     0},
    {"commas of a list's own",
     {{"train.milestones", "1,2 | 3"}},
     "train.milestones=1,2; train.milestones=3; ",
     NULL,
     0,
     0},
    {"one value of a list",
     {{"train.milestones", "1,2"}},
     "train.milestones=1,2; ",
     NULL,
     0,
     0},
    {"bars where commas would do",
     {{"train.init", "x|y,z"}},
     "train.init=x; train.init=y,z; ",
     NULL,
     0,
     0},
    {"a zip",
     {{"strategy.span", "1, 2"},
      {"train.init", "x, y"},
      {"stages.count", "3, 4"},
      {"zip", "strategy.span stages.count"}},
     "strategy.span=1 train.init=x stages.count=3; strategy.span=1 "
     "train.init=y stages.count=3; strategy.span=2 train.init=x "
     "stages.count=4; "
     "strategy.span=2 train.init=y stages.count=4; ",
     NULL,
     0,
     0},
    {"excluded by another key",
     {{"strategy.span", "1, 2, 3"},
      {"stages.count", "2, 3"},
      {"exclude", "strategy.span > stages.count"}},
     "strategy.span=1 stages.count=2; strategy.span=1 stages.count=3; "
     "strategy.span=2 stages.count=2; strategy.span=2 stages.count=3; "
     "strategy.span=3 stages.count=3; ",
     NULL,
     1,
     0},
    {"numbers compare as numbers",
     {{"strategy.span", "9, 10"}, {"exclude", "strategy.span>=10"}},
     "strategy.span=9; ",
     NULL,
     1,
     0},
    {"all conditions of a line, any line",
     {{"strategy.span", "1, 2"},
      {"train.init", "x, y"},
      {"exclude", "strategy.span = 1 and train.init != x"},
      {"exclude", "strategy.span == 2 and train.init = x"}},
     "strategy.span=1 train.init=x; strategy.span=2 train.init=y; ",
     NULL,
     2,
     0},
    {"a default is asked too",
     {{"strategy.span", "3, 4"}, {"exclude", "strategy.span < stages.count"}},
     "strategy.span=4; ",
     NULL,
     1,
     0},
    {"equal configurations are one run",
     {{"strategy.span", "1, 2, all"}, {"stages.count", "2, 3"}},
     "strategy.span=1 stages.count=2; strategy.span=1 stages.count=3; "
     "strategy.span=2 stages.count=2; strategy.span=2 stages.count=3; "
     "strategy.span=all stages.count=3; ",
     NULL,
     0,
     1},
    {"unknown key",
     {{"strategy.spam", "1"}},
     NULL,
     "made.sweep:1: strategy.spam is not a key; did you mean strategy.span?",
     0,
     0},
    {"unknown word of ours",
     {{"exlude", "strategy.span > 1"}},
     NULL,
     "made.sweep:1: [sweep] has no key exlude; did you mean exclude?",
     0,
     0},
    {"bad value in a list",
     {{"root", "x"}, {"stages.count", "1, x, 3"}},
     NULL,
     "made.sweep:2: stages.count = x: wanted an integer",
     0,
     0},
    {"an empty part",
     {{"strategy.span", "1,,2"}},
     NULL,
     "made.sweep:1: strategy.span = : wanted",
     0,
     0},
    {"a range downwards",
     {{"strategy.span", "5..3"}},
     NULL,
     "a range goes up",
     0,
     0},
    {"twice",
     {{"strategy.span", "1"}, {"strategy.span", "2"}},
     NULL,
     "made.sweep:2: strategy.span is given twice, first in line 1",
     0,
     0},
    {"zip of unequal lists",
     {{"strategy.span", "1, 2"},
      {"stages.count", "1, 2, 3"},
      {"zip", "strategy.span, stages.count"}},
     NULL,
     "made.sweep:3: zip: strategy.span has 2 values and stages.count has 3",
     0,
     0},
    {"zip of what is not there",
     {{"strategy.span", "1, 2"}, {"zip", "strategy.span stages.count"}},
     NULL,
     "made.sweep:2: zip: stages.count is not swept",
     0,
     0},
    {"a condition without a sign",
     {{"strategy.span", "1"}, {"exclude", "strategy.span 3"}},
     NULL,
     "made.sweep:2: exclude: wanted section.key",
     0,
     0},
    {"a condition on no key",
     {{"strategy.span", "1"}, {"exclude", "strategy.x = 3"}},
     NULL,
     "made.sweep:2: exclude: strategy.x is not a key",
     0,
     0},
    {"words behind a condition",
     {{"strategy.span", "1"},
      {"exclude", "strategy.span = 3 or strategy.span = 4"}},
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
  enum status e = sweep_init (s, "made.sweep");
  CHECK (e == OK, "%s", fail_message ());
  for (int i = 0; i < LINES && row->lines[i][0]; i++)
    sweep_item (s, i + 1, row->lines[i][0], row->lines[i][1]);
  e = sweep_expand (s);
  CHECK (e == OK, "%s", fail_message ());
}

static void
show_runs (const struct sweep *s, struct text *out)
{
  const char *words[LINES + 1];
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
  static const struct row one = {
      "", {{"strategy.span", "1, 2"}, {"stages.count", "3"}}, 0, 0, 0, 0};
  static const struct row two = {
      "", {{"stages.count", "3, 4"}, {"strategy.span", "2, 5"}, {"root", "r"}},
      0,  0,
      0,  0};
  struct sweep a, b;
  int i = -1;
  open_row (&one, &a);
  open_row (&two, &b);
  tap_ok (strncmp (a.run[1].id, "span2-K3-", 9) == 0 &&
              strlen (a.run[1].id) == 17 &&
              strspn (hash_of (&a, 1), "0123456789abcdef") == 8,
          "an id is readable and ends in a hash: %s", a.run[1].id);
  tap_ok (strcmp (hash_of (&a, 0), hash_of (&a, 1)) != 0,
          "another configuration, another hash");
  tap_ok (strcmp (hash_of (&a, 1), hash_of (&b, 0)) == 0,
          "the same one from another file, the same hash");
  tap_ok (strncmp (a.run[0].dir, "runs/made/span1-K3-", 19) == 0 &&
              strncmp (b.run[0].dir, "r/K3-span2-", 11) == 0,
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
                                  {"stages.count", "1, 5"},
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
  CHECK (sweep_init (&s, "/x/y/made.sweep") == OK, "a sweep");
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
