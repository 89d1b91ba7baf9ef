/* design/predict.c -- what a step of a run would take on other ranks, from what
 * its blocks took where it was made.
 */
#include "design/design_impl.h"

#include <unistd.h>

static void
take_pace (const struct design *d, struct design_pace *out)
{
  out->n = d->n_phases;
  for (int i = 0; i < d->n_phases; i++) {
    out->first[i] = d->phase[i].first;
    out->step_s[i] = d->phase[i].plan->cycle_s;
  }
}

enum status
design_predict (const struct config *c, int ranks, int n,
                const char *const *kept, struct design_pace *out)
{
  const struct design_spec spec = {.n_kept = n, .kept = kept};
  struct wire *alone = NULL;
  struct design d;
  TRY (design_check_ranks (c, ranks));
  if (n == 0)
    return fail (E_MISSING, "it has no costs.txt");
  /* Which sizes things have, and how many steps there are, follows from it. */
  if (access (c->file, R_OK) != 0)
    return fail (E_MISSING, "its data set is not there: %.200s", c->file);
  TRY (wire_open_alone (&alone));
  enum status e = design_sketch (alone, c, ranks / (int)c->replicas, &spec, &d);
  if (e == OK) {
    take_pace (&d, out);
    design_close (&d);
  }
  wire_close (&alone);
  return e;
}
