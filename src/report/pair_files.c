/* report/pair_files.c -- two runs' checkpoints: by the digests that
 * events.jsonl tells of each, also of files that are gone; then, where both
 * still have one that differs, tensor by tensor.
 */
#include "report/pair_impl.h"

#include "store/checkpoint.h"
#include <stdlib.h>
#include <string.h>

struct saved { /* a checkpoint that was written */
  int64_t step;
  const char *weights, *optimizer; /* digests; "": not told */
};

static int
by_step (const void *a, const void *b)
{
  int64_t x = ((const struct saved *)a)->step;
  int64_t y = ((const struct saved *)b)->step;
  return (x > y) - (x < y);
}

static struct saved *
saved_at (struct saved *list, int n, int64_t step)
{
  for (int i = 0; i < n; i++)
    if (list[i].step == step)
      return &list[i];
  return NULL;
}

/* Files that no event tells of. */
static enum status
add_files (struct pool *p, const struct side *s, struct saved *list, int *n)
{
  for (int i = 0; i < s->n_found; i++) {
    struct store_checkpoint *c = NULL;
    struct store_attributes a;
    if (saved_at (list, *n, s->found[i].step))
      continue;
    TRY (store_checkpoint_open (s->found[i].path, &c));
    store_checkpoint_attributes (c, &a);
    list[(*n)++] =
        (struct saved){s->found[i].step, pool_text (p, "%s", a.digests.weights),
                       pool_text (p, "%s", a.digests.optimizer)};
    store_checkpoint_close (&c);
  }
  return OK;
}

/* In order of steps; of several of one step the newest. */
static enum status
list_saved (struct pool *p, const struct side *s, struct saved **out, int *n)
{
  const struct store_history *h = s->history;
  int events = store_history_count (h);
  struct saved *list =
      pool_take (p, (size_t)(events + s->n_found) + 1, sizeof *list);
  *n = 0;
  for (int i = events - 1; i >= 0; i--) {
    int64_t step;
    if (strcmp (store_history_word (h, i, "event"), "checkpoint") == 0 &&
        text_to_long (store_history_word (h, i, "step"), &step) &&
        !saved_at (list, *n, step))
      list[(*n)++] = (struct saved){step, store_history_word (h, i, "weights"),
                                    store_history_word (h, i, "optimizer")};
  }
  TRY (add_files (p, s, list, n));
  qsort (list, (size_t)*n, sizeof *list, by_step);
  *out = list;
  return OK;
}

/* -- tensor by tensor -------------------------------------------------------
 */

struct tensors {
  struct store_checkpoint *c[2];
  struct text paths[2];
  bool body; /* of the network alone: stages and heads are others */
  int both, differ, alone; /* alone: in one of them only */
  int stage;               /* the first that differs; -1: none, not known */
  char first[TENSOR_NAME + 64];
};

static bool
has_line (const char *text, const char *line, size_t n)
{
  for (const char *at = text; *at; at += strcspn (at, "\n") + 1) {
    if (strcspn (at, "\n") == n && memcmp (at, line, n) == 0)
      return true;
    if (!at[strcspn (at, "\n")])
      break;
  }
  return false;
}

/* Order in which differences are told: by stage; within one the body, then the
 * head, then slots of the optimizer. */
static bool
comes_before (int stage, const char *path, const struct tensors *t)
{
  static const char *const kinds[] = {"/model/", "/heads/"};
  if (t->differ == 0 || stage != t->stage)
    return t->differ == 0 || (stage >= 0 && stage < t->stage);
  for (int i = 0; i < 2; i++) {
    size_t n = strlen (kinds[i]);
    bool is = strncmp (path, kinds[i], n) == 0;
    if (is || strncmp (t->first, kinds[i], n) == 0)
      return is && strncmp (t->first, kinds[i], n) != 0;
  }
  return false;
}

/* A tensor of both. */
static enum status
compare_tensor (struct tensors *t, const struct words *config, const char *path)
{
  char digest[2][33];
  if (t->body && !strstr (path, "/model/"))
    return OK;
  for (int i = 0; i < 2; i++)
    TRY (store_checkpoint_digest (t->c[i], path, digest[i]));
  t->both++;
  if (strcmp (digest[0], digest[1]) == 0)
    return OK;
  int stage = pair_stage (config, t->paths[0].data, path);
  if (comes_before (stage, path, t)) {
    t->stage = stage;
    snprintf (t->first, sizeof t->first, "%s", path);
  }
  t->differ++;
  return OK;
}

static enum status
compare_tensors (struct tensors *t, const struct words *config)
{
  for (int i = 0; i < 2; i++)
    TRY (store_checkpoint_paths (t->c[i], &t->paths[i]));
  for (const char *at = t->paths[0].data; *at;) {
    size_t n = strcspn (at, "\n");
    char path[TENSOR_NAME + 64];
    snprintf (path, sizeof path, "%.*s", (int)n, at);
    if (!has_line (t->paths[1].data, at, n))
      t->alone++;
    else
      TRY (compare_tensor (t, config, path));
    at += n + (at[n] == '\n');
  }
  for (const char *at = t->paths[1].data; *at;) {
    size_t n = strcspn (at, "\n");
    t->alone += !has_line (t->paths[0].data, at, n);
    at += n + (at[n] == '\n');
  }
  return OK;
}

static const char *
file_of (const struct side *s, int64_t step)
{
  for (int i = 0; i < s->n_found; i++)
    if (s->found[i].step == step)
      return s->found[i].path;
  return NULL;
}

static void
tell_tensors (const struct tensors *t, struct apart *f)
{
  text_add (&f->words, "%d of %d tensors differ", t->differ, t->both);
  if (t->differ > 0)
    text_add (&f->words, ", the first %s", t->first);
  if (!t->body)
    f->stage = t->stage;
  if (f->stage >= 0)
    text_add (&f->words, " in stage %d", f->stage);
  if (t->alone > 0)
    text_add (&f->words, "; %d are in one of them only", t->alone);
}

enum verdict { NOT_KNOWN, EQUAL, DIFFER };

/* Two files of one step whose digests differ; what differs is told. */
static enum status
look_inside (const char *const path[2], const struct words *config, bool body,
             struct apart *f, enum verdict *out)
{
  struct tensors t = {.stage = -1, .body = body};
  enum status e = OK;
  for (int i = 0; i < 2; i++)
    text_init (&t.paths[i]);
  for (int i = 0; i < 2 && e == OK; i++)
    e = store_checkpoint_open (path[i], &t.c[i]);
  if (e == OK)
    e = compare_tensors (&t, config);
  /* Heads that one of them lacks are no difference of the network. */
  *out = t.differ == 0 && t.both > 0 && body ? EQUAL : DIFFER;
  if (e == OK && *out == DIFFER)
    tell_tensors (&t, f);
  for (int i = 0; i < 2; i++) {
    text_clear (&t.paths[i]);
    store_checkpoint_close (&t.c[i]);
  }
  return e;
}

/* Where stages are others, only the files can tell. */
static enum status
judge (const struct side *a, const struct side *b, const struct saved *x,
       const struct saved *y, struct apart *f, enum verdict *out)
{
  const char *const path[2] = {file_of (a, x->step), file_of (b, x->step)};
  bool body = !pair_same_stages (a, b);
  *out = EQUAL;
  if (strcmp (x->weights, y->weights) == 0 &&
      strcmp (x->optimizer, y->optimizer) == 0)
    return OK;
  if (path[0] && path[1])
    return look_inside (path, &a->run.config, body, f, out);
  *out = body ? NOT_KNOWN : DIFFER;
  if (!body)
    text_add (&f->words, "not kept by both: which tensors is not known");
  return OK;
}

enum status
pair_checkpoints (struct pool *p, const struct side *a, const struct side *b,
                  struct apart *f)
{
  struct saved *of_a, *of_b;
  int n_a, n_b;
  *f = (struct apart){
      .kind = "checkpoints", .same = -1, .step = -1, .stage = -1};
  text_init (&f->words);
  TRY (list_saved (p, a, &of_a, &n_a));
  TRY (list_saved (p, b, &of_b, &n_b));
  for (int i = 0; i < n_a && f->step < 0; i++) {
    const struct saved *x = &of_a[i], *y = saved_at (of_b, n_b, x->step);
    enum verdict v;
    if (!y || !x->weights[0] || !y->weights[0])
      continue;
    TRY (judge (a, b, x, y, f, &v));
    f->steps += v != NOT_KNOWN;
    if (v == EQUAL)
      f->same = x->step;
    else if (v == DIFFER)
      f->step = x->step;
  }
  return OK;
}
