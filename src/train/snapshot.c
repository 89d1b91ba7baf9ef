/* train/snapshot.c -- stages to checkpoint files, by name.
 *
 * Nothing here depends on ranks or folding: a tensor is known by its path.
 */
#include "base/place.h"
#include "run/session.h"

#include <stdio.h>
#include <string.h>

static const char *
slot_name (const struct session *s, enum stage_what what)
{
  if (what == STAGE_MOMENT_2)
    return "exp_avg_sq";
  return s->optimizer.kind == OPTIMIZER_SGD ? "momentum" : "exp_avg";
}

static int
n_moments (const struct session *s)
{
  if (s->optimizer.kind == OPTIMIZER_ADAMW)
    return 2;
  return s->optimizer.momentum > 0 ? 1 : 0;
}

bool
session_has (const struct local_stage *l, int i, enum stage_what what)
{
  struct tensor_info info;
  bool head, statistic;
  stage_tensor (l->stage, i, &info, &head, &statistic);
  return what == STAGE_VALUE || !statistic;
}

bool
session_tensor (const struct session *s, const struct local_stage *l, int i,
                enum stage_what what, int number, struct store_tensor *t)
{
  struct tensor_info info;
  bool head, statistic;
  char place[TENSOR_NAME + 32], prefix[64] = "/";
  stage_tensor (l->stage, i, &info, &head, &statistic);
  if (what != STAGE_VALUE)
    snprintf (prefix, sizeof prefix, "/optimizer/%s/", slot_name (s, what));
  if (head)
    snprintf (place, sizeof place, "heads/%d/%s", number, info.name);
  else
    snprintf (place, sizeof place, "model/%s", info.name);
  snprintf (t->path, sizeof t->path, "%s%s", prefix, place);
  t->n_dims = info.n_dims;
  memcpy (t->dims, info.dims, sizeof t->dims);
  return head;
}

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

static const enum stage_what slots[] = {STAGE_VALUE, STAGE_MOMENT_1,
                                        STAGE_MOMENT_2};

int
session_moments (const struct session *s)
{
  return n_moments (s);
}

enum stage_what
session_what (int slot)
{
  return slots[slot];
}

const char *
session_slot (const struct session *s, int slot)
{
  return slot_name (s, slots[slot]);
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
      for (int w = 0; w <= n_moments (s); w++) {
        struct store_tensor t = {0};
        if (!describe (s, l, j, slots[w], &t))
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
session_staging_open (struct session *s)
{
  struct staging *g = &s->staging;
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
session_staging_close (struct session *s)
{
  arena_close (&s->staging.memory);
  mem_free (&s->staging.tensor);
  s->staging.n = 0;
}

enum status
session_stage_out (struct session *s)
{
  const struct staging *g = &s->staging;
  int n = 0;
  for (int i = 0; i < s->n_local && g->n > 0; i++) {
    const struct local_stage *l = &s->local[i];
    for (int j = 0; j < stage_tensors (l->stage); j++)
      for (int w = 0; w <= n_moments (s); w++) {
        struct store_tensor t = {0};
        if (describe (s, l, j, slots[w], &t))
          TRY (stage_tensor_out (l->stage, j, slots[w], g->tensor[n++].data));
      }
  }
  CHECK (n == g->n, "%d tensors copied, %d awaited", n, g->n);
  return OK;
}

void
session_attributes (struct session *s, int64_t step, struct text texts[2],
                    struct store_attributes *out)
{
  text_init (&texts[0]);
  text_init (&texts[1]);
  config_write (&s->config, &texts[0]);
  kern_tuning_print (s->tuning, &texts[1]);
  kern_verdicts_print (s->kern, &texts[1]);
  snprintf (s->data_digest, sizeof s->data_digest, "%016llx",
            (unsigned long long)s->info.digest);
  *out = (struct store_attributes){
      .step = step,
      .epoch = step * s->batch / s->n_train,
      .sample = step * s->batch,
      .seed = s->config.seed,
      .config = texts[0].data,
      .tuning = texts[1].data,
      .library = kern_describe (s->kern),
      .order = s->config.order == CONFIG_SHUFFLE ? "shuffle" : "sequential",
      .data = s->data_digest,
  };
}

enum status
session_save (struct session *s, const char *path, int64_t step,
              const struct store_attributes *more, const struct store_how *how)
{
  struct text texts[2];
  struct store_attributes a;
  bool own = s->staging.tensor == NULL;
  place_set ((long)step, -1, "saving a checkpoint");
  enum status e = own ? session_staging_open (s) : OK;
  if (e == OK)
    e = session_stage_out (s);
  e = wire_agree (s->wire, e);
  session_attributes (s, step, texts, &a);
  if (more) {
    a.metrics = more->metrics;
    a.progress = more->progress;
  }
  if (e == OK)
    e = store_checkpoint_write (s->wire, path, &a, s->staging.tensor,
                                s->staging.n, how);
  text_clear (&texts[0]);
  text_clear (&texts[1]);
  if (own)
    session_staging_close (s);
  return e;
}
