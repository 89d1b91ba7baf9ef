/* ranks: 1 2 3 5 */
/* tests/wire/agree.c -- fences: one rank fails and all return its status, its
 * text printed once; texts and numbers for everybody. */
#include "base/fault.h"
#include "base/place.h"
#include "tests/wire/tool.h"

/* A fence with stderr captured. */
static enum status
fence (struct wire *w, enum status mine, char *text, size_t room)
{
  struct tool_capture c;
  tool_capture_begin (&c);
  enum status s = wire_agree (w, mine);
  tool_capture_end (&c, text, room);
  return s;
}

static void
test_one_fails (struct wire *w)
{
  char text[8192], want[128];
  for (int bad = 0; bad < wire_size (w); bad++) {
    enum status mine = OK;
    place_set (4, bad, "READ");
    if (wire_rank (w) == bad)
      mine = fail (E_DATA, "label %d of rank %d", 12, bad);
    enum status s = fence (w, mine, text, sizeof text);
    snprintf (want, sizeof want, "interlock: %s%d%s%d%slabel 12 of rank %d\n",
              wire_size (w) > 1 ? "rank " : "", bad,
              wire_size (w) > 1 ? ", step 4, stage " : "", bad,
              wire_size (w) > 1 ? ", READ: " : "", bad);
    if (wire_size (w) == 1)
      snprintf (want, sizeof want, "interlock: label 12 of rank 0\n");
    bool said = wire_rank (w) == 0 ? strcmp (text, want) == 0 : text[0] == '\0';
    tap_ok (s == E_DATA, "rank %d fails, all return its status", bad);
    tap_ok (said, "and rank %d is quoted once, by root", bad);
    tap_ok (fail_message ()[0] == '\0', "nobody keeps it any longer");
  }
  place_set (-1, -1, NULL);
}

static void
test_worst (struct wire *w)
{
  char text[8192], who[32];
  int last = wire_size (w) - 1, rank = wire_rank (w);
  bool root = rank == 0;
  tap_ok (fence (w, OK, text, sizeof text) == OK && text[0] == '\0',
          "all is well, nobody speaks");
  enum status mine = rank == last ? fail (E_IO, "worse") : fail (E_DATA, "bad");
  enum status s = fence (w, mine, text, sizeof text);
  snprintf (who, sizeof who, "rank %d: worse\n", last);
  tap_ok (s == E_IO && (!root || last == 0 || strstr (text, who) != NULL) &&
              (!root || (tool_lines (text) == 1 && strstr (text, "worse"))),
          "the worst status of all, and its owner's words");
  mine = fail (E_CONFIG, "the same everywhere");
  s = fence (w, mine, text, sizeof text);
  tap_ok (s == E_CONFIG &&
              (!root || strcmp (text, "interlock: the same everywhere\n") == 0),
          "what all say is said once, without a rank");
  mine = rank > 0 ? fail (E_DATA, "from rank %d", rank) : OK;
  s = fence (w, mine, text, sizeof text);
  tap_ok (s == (last > 0 ? E_DATA : OK) &&
              (!root || last == 0 || strstr (text, "from rank 1") != NULL),
          "the lowest of several owners speaks");
  s = fence (w, rank == last ? E_MEMORY : OK, text, sizeof text);
  tap_ok (s == E_MEMORY && (!root || strstr (text, "memory") != NULL),
          "without a message the status has a text");
}

static void
test_texts (struct wire *w)
{
  int size = wire_size (w), rank = wire_rank (w);
  for (int root = 0; root < size; root++) {
    static const size_t lengths[] = {0, 5, 100000};
    for (size_t i = 0; i < 3; i++) {
      size_t n = lengths[i];
      char *text = NULL;
      if (rank == root && MEM_NEW (n + 1, &text, "a text") == OK)
        memset (text, 'a' + root, n);
      bool good = wire_broadcast_text (w, &text, root) == OK && text != NULL &&
                  strlen (text) == n;
      for (size_t k = 0; good && k < n; k++)
        good = text[k] == 'a' + root;
      tap_ok (good, "%zu letters from rank %d", n, root);
      mem_free (&text);
    }
    int64_t number = rank == root ? 1234567 : 0;
    tap_ok (wire_broadcast (w, &number, sizeof number, root) == OK &&
                number == 1234567,
            "a number from rank %d", root);
  }
  char *mine = NULL, **texts = NULL;
  size_t n = rank == 1 ? 0 : (size_t)rank * 30000 + 3;
  bool good = MEM_NEW (n + 1, &mine, "a text") == OK;
  memset (mine, '0' + rank, n);
  good = wire_gather_text (w, mine, &texts) == OK && good;
  good = good && (texts != NULL) == (rank == 0);
  for (int r = 0; good && rank == 0 && r < size; r++) {
    size_t want = r == 1 ? 0 : (size_t)r * 30000 + 3;
    good = strlen (texts[r]) == want &&
           strspn (texts[r], (char[]){(char)('0' + r), '\0'}) == want;
  }
  tap_ok (good, "texts of all ranks come to root in order");
  for (int r = 0; texts != NULL && r < size; r++)
    mem_free (&texts[r]);
  mem_free (&texts);
  mem_free (&mine);
}

static void
test_numbers (struct wire *w)
{
  int size = wire_size (w), rank = wire_rank (w);
  double mine[3] = {rank, rank * 0.5, -rank}, all[48];
  bool good = wire_all_gather (w, mine, 3, all) == OK;
  for (int r = 0; r < size; r++)
    good = good && all[3 * r] == r && all[3 * r + 1] == r * 0.5 &&
           all[3 * r + 2] == -r;
  tap_ok (good, "everybody's numbers on every rank");
  tap_ok (wire_same (w, UINT64_C (0xfeedfacecafebeef), "the plan") == OK,
          "the same value everywhere");
  for (int odd = 0; odd < size; odd++) {
    enum status s = wire_same (w, rank == odd ? 5 : 6, "the plan");
    char who[32];
    snprintf (who, sizeof who, "on rank %d", odd == 0 ? 1 : odd);
    tap_ok (s == (size > 1 ? E_PROTOCOL : OK) &&
                (size == 1 || (strstr (fail_message (), "the plan") != NULL &&
                               strstr (fail_message (), who) != NULL)),
            "rank %d is of another opinion", odd);
    fail_clear ();
  }
  wire_barrier (w);
}

/* The n-th allocation fails on one rank alone: all return the same, nobody
 * hangs, and the fence behind it quotes the owner. */
static void
test_memory (struct wire *w)
{
  char said[8192], spec[32];
  int last = wire_size (w) - 1, n_failed = 0;
  for (int nth = 1; nth <= 8; nth++) {
    char **texts = NULL;
    snprintf (spec, sizeof spec, "alloc:%d@%d", nth, nth % 2 ? 0 : last);
    fault_plant (spec);
    enum status s = wire_gather_text (w, "words", &texts);
    fault_plant (NULL);
    for (int r = 0; s == OK && texts != NULL && r <= last; r++)
      mem_free (&texts[r]);
    mem_free (&texts);
    n_failed += s == E_MEMORY;
    enum status fenced = fence (w, s, said, sizeof said);
    bool root = wire_rank (w) == 0;
    tap_ok ((s == OK || s == E_MEMORY) && fenced == s &&
                (s == OK || !root ||
                 (tool_lines (said) == 1 && strstr (said, "planted") != NULL)),
            "gathering texts, %s", spec);
  }
  tap_ok (n_failed >= 2, "some of them did fail");
  for (int owner = 0; owner <= last; owner++) {
    char *text = NULL;
    bool root = wire_rank (w) == 0;
    if (root && mem_text ("some words", &text) != OK)
      wire_abort (E_MEMORY);
    snprintf (spec, sizeof spec, "alloc@%d", owner);
    fault_plant (spec);
    enum status s = wire_broadcast_text (w, &text, 0);
    fault_plant (NULL);
    bool kept = s == OK || root || text == NULL;
    tap_ok (s == (owner > 0 ? E_MEMORY : OK) && kept,
            "a text from root, no memory on rank %d", owner);
    tap_ok (wire_agree (w, OK) == OK, "and the ranks are still in step");
    mem_free (&text);
    int first = 0, end = last;
    fault_plant (spec);
    bool whole = wire_grid (w, 1) == OK;
    s = wire_windows (w, 1, &first, &end);
    fault_plant (NULL);
    tap_ok (whole && s == E_MEMORY, "windows, no memory on rank %d", owner);
    fail_clear ();
  }
}

int
main (int argc, char **argv)
{
  struct wire *w;
  fault_plant (NULL);
  if (wire_open (&argc, &argv, &w) != OK)
    return 1;
  test_one_fails (w);
  test_worst (w);
  test_texts (w);
  test_numbers (w);
  test_memory (w);
  wire_close (&w);
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
