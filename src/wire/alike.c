/* wire/alike.c -- what has to be the same on all ranks, and who differs.
 *
 * Where all are alike, which is nearly always, one small reduction says so.
 * Only else are the values gathered, to be told by name with the ranks and
 * hosts that have them.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "wire/wire_impl.h"
#include <string.h>

/* What one message names at most: values, hosts of one value, pieces of its
 * list of ranks, characters of a value. */
#define VALUES 6
#define HOSTS 4
#define RANGES 6
#define SHOWN 160
#define PREFIX 24

static bool
all_alike (struct wire *w, uint64_t mine)
{
  uint64_t in[2] = {mine, ~mine}, most[2];
  MPI_Request request;
  if (w->alone)
    return true;
  MPI_Iallreduce (in, most, 2, MPI_UINT64_T, MPI_MAX, w->world, &request);
  wire_complete (w, &request);
  return most[0] == ~most[1];
}

/* -- who has what, on the root --------------------------------------------- */

/* What rank r told: its host, a line break, its value. */
struct told {
  int size;
  char **texts;  /* size */
  size_t prefix; /* what all values begin with and need not be shown */
};

static const char *
value_of (const struct told *t, int r)
{
  return strchr (t->texts[r], '\n') + 1;
}

static int
host_length (const struct told *t, int r)
{
  return (int)strcspn (t->texts[r], "\n");
}

static bool
same_host (const struct told *t, int a, int b)
{
  int n = host_length (t, a);
  return n == host_length (t, b) &&
         strncmp (t->texts[a], t->texts[b], (size_t)n) == 0;
}

/* The next rank from r on that has the value of rank `like`; size: none. */
static int
next_like (const struct told *t, int like, int r)
{
  while (r < t->size && strcmp (value_of (t, r), value_of (t, like)) != 0)
    r++;
  return r;
}

/* Long values that differ late, such as command lines: whole words that all
 * begin with are left out. */
static size_t
common_prefix (const struct told *t)
{
  const char *first = value_of (t, 0);
  size_t n = strlen (first);
  for (int r = 1; r < t->size; r++) {
    const char *v = value_of (t, r);
    size_t i = 0;
    while (i < n && v[i] == first[i])
      i++;
    n = i;
  }
  while (n > 0 && first[n - 1] != ' ')
    n--;
  return n > PREFIX ? n : 0;
}

static void
add_ranks (const struct told *t, int like, struct text *out)
{
  int ranges = 0, more = 0;
  bool one = next_like (t, like, like + 1) == t->size;
  text_add (out, "rank%s ", one ? "" : "s");
  for (int r = like; r < t->size;) {
    int end = r + 1;
    while (end < t->size && next_like (t, like, end) == end)
      end++;
    if (++ranges > RANGES)
      more += end - r;
    else if (end - r == 1)
      text_add (out, "%s%d", ranges > 1 ? ", " : "", r);
    else
      text_add (out, "%s%d-%d", ranges > 1 ? ", " : "", r, end - 1);
    r = next_like (t, like, end);
  }
  if (more > 0)
    text_add (out, " and %d more", more);
}

/* Whether a rank before r that has r's value has r's host as well. */
static bool
host_known (const struct told *t, int like, int r)
{
  for (int q = like; q < r; q = next_like (t, like, q + 1))
    if (same_host (t, q, r))
      return true;
  return false;
}

static void
add_hosts (const struct told *t, int like, struct text *out)
{
  int n = 0;
  for (int r = like; r < t->size; r = next_like (t, like, r + 1)) {
    if (host_known (t, like, r))
      continue;
    if (++n <= HOSTS)
      text_add (out, "%s%.*s", n > 1 ? ", " : " on ", host_length (t, r),
                t->texts[r]);
  }
  if (n > HOSTS)
    text_add (out, " and %d more", n - HOSTS);
}

/* "ranks 0-3 on a, b: avx2; rank 4 on c: sse41".  Returns the number of
 * values. */
static int
tell_groups (struct told *t, struct text *out)
{
  int n = 0;
  t->prefix = common_prefix (t);
  for (int r = 0; r < t->size; r++) {
    if (next_like (t, r, 0) < r)
      continue;
    if (++n > VALUES)
      continue;
    const char *v = value_of (t, r) + t->prefix;
    text_add (out, "%s", n > 1 ? "; " : "");
    add_ranks (t, r, out);
    add_hosts (t, r, out);
    text_add (out, ": %s%.*s%s", t->prefix > 0 ? "... " : "", SHOWN,
              v[0] || t->prefix > 0 ? v : "(nothing)",
              strlen (v) > SHOWN ? "..." : "");
  }
  if (n > VALUES)
    text_add (out, "; and %d other values", n - VALUES);
  return n;
}

/* -- for everybody --------------------------------------------------------- */

/* Root's text and number on all ranks. */
static enum status
share (struct wire *w, struct text *out, int *n)
{
  char *words = w->rank == 0 ? out->data : NULL;
  TRY (wire_broadcast (w, n, sizeof *n, 0));
  TRY (wire_broadcast_text (w, &words, 0));
  if (w->rank == 0)
    return OK;
  text_add (out, "%s", words);
  mem_free (&words);
  return OK;
}

enum status
wire_groups (struct wire *w, const char *mine, int *n, struct text *out)
{
  struct told t = {.size = w->size};
  struct text line;
  *n = 1;
  if (all_alike (w, hash_text (mine, 0)))
    return OK;
  text_init (&line);
  text_add (&line, "%s\n%s", w->host, mine);
  enum status s = wire_gather_text (w, line.data, &t.texts);
  text_clear (&line);
  TRY (s);
  if (w->rank == 0)
    *n = tell_groups (&t, out);
  for (int r = 0; t.texts != NULL && r < w->size; r++)
    mem_free (&t.texts[r]);
  mem_free (&t.texts);
  return share (w, out, n);
}

/* Facts in a row: where they are hashed, each with its end. */
static uint64_t
facts_hash (int n, const struct wire_fact *fact)
{
  uint64_t h = 0;
  for (int i = 0; i < n; i++)
    h = hash_text (fact[i].value, h + 1);
  return h;
}

enum status
wire_alike (struct wire *w, int n, const struct wire_fact *fact)
{
  struct text words;
  enum status s = OK, worst = OK;
  if (all_alike (w, facts_hash (n, fact)))
    return OK;
  text_init (&words);
  for (int i = 0; i < n && s == OK; i++) {
    struct text groups;
    int values;
    text_init (&groups);
    s = wire_groups (w, fact[i].value, &values, &groups);
    if (s == OK && values > 1) {
      text_add (&words, "%s%s: not the same on all ranks: %s%s%s",
                words.size ? "\n" : "", fact[i].name, groups.data,
                fact[i].cure[0] ? "; " : "", fact[i].cure);
      worst = worst == OK ? fact[i].status : worst;
    }
    text_clear (&groups);
  }
  if (s == OK && worst != OK)
    s = fail (worst, "%s", words.data);
  text_clear (&words);
  return s;
}
