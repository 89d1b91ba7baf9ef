/* train/snapshot.c -- stages to checkpoint files. */
#include "base/place.h"
#include "store/saver.h"
#include "train/train_impl.h"

#include <stdio.h>
#include <string.h>

/* Fill path and shape of tensor i of a stage; false when it has no such slot.
 */
static bool
describe (const struct session *s, const struct local_stage *l, int i,
          enum stage_what what, struct store_tensor *t)
{
  if (!session_has (l, i, what))
    return false;
  session_tensor (s, l, i, what, l->k, t);
  return true;
}

/* -- saving ------------------------------------------------------------------
 */

/* What this rank contributes: count (tensors NULL), or name and give room. */
static void
collect (const struct session *s, struct store_tensor *tensors, struct arena *a,
         int *n, size_t *bytes)
{
  *n = 0;
  *bytes = 0;
  for (int i = 0; i < s->n_local; i++) {
    const struct local_stage *l = &s->local[i];
    for (int j = 0; j < stage_tensors (l->stage); j++)
      for (int w = 0; w <= session_moments (s); w++) {
        struct store_tensor t = {0};
        if (!describe (s, l, j, session_what (w), &t))
          continue;
        size_t room = store_tensor_bytes (&t);
        bool paged = room >= STORE_PAGED;
        room += paged ? STORE_PAGE : 0;
        *bytes += arena_round (room);
        if (tensors) {
          char *p = arena_take (a, room);
          if (paged && (uintptr_t)p % STORE_PAGE != 0)
            p += STORE_PAGE - (uintptr_t)p % STORE_PAGE;
          t.data = p;
          tensors[*n] = t;
        }
        (*n)++;
      }
  }
}

enum status
snapshot_open (const struct session *s, struct staging *g)
{
  size_t bytes;
  if (wire_replica (s->wire) == 0) /* twins hold the same */
    collect (s, NULL, NULL, &g->n, &bytes);
  TRY (MEM_NEW ((size_t)g->n + 1, &g->tensor, "list of tensors"));
  if (g->n == 0)
    return OK;
  TRY (arena_open (bytes, "copy for the checkpoint", &g->memory));
  collect (s, g->tensor, &g->memory, &g->n, &bytes);
  return OK;
}

void
snapshot_close (struct staging *g)
{
  arena_close (&g->memory);
  mem_free (&g->tensor);
  g->n = 0;
}

/* Those of one slot; the places are in the order of collect. */
static enum status
copy_slot (const struct session *s, const struct staging *g, int slot)
{
  int n = 0;
  for (int i = 0; i < s->n_local; i++) {
    const struct local_stage *l = &s->local[i];
    for (int j = 0; j < stage_tensors (l->stage); j++)
      for (int w = 0; w <= session_moments (s); w++) {
        struct store_tensor t = {0};
        if (!describe (s, l, j, session_what (w), &t))
          continue;
        const int at = n++;
        if (w == slot)
          TRY (stage_tensor_out (l->stage, j, session_what (w),
                                 g->tensor[at].data));
      }
  }
  CHECK (n == g->n, "%d tensors copied, %d awaited", n, g->n);
  return OK;
}

/* What fails here is told when all slots have gone round: twins wait. */
enum status
snapshot_take (struct session *s, const struct staging *g)
{
  enum status e = OK;
  for (int w = 0; w <= session_moments (s); w++) {
    sums_show (s, w);
    if (g->n > 0 && e == OK)
      e = copy_slot (s, g, w);
  }
  return e;
}

void
snapshot_attributes (const struct session *s, int64_t step,
                     struct snapshot_words *words, struct store_attributes *out)
{
  const struct design *d = s->design;
  text_init (&words->config);
  text_init (&words->tuning);
  config_write (&d->config, &words->config);
  kernels_print_all (d->kernels, &words->tuning);
  snprintf (words->data, sizeof words->data, "%016llx",
            (unsigned long long)d->info.digest);
  *out = (struct store_attributes){
      .step = step,
      .epoch = step * d->batch / d->n_train,
      .sample = step * d->batch,
      .seed = d->config.seed,
      .config = words->config.data,
      .tuning = words->tuning.data,
      .library = kernels_describe (d->kernels),
      .order = key_word (KEY_OF (order), &d->config),
      .data = words->data,
  };
}

void
snapshot_words_clear (struct snapshot_words *words)
{
  text_clear (&words->config);
  text_clear (&words->tuning);
}

enum status
snapshot_write (struct session *s, const struct staging *g, const char *path,
                int64_t step, const struct store_attributes *more,
                const struct store_spec *spec)
{
  struct snapshot_words words;
  struct store_attributes a;
  struct staging own = {.tensor = NULL};
  place_set ((long)step, -1, "saving a checkpoint");
  enum status e = OK;
  if (!g->tensor) { /* on all ranks */
    e = wire_agree (s->wire, snapshot_open (s, &own));
    g = &own;
  }
  if (e == OK)
    e = snapshot_take (s, g);
  e = wire_agree (s->wire, e);
  snapshot_attributes (s, step, &words, &a);
  a.metrics = more->metrics;
  a.progress = more->progress;
  if (e == OK)
    e = store_checkpoint_write (s->wire, path, &a, g->tensor, g->n, spec);
  snapshot_words_clear (&words);
  snapshot_close (&own);
  return e;
}
