/* run/load.c -- from checkpoint files back into stages, by name. */
#include "base/place.h"
#include "run/session.h"

#include <stdlib.h>
#include <string.h>

struct loading {
  const struct store_checkpoint *file;
  const struct load_fit *fit; /* NULL: heads by their numbers */
  bool optimizer, heads;
  float *buffer; /* of the largest tensor */
  int fresh;     /* tensors of heads that the file does not have */
  char **record; /* 2, see session_load_fit; NULL: not wanted */
};

static enum status
load_tensor (struct session *s, struct local_stage *l, int i, int slot,
             struct loading *g)
{
  enum stage_what what = session_what (slot);
  struct store_tensor t = {0};
  int from = g->fit ? g->fit->head_from[l->k] : l->k;
  if (!session_has (l, i, what))
    return OK;
  bool of_head = session_tensor (s, l, i, what, from, &t);
  t.data = g->buffer;
  if (g->fit && of_head && from < 0)
    return OK; /* as it was made */
  if (g->fit && slot > 0 &&
      (!g->fit->slot[slot - 1] ||
       (of_head && !store_checkpoint_has (g->file, t.path))))
    return OK;
  if (of_head && !g->fit && !g->heads &&
      !store_checkpoint_has (g->file, t.path)) {
    g->fresh++;
    return OK;
  }
  TRY (store_checkpoint_read (g->file, &t));
  return stage_tensor_in (l->stage, i, what, t.data);
}

static size_t
largest_tensor (const struct session *s)
{
  size_t largest = 0;
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s->local[i].stage, j, &info, &head, &statistic);
      size_t n = (size_t)tensor_info_count (&info);
      largest = n > largest ? n : largest;
    }
  return largest;
}

static enum status
load_all (struct session *s, struct loading *g)
{
  TRY (MEM_NEW (largest_tensor (s), &g->buffer, "buffer for parameters"));
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    place_set (-1, l->k, "loading parameters");
    for (int j = 0; j < stage_tensors (l->stage); j++) {
      log_progress ("loading stage %d: tensor %d of %d", l->k, j + 1,
                    stage_tensors (l->stage));
      for (int w = 0; w <= (g->optimizer ? session_moments (s) : 0); w++)
        TRY (load_tensor (s, l, j, w, g));
    }
    TRY (stage_refresh (l->stage));
  }
  return OK;
}

/* For the rows of metrics.csv, once training begins. */
static enum status
keep_record (char *record[2], const struct store_attributes *a)
{
  mem_free (&record[0]);
  mem_free (&record[1]);
  TRY (mem_text (a->metrics, &record[0]));
  return mem_text (a->progress, &record[1]);
}

static enum status
load (struct session *s, const char *path, struct loading *g, int64_t *step)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a = {0};
  enum status e = store_checkpoint_open (path, &file);
  if (e == OK) {
    g->file = file;
    store_checkpoint_attributes (file, &a);
    /* One that is resumed has been read from end to end before. */
    if (!g->fit && wire_rank (s->wire) == 0)
      e = store_checkpoint_agrees (file);
    if (e == OK)
      e = load_all (s, g);
    if (e == OK && g->record && s->run)
      e = keep_record (g->record, &a);
  }
  if (e == OK && g->fresh > 0)
    tell (LOG_INFO, "%s has no such heads: %d of their tensors start fresh",
          path, g->fresh);
  mem_free (&g->buffer);
  store_checkpoint_close (&file);
  e = wire_agree (s->wire, e);
  if (e == OK)
    e = shared_spread (s, -1);
  if (e == OK)
    e = shared_settle (s);
  if (e == OK)
    *step = a.step;
  return e;
}

enum status
session_load (struct session *s, const char *path, bool optimizer, bool heads,
              int64_t *step)
{
  struct loading g = {.optimizer = optimizer, .heads = heads};
  return load (s, path, &g, step);
}

enum status
session_load_fit (struct session *s, const char *path, const struct load_fit *f,
                  char *record[2], int64_t *step)
{
  struct loading g = {
      .fit = f, .optimizer = true, .heads = true, .record = record};
  return load (s, path, &g, step);
}

enum status
session_tuning_of (const char *path, char **tuning)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  TRY (store_checkpoint_open (path, &file));
  store_checkpoint_attributes (file, &a);
  enum status e = mem_text (a.tuning, tuning);
  store_checkpoint_close (&file);
  return e;
}
