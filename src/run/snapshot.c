/* run/snapshot.c -- stages to checkpoint files, by name.
 *
 * Nothing here depends on ranks or folding: a tensor is known by its path.
 */
#include "run/run_impl.h"

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

static size_t
tensor_floats (const struct store_tensor *t)
{
  size_t n = 1;
  for (int i = 0; i < t->n_dims; i++)
    n *= (size_t)t->dims[i];
  return n;
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

/* Count (tensors NULL) or copy out everything this rank contributes. */
static enum status
collect (struct session *s, struct store_tensor *tensors, struct arena *a,
         int *n, size_t *bytes)
{
  int count = 0;
  size_t size = 0;
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    for (int j = 0; j < stage_tensors (l->stage); j++)
      for (int w = 0; w <= n_moments (s); w++) {
        struct store_tensor t = {0};
        if (!describe (s, l, j, slots[w], &t))
          continue;
        size += arena_round (tensor_floats (&t) * sizeof (float));
        if (tensors) {
          t.data = arena_take (a, tensor_floats (&t) * sizeof (float));
          TRY (stage_tensor_out (l->stage, j, slots[w], t.data));
          tensors[count] = t;
        }
        count++;
      }
  }
  *n = count;
  *bytes = size;
  return OK;
}

static enum status
gather_tensors (struct session *s, struct store_tensor **tensors,
                struct arena *a, int *n)
{
  size_t bytes;
  *n = 0;
  if (wire_replica (s->wire) != 0) /* twins hold the same */
    return OK;
  TRY (collect (s, NULL, NULL, n, &bytes));
  TRY (MEM_NEW ((size_t)*n, tensors, "list of tensors"));
  TRY (arena_open (bytes, "copy for the checkpoint", a));
  return collect (s, *tensors, a, n, &bytes);
}

enum status
session_save (struct session *s, const char *path, int64_t step)
{
  struct store_tensor *tensors = NULL;
  struct arena a = {0};
  struct text config, tuning;
  int n = 0;
  place_set ((long)step, -1, "saving a checkpoint");
  text_init (&config);
  text_init (&tuning);
  enum status e = wire_agree (s->wire, gather_tensors (s, &tensors, &a, &n));
  if (e == OK) {
    if (s->write)
      s->write (&s->config, &config);
    kern_tuning_print (s->tuning, &tuning);
    struct store_attributes attributes = {
        .step = step,
        .epoch = step * s->batch / s->n_train,
        .sample = step * s->batch,
        .seed = s->config.seed,
        .config = config.data,
        .tuning = tuning.data,
        .library = kern_describe (s->kern),
    };
    e = store_checkpoint_write (s->wire, path, &attributes, tensors, n, NULL);
  }
  text_clear (&config);
  text_clear (&tuning);
  arena_close (&a);
  mem_free (&tensors);
  return e;
}
