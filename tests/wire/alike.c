/* ranks: 1 2 3 5 */
/* tests/wire/alike.c -- what has to be the same on all ranks: nothing is said
 * where it is; else every name, value, rank and host. */
#include "base/fault.h"
#include "tests/wire/tool.h"
#include "wire/wire_impl.h"

/* Hosts of the test, two ranks on each. */
static void
name_hosts (struct wire *w)
{
  snprintf (w->host, sizeof w->host, "node%d", w->rank / 2);
}

static void
test_groups (struct wire *w)
{
  /* By number of ranks: even and odd ones differ, but rank 4 agrees with the
   * odd ones. */
  static const char *const want[] = {
      "",
      "",
      "rank 0 on node0: avx2; rank 1 on node0: sse41",
      "ranks 0, 2 on node0, node1: avx2; rank 1 on node0: sse41",
      "",
      "ranks 0, 2 on node0, node1: avx2; ranks 1, 3-4 on node0, node1, node2: "
      "sse41"};
  struct text out;
  int n = 0;
  bool odd = w->rank % 2 == 1 || w->rank == 4;
  text_init (&out);
  enum status s = wire_groups (w, "avx2", &n, &out);
  tap_ok (s == OK && n == 1 && out.size == 0, "one value: nothing is said");
  s = wire_groups (w, odd ? "sse41" : "avx2", &n, &out);
  tap_ok (s == OK && n == (w->size > 1 ? 2 : 1) &&
              strcmp (out.data, want[w->size]) == 0,
          "two values: %s", out.data);
  text_clear (&out);
}

static void
test_long (struct wire *w)
{
  struct text out;
  char mine[400];
  int n = 0;
  text_init (&out);
  snprintf (mine, sizeof mine,
            "train of a rather long command with seed=%d and %0300d", w->rank,
            7);
  enum status s = wire_groups (w, mine, &n, &out);
  bool cut =
      w->size == 1 || (strstr (out.data, "rank 1 on node0: ... seed=1") &&
                       !strstr (out.data, "rather") &&
                       strlen (out.data) < (size_t)w->size * 250);
  tap_ok (s == OK && n == w->size && cut,
          "long values are shown from where they differ");
  text_clear (&out);
}

static void
test_alike (struct wire *w)
{
  char threads[16];
  snprintf (threads, sizeof threads, "%d", w->rank == w->size - 1 ? 4 : 2);
  const struct wire_fact same[] = {{"program", "1", "", E_FAULT},
                                   {"threads", "2", "", E_USAGE}};
  const struct wire_fact odd[] = {{"program", "1", "", E_FAULT},
                                  {"threads", threads, "give one", E_USAGE},
                                  {"isa", threads, "", E_MISSING}};
  /* What one fact lacks another must not make up for. */
  const struct wire_fact moved[] = {{"a", w->rank ? "xy" : "x", "", E_FAULT},
                                    {"b", w->rank ? "z" : "yz", "", E_USAGE}};
  fail_clear ();
  tap_ok (wire_alike (w, 2, same) == OK && !fail_message ()[0],
          "facts that are the same");
  enum status s = wire_alike (w, 3, odd);
  const char *words = fail_message ();
  bool named =
      w->size == 1 ||
      (strstr (words, "threads: not the same on all ranks: rank") == words &&
       strstr (words, ": 4; give one\nisa: not the same") &&
       !strstr (words, "program"));
  tap_ok (s == (w->size > 1 ? E_USAGE : OK) && named,
          "the first that differs gives the status, and all are named");
  fail_clear ();
  s = wire_alike (w, 2, moved);
  tap_ok (s == (w->size > 1 ? E_FAULT : OK), "facts do not run together");
  fail_clear ();
}

int
main (int argc, char **argv)
{
  struct wire *w;
  fault_plant (NULL);
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  name_hosts (w);
  test_groups (w);
  test_long (w);
  test_alike (w);
  wire_close (&w);
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
