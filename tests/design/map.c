/* ranks: 0 */
/* What follows from a table of predictions that was written by hand. */
#include "design/map.h"
#include "tests/tap.h"

/* Depths 2, 4, 8; one number of micro-batches; spans 1, 2, all.  A batch of 12
 * samples. */
static void
made (struct map *m)
{
  static const double cycle[3][3][MAP_ORDERS] = {
      {{6, 4, 12}, {0, 0, 0}, {3, 4, 2}},
      {{4, 4, 12}, {6, 6, 6}, {5, 6, 4}},
      {{4, 4, 12}, {6, 8, 6}, {12, 12, 8}},
  };
  static const double bytes[MAP_ORDERS] = {200, 100, 300};

  *m = (struct map){.n_stages = 3,
                    .stages = {2, 4, 8},
                    .ranks = {2, 4, 8},
                    .n_micro = 1,
                    .micro = {1},
                    .n_spans = 3,
                    .span = {1, 2, 0},
                    .batch = 12,
                    .ahead = 0.1};
  if (map_open (m) != OK)
    tap_bail ("no memory");
  for (int k = 0; k < 3; k++)
    for (int s = 0; s < 3; s++)
      for (int o = 0; o < MAP_ORDERS; o++)
        if (cycle[k][s][o] > 0)
          *map_at (m, k, 0, s, o) =
              (struct map_cell){.there = true,
                                .cycle_s = cycle[k][s][o],
                                .samples_per_s = 12 / cycle[k][s][o],
                                .bytes = bytes[o] * (s == 2 ? 2 : 1)};
}

static void
axes (void)
{
  int n = 0, list[MAP_AXIS];

  tap_ok (map_axis ("8,2,4,2", 1, 8, false, &n, list) && n == 3 &&
              list[0] == 2 && list[1] == 4 && list[2] == 8,
          "a list is put in order, once each");
  tap_ok (map_axis ("all,3,1", 1, 8, true, &n, list) && n == 3 &&
              list[0] == 1 && list[1] == 3 && list[2] == 0,
          "all comes last");
  const char *const bad[] = {"",    "0",    "9",  "2,x", "all",
                             "1.5", "2,,9", "-1", "2 4"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    n = 77;
    tap_ok (!map_axis (bad[i], 1, 8, false, &n, list) && n == 77,
            "\"%s\" is no list", bad[i]);
  }
}

static void
best (void)
{
  struct map m;

  made (&m);
  tap_ok (map_best (&m, 0, 0, 0) == PLAN_1F1B, "the fastest order");
  tap_ok (map_best (&m, 1, 0, 0) == PLAN_1F1B,
          "of equal ones that which needs less memory");
  tap_ok (map_best (&m, 0, 0, 1) == -1, "no span 2 of 2 stages");
  tap_ok (map_fastest (&m, 0, 0) == 2 && map_fastest (&m, 2, 0) == 0,
          "the fastest span");
  tap_ok (map_fastest (&m, 1, 0) == 2, "of equals the longest");
  tap_near (map_ratio (&m, 0, 0, 0), 0.5, 1e-12, "half of end to end");
  tap_near (map_ratio (&m, 2, 0, 0), 2, 1e-12, "twice");
  tap_ok (isnan (map_ratio (&m, 0, 0, 1)), "no ratio of what is not there");
  tap_ok (map_crossover (&m, 0, 0) == 2, "span 1 is ahead from 8 on");
  tap_ok (map_crossover (&m, 0, 1) == 2, "span 2 is ahead from 8 on");
  m.ahead = 1.5;
  tap_ok (map_crossover (&m, 0, 0) == -1, "never by 150 %%");
  m.ahead = 0;
  tap_ok (map_crossover (&m, 0, 0) == 1, "not behind from 4 on");
  map_at (&m, 2, 0, 0, PLAN_EAGER)->cycle_s = 80;
  map_at (&m, 2, 0, 0, PLAN_EAGER)->samples_per_s = 12.0 / 80;
  map_at (&m, 2, 0, 0, PLAN_1F1B)->cycle_s = 80;
  map_at (&m, 2, 0, 0, PLAN_1F1B)->samples_per_s = 12.0 / 80;
  tap_ok (map_crossover (&m, 0, 0) == -1, "ahead once is not from there on");
  map_close (&m);
}

static void
memory (void)
{
  struct map m;
  struct text out;

  made (&m);
  m.most_bytes = 399;
  tap_ok (map_best (&m, 0, 0, 2) == PLAN_1F1B,
          "an order that does not fit is left out");
  tap_near (map_ratio (&m, 0, 0, 0), 1, 1e-12, "and so in ratios");
  m.most_bytes = 150;
  tap_ok (map_best (&m, 2, 0, 2) == -1 && map_best (&m, 2, 0, 0) >= 0,
          "end to end does not fit, local does");
  tap_ok (isinf (map_ratio (&m, 2, 0, 0)) && map_fastest (&m, 2, 0) == 0,
          "then local is ahead, whatever its speed");
  text_init (&out);
  map_print (&m, &out);
  tap_ok (strstr (out.data, "over: 200 B"), "the table tells the least need");
  text_clear (&out);
  m.most_bytes = 99;
  tap_ok (map_fastest (&m, 2, 0) == -1, "nothing fits");
  map_print (&m, &out);
  tap_ok (strstr (out.data, "none fits"), "and that is said");
  text_clear (&out);
  map_csv (&m, &out);
  tap_ok (strstr (out.data, "\n8,8,model,1,1,eager,4,3,,200,0,0,0\n"),
          "a line of what does not fit");
  text_clear (&out);
  map_close (&m);
}

static void
shown (void)
{
  struct map m;
  struct text out;

  made (&m);
  text_init (&out);
  map_print (&m, &out);
  tap_ok (strstr (out.data, " 3 x2.00 1f1b ") &&
              strstr (out.data, "  span 1, 1f1b, 100 B\n"),
          "the table of 8 stages");
  tap_ok (strstr (out.data, "span 1: 8 (1 micro-batch)\n"), "crossovers");
  text_clear (&out);
  map_csv (&m, &out);
  int lines = 0;
  for (const char *c = out.data; *c; c++)
    lines += *c == '\n';
  tap_ok (lines == 1 + 8 * 3, "a line for each cell: %d", lines);
  tap_ok (
      strstr (out.data, "\n8,8,model,1,1,1f1b,4,3,2,100,1,1,1\n") &&
          strstr (out.data, "\n8,8,model,1,1,eager,4,3,2,200,1,0,0\n") &&
          strstr (out.data, "\n2,2,model,1,all,filldrain,2,6,1,600,1,1,1\n"),
      "lines of fast and slow cells");
  text_clear (&out);
  map_close (&m);
}

int
main (void)
{
  axes ();
  best ();
  memory ();
  shown ();
  return tap_done ();
}
