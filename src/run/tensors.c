/* run/tensors.c -- the tensors of a rank's stages by their names in files.
 *
 * Nothing here depends on ranks or folding: a tensor is known by its path.
 */
#include "run/session.h"

#include <stdio.h>
#include <string.h>

static const enum stage_what slots[] = {STAGE_VALUE, STAGE_MOMENT_1,
                                        STAGE_MOMENT_2};

enum stage_what
session_what (int slot)
{
  return slots[slot];
}

static const char *
slot_name (const struct session *s, enum stage_what what)
{
  if (what == STAGE_MOMENT_2)
    return "exp_avg_sq";
  return s->design->optimizer.kind == OPTIMIZER_SGD ? "momentum" : "exp_avg";
}

const char *
session_slot (const struct session *s, int slot)
{
  return slot_name (s, slots[slot]);
}

int
session_moments (const struct session *s)
{
  const struct design *d = s->design;
  if (d->optimizer.kind == OPTIMIZER_ADAMW)
    return 2;
  return d->optimizer.momentum > 0 ? 1 : 0;
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
