/* ranks: 1 2 5 */
/* tests/wire/ballot.c -- votes of the world: exact, many under way, and moved
 * while something else is waited for. */
#include "base/fault.h"
#include "tests/wire/tool.h"

/* Element i belongs to rank i % size and is a number that no other order of
 * adding could spoil; the last element counts the ranks. */
static double
element (int round, int i)
{
  struct random_key key = {29, RANDOM_TEST, (uint64_t)round, 0};
  return random_normal (&key, (uint64_t)i) * 1e10;
}

static enum status
start (struct wire *w, int round, int n, int *request)
{
  double in[WIRE_BALLOT_MOST + 1] = {0};
  for (int i = wire_rank (w); i < n - 1; i += wire_size (w))
    in[i] = element (round, i);
  if (n > 0)
    in[n - 1] = 1;
  return wire_ballot_start (w, -1, in, n, request);
}

static bool
end (struct wire *w, int round, int n, int *request)
{
  double out[WIRE_BALLOT_MOST + 1];
  for (int i = 0; i <= WIRE_BALLOT_MOST; i++)
    out[i] = 77;
  bool good = wire_ballot_wait (w, request, out) == OK;
  for (int i = 0; i < n - 1; i++)
    good = good && out[i] == element (round, i);
  good = good && (n == 0 || out[n - 1] == wire_size (w));
  return good && out[n] == 77 && *request == WIRE_NONE;
}

int
main (int argc, char **argv)
{
  struct wire *w;
  int request[WIRE_BALLOTS], more = WIRE_NONE;
  bool good = true;
  fault_plant (NULL);
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  tap_ok (wire_grid (w, 1) == OK, "a grid");
  static const int sizes[] = {0, 1, 2, 9, 512, WIRE_BALLOT_MOST};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    good = start (w, (int)i, sizes[i], &more) == OK;
    tap_ok (end (w, (int)i, sizes[i], &more) && good, "a ballot of %d",
            sizes[i]);
  }
  static double large[WIRE_BALLOT_MOST + 1];
  tap_ok (wire_ballot_start (w, -1, large, WIRE_BALLOT_MOST + 1, &more) ==
              E_LIMIT,
          "a ballot that is too long");
  fail_clear ();
  good = true;
  mem_close ();
  for (int i = 0; i < WIRE_BALLOTS; i++)
    good = start (w, i, 7, &request[i]) == OK && good;
  mem_open ();
  tap_ok (good && wire_under_way (w) == WIRE_BALLOTS, "%d under way",
          WIRE_BALLOTS);
  tap_ok (TOOL_CHECK_FAILS ((void)start (w, 0, 7, &more)),
          "one more fails a check");
  fail_clear ();
  wire_poll (w);
  for (int i = 0; i < WIRE_BALLOTS; i++) {
    int k = (i * 37 + 11) % WIRE_BALLOTS;
    good = end (w, k, 7, &request[k]) && good;
  }
  tap_ok (good && wire_under_way (w) == 0, "all arrive, in any order");
  /* A ring of them: at most 3 under way, 200 in all. */
  for (int i = 0; i < 200 + 3; i++) {
    if (i >= 3)
      good = end (w, i - 3, 20, &request[(i - 3) % 3]) && good;
    if (i < 200)
      good = start (w, i, 20, &request[i % 3]) == OK && good;
    wire_poll (w);
  }
  tap_ok (good && wire_under_way (w) == 0, "verdicts that lag by three steps");
  int wrong = 3;
  tap_ok (TOOL_CHECK_FAILS ((void)wire_ballot_wait (w, &wrong, large)),
          "waiting for what is not under way fails a check");
  fail_clear ();
  wire_close (&w);
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
