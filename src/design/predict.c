/* design/predict.c -- what a step of a run would take on other ranks, from what
 * its blocks took where it was made.
 */
#include "design/design_impl.h"

#include <unistd.h>

static enum status
take_pace (const struct design *d, struct design_pace *out)
{
  if (d->phase[d->n_phases - 1].first < 0)
    return fail (E_MISSING, "how many steps it has, and when its phases begin, "
                            "is not known without its data set");
  out->n = d->n_phases;
  for (int i = 0; i < d->n_phases; i++) {
    out->first[i] = d->phase[i].first;
    out->step_s[i] = d->phase[i].plan->cycle_s;
  }
  return OK;
}

enum status
design_predict (const struct config *was, int ranks, int n,
                const char *const *kept, struct design_pace *out)
{
  const struct design_spec spec = {.n_kept = n, .kept = kept};
  struct config c = *was;
  struct wire *alone = NULL;
  struct design d;
  TRY (design_check_ranks (&c, ranks));
  if (n == 0)
    return fail (E_MISSING, "it has no costs.txt");
  /* Tokens of another place have the usual vocabulary, or the network is not
   * that of the costs; of images nobody knows the size. */
  const bool there = access (c.file, R_OK) == 0;
  if (!there && c.family != CONFIG_TRANSFORMER)
    return fail (E_MISSING, "its data set is not there: %.200s", c.file);
  if (!there)
    c.file[0] = '\0';
  TRY (wire_open_alone (&alone));
  enum status e = design_sketch (alone, &c, ranks / (int)c.replicas, &spec, &d);
  if (e == OK) {
    e = take_pace (&d, out);
    design_close (&d);
  } else if (!there)
    e = fail (E_MISSING, "its data set is not there: %.200s", was->file);
  wire_close (&alone);
  return e;
}
