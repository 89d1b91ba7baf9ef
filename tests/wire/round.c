/* ranks: 1 2 5 */
/* tests/wire/round.c -- rounds that ranks join between different ballots. */
#include "tests/wire/tool.h"

#include "base/clock.h"

enum { BYTES = 5000, RANKS = 5 };

static void
finish (struct wire *w)
{
  for (double start = clock_now_s (); !wire_round_done (w);)
    wire_rest (start);
}

static bool
gathered (struct wire *w, const unsigned char *all, uint64_t number)
{
  unsigned char want[BYTES];
  bool good = true;
  for (int r = 0; r < wire_size (w); r++) {
    tool_fill (want, BYTES, number + (uint64_t)r);
    good = good && memcmp (want, all + r * BYTES, BYTES) == 0;
  }
  return good;
}

int
main (int argc, char **argv)
{
  static unsigned char mine[BYTES], all[RANKS * BYTES], want[BYTES];
  struct wire *w;
  double vote = 1, sum = 0;
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  int rank = wire_rank (w);
  tool_fill (mine, BYTES, 100 + (uint64_t)rank);
  wire_round_gather (w, mine, BYTES, all);
  finish (w);
  tap_ok (gathered (w, all, 100), "every block comes to every rank");

  /* Rank r starts its round after r of the ballots, and reads none before. */
  bool good = true;
  int request[RANKS];
  memset (all, 0, sizeof all);
  tool_fill (mine, BYTES, 300 + (uint64_t)rank);
  for (int i = 0; i < RANKS; i++) {
    if (i == rank)
      wire_round_gather (w, mine, BYTES, all);
    good = wire_ballot_start (w, -1, &vote, 1, &request[i]) == OK && good;
  }
  for (int i = 0; i < RANKS; i++) {
    good = wire_ballot_wait (w, &request[i], &sum) == OK && good;
    good = good && sum == wire_size (w);
  }
  finish (w);
  tap_ok (good && gathered (w, all, 300), "joined between different ballots");

  for (int root = 0; root < wire_size (w); root++) {
    tool_fill (want, BYTES, 500 + (uint64_t)root);
    memset (mine, 0, sizeof mine);
    if (rank == root)
      memcpy (mine, want, BYTES);
    wire_round_spread (w, mine, BYTES, root);
    finish (w);
    tap_ok (memcmp (mine, want, BYTES) == 0, "rank %d to all", root);
  }
  tap_ok (TOOL_CHECK_FAILS ((void)wire_round_done (w)),
          "a round that was not started fails a check");
  fail_clear ();
  wire_close (&w);
  tap_ok (wire_open_alone (&w) == OK, "alone");
  tool_fill (mine, BYTES, 100);
  memset (all, 0, sizeof all);
  wire_round_gather (w, mine, BYTES, all);
  good = wire_round_done (w) && gathered (w, all, 100);
  wire_round_spread (w, mine, BYTES, 0);
  tap_ok (wire_round_done (w) && good, "nobody else is asked");
  wire_close (&w);
  return tap_done ();
}
