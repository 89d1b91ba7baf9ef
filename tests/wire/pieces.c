/* ranks: 1 2 3 */
/* tests/wire/pieces.c -- what is longer than MPI can count, or than one piece:
 * messages, broadcasts, texts, exchanges.
 *
 * limit: 300
 *
 * INTERLOCK_BIG=1: beyond 2^31 bytes and elements, where there is memory.
 */
#include "base/fault.h"
#include "tests/memory.h"
#include "tests/wire/tool.h"

#include <stdlib.h>

static bool
is_big (void)
{
  const char *word = getenv ("INTERLOCK_BIG");
  return word != NULL && strcmp (word, "1") == 0;
}

/* Whether the node has so many bytes left, as its first rank sees it. */
static bool
has_memory (struct wire *w, double bytes)
{
  int enough = memory_left () > bytes + 1e9;
  (void)wire_broadcast (w, &enough, sizeof enough, 0);
  return enough != 0;
}

/* -- messages -------------------------------------------------------------- */

/* What byte i of a long block is; not the same in any two pieces. */
static unsigned char
byte_at (size_t i)
{
  return (unsigned char)((i * 2654435761u + (i >> 20)) >> 5);
}

/* Only so far apart: most of a large block stays untouched. */
static void
mark (unsigned char *p, size_t n, size_t step)
{
  for (size_t i = 0; i < n; i += step)
    p[i] = byte_at (i);
  for (size_t i = n > 100 ? n - 100 : 0; i < n; i++)
    p[i] = byte_at (i);
}

static bool
marked (const unsigned char *p, size_t n, size_t step)
{
  bool good = true;
  for (size_t i = 0; i < n && good; i += step)
    good = p[i] == byte_at (i);
  for (size_t i = n > 100 ? n - 100 : 0; i < n && good; i++)
    good = p[i] == byte_at (i);
  return good;
}

/* From rank 0 to rank 1. */
static void
test_message (struct wire *w, size_t bytes, size_t step)
{
  int me = wire_rank (w), request = WIRE_NONE;
  struct wire_id id = {.step = 1};
  char *block = NULL;
  bool good = true;
  if (me < 2 && wire_size (w) > 1) {
    struct tensor t = tool_tensor (bytes, &block);
    unsigned char *data = (unsigned char *)t.data;
    if (me == 0) {
      mark (data, bytes, step);
      good = wire_send (w, WIRE_STEPS, &t, 1, 0, id, &request) == OK;
    } else {
      good = wire_post (w, WIRE_STEPS, &t, 0, 0, &request) == OK;
    }
    good = wire_wait (w, &request, me == 1 ? &id : NULL, NULL) == OK && good &&
           marked (data, bytes, step);
    mem_free (&block);
  }
  tap_ok (good, "a message of %zu bytes", bytes);
}

static void
test_broadcast (struct wire *w, size_t bytes, size_t step)
{
  int root = wire_size (w) - 1;
  unsigned char *data = NULL;
  if (mem_new (bytes, 1, "a block", (void **)&data) != OK)
    wire_abort (E_MEMORY);
  if (wire_rank (w) == root)
    mark (data, bytes, step);
  bool good = wire_broadcast (w, data, bytes, root) == OK;
  tap_ok (good && marked (data, bytes, step), "%zu bytes to all", bytes);
  mem_free (&data);
}

/* -- texts ----------------------------------------------------------------- */

/* Rank r has r + 1 letters more than n, the last of its own kind. */
static void
test_texts (struct wire *w, size_t n)
{
  int me = wire_rank (w);
  size_t mine = n + (size_t)me + 1;
  char *text = NULL, **all = NULL;
  if (mem_new (mine + 1, 1, "a text", (void **)&text) != OK)
    wire_abort (E_MEMORY);
  memset (text, 'a' + me, mine);
  text[mine - 1] = (char)('A' + me);
  bool good = wire_gather_text (w, text, &all) == OK;
  mem_free (&text);
  for (int r = 0; me == 0 && good && r < wire_size (w); r++) {
    size_t length = n + (size_t)r + 1;
    good = strlen (all[r]) == length && all[r][length - 1] == 'A' + r;
    for (size_t k = 0; good && k < length - 1; k += 1 + length / 1000)
      good = all[r][k] == 'a' + r;
  }
  for (int r = 0; me == 0 && all && r < wire_size (w); r++)
    mem_free (&all[r]);
  good = good && (me == 0) == (all != NULL);
  mem_free (&all);
  tap_ok (good, "texts of %zu letters and more to root", n);
}

/* -- exchanges ------------------------------------------------------------- */

/* What rank `from` has for rank `to`: other numbers, uneven, some nothing. */
static size_t
block_of (int from, int to)
{
  return (from + 2 * to) % 4 == 1 ? 0 : (size_t)(1100000 * (from + 1) + 7 * to);
}

static float
value_of (int from, int to, size_t i)
{
  return (float)((i * 31 + (size_t)from * 7 + (size_t)to) % 65521);
}

static void
test_exchange (struct wire *w)
{
  int me = wire_rank (w), size = wire_size (w);
  size_t n_out[8], n_in[8], all_out = 0, all_in = 0;
  float *out = NULL, *in = NULL;
  for (int r = 0; r < size; r++) {
    all_out += n_out[r] = block_of (me, r);
    all_in += n_in[r] = block_of (r, me);
  }
  if (MEM_NEW (all_out + 1, &out, "out") != OK ||
      MEM_NEW (all_in + 1, &in, "in") != OK)
    wire_abort (E_MEMORY);
  size_t at = 0;
  for (int r = 0; r < size; r++)
    for (size_t i = 0; i < n_out[r]; i++)
      out[at++] = value_of (me, r, i);
  in[all_in] = -5;
  bool good = wire_exchange (w, out, n_out, in, n_in) == OK;
  at = 0;
  for (int r = 0; r < size; r++)
    for (size_t i = 0; i < n_in[r]; i++)
      good = good && in[at++] == value_of (r, me, i);
  tap_ok (good && in[all_in] == -5, "an exchange of %zu numbers and more",
          block_of (0, 0));
  mem_free (&out);
  mem_free (&in);
}

/* More elements than an int counts, from rank 0 to rank 1. */
static void
test_large_exchange (struct wire *w)
{
  const size_t n = ((size_t)1 << 31) + 5;
  size_t n_out[8] = {0}, n_in[8] = {0};
  float *block = NULL;
  bool good = true;
  int me = wire_rank (w);
  if (me < 2 && MEM_NEW (n, &block, "a block") != OK)
    wire_abort (E_MEMORY);
  if (me == 0) {
    n_out[1] = n;
    block[0] = 1;
    block[n / 2] = 2;
    block[n - 1] = 3;
  }
  if (me == 1)
    n_in[0] = n;
  good = wire_exchange (w, block, n_out, block, n_in) == OK;
  if (me < 2)
    good = good && block[0] == 1 && block[n / 2] == 2 && block[n - 1] == 3;
  mem_free (&block);
  tap_ok (good, "an exchange of %zu numbers", n);
}

static void
test_big (struct wire *w)
{
  const size_t two = (size_t)1 << 31, step = 4096;
  if (!is_big ()) {
    tap_skip ("beyond 2^31: only under INTERLOCK_BIG=1");
    return;
  }
  if (wire_size (w) != 2)
    return;
  if (!has_memory (w, 5e9)) {
    tap_skip ("beyond 2^31: 6 GB of memory are not free");
    return;
  }
  test_message (w, two, step);
  test_message (w, two + 12, step);
  test_broadcast (w, two + 100, step);
  if (has_memory (w, 9e9)) {
    test_texts (w, two + 3);
    test_large_exchange (w);
  } else {
    tap_skip ("texts and exchanges beyond 2^31: 10 GB are not free");
  }
}

int
main (int argc, char **argv)
{
  struct wire *w;
  fault_plant (NULL);
  if (wire_open (&argc, &argv, &w) != OK || wire_grid (w, 1) != OK)
    return 1;
  static const size_t sizes[] = {65468, 65472, 65476, 65536, 65540, 5242892};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    test_message (w, sizes[i], 1);
  test_broadcast (w, 5000003, 1);
  test_texts (w, 0);
  test_texts (w, 9000000);
  test_exchange (w);
  test_big (w);
  wire_close (&w);
  return tap_done ();
}
