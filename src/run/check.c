/* run/check.c -- what self-checks and tests are made of: digests of all
 * tensors.
 */
#include "run/session.h"

#include <stdlib.h>
#include <string.h>

static enum status
tensor_digest (struct session *s, struct local_stage *l, int i, int slot,
               struct text *out)
{
  struct store_tensor t = {0};
  float *plain = NULL;
  char digest[33];
  size_t n = 1;
  if (!session_has (l, i, session_what (slot)))
    return OK;
  session_tensor (s, l, i, session_what (slot), l->k, &t);
  for (int d = 0; d < t.n_dims; d++)
    n *= (size_t)t.dims[d];
  TRY (MEM_NEW (n, &plain, "tensor to compare"));
  enum status e = stage_tensor_out (l->stage, i, session_what (slot), plain);
  if (e == OK) {
    hash_digest (plain, n * sizeof *plain, digest);
    text_add (out, "%s %s\n", t.path, digest);
  }
  mem_free (&plain);
  return e;
}

/* out NULL: on behalf of the twins. */
static enum status
digests (struct session *s, bool slots, struct text *out)
{
  enum status e = OK;
  for (int w = 0; w <= (slots ? session_moments (s) : 0); w++) {
    sums_show (s, w);
    for (int i = 0; out && i < s->n_local; i++)
      for (int j = 0; j < stage_tensors (s->local[i].stage) && e == OK; j++)
        e = tensor_digest (s, &s->local[i], j, w, out);
  }
  return e;
}

enum status
check_digests (struct session *s, bool slots, struct text *out)
{
  return digests (s, slots, out);
}

static int
by_text (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

/* The lines of all texts, sorted, as one text. */
static enum status
sort_lines (char **texts, int n, char **out)
{
  struct text all;
  size_t lines = 0;
  char **line = NULL;
  text_init (&all);
  for (int i = 0; i < n; i++)
    text_add (&all, "%s", texts[i]);
  for (size_t i = 0; i < all.size; i++)
    lines += all.data[i] == '\n';
  enum status e = MEM_NEW (lines, &line, "lines");
  if (e == OK) {
    size_t i = 0;
    char *save = NULL;
    for (char *p = lines ? strtok_r (all.data, "\n", &save) : NULL; p;
         p = strtok_r (NULL, "\n", &save))
      line[i++] = p;
    qsort (line, i, sizeof *line, by_text);
    struct text sorted;
    text_init (&sorted);
    for (size_t j = 0; j < i; j++)
      text_add (&sorted, "%s\n", line[j]);
    e = mem_text (sorted.data, out);
    text_clear (&sorted);
  }
  mem_free (&line);
  text_clear (&all);
  return e;
}

static enum status
all_digests (struct session *s, bool slots, char **out)
{
  struct text mine;
  char **texts = NULL;
  *out = NULL;
  text_init (&mine);
  enum status e =
      digests (s, slots, wire_replica (s->wire) == 0 ? &mine : NULL);
  e = wire_agree (s->wire, e);
  if (e == OK)
    e = wire_gather_text (s->wire, mine.data, &texts);
  text_clear (&mine);
  if (e == OK && texts) {
    e = sort_lines (texts, wire_size (s->wire), out);
    for (int r = 0; r < wire_size (s->wire); r++)
      mem_free (&texts[r]);
    mem_free (&texts);
  }
  return wire_agree (s->wire, e);
}

enum status
check_all_digests (struct session *s, char **out)
{
  return all_digests (s, false, out);
}

enum status
check_state_digests (struct session *s, char **out)
{
  return all_digests (s, true, out);
}
