/* design/predict.c -- what a step of a run would take on other ranks, from what
 * its blocks took where it was made.
 */
#include "design/design_impl.h"

#include <unistd.h>

enum status
design_predict (const struct config *was, int ranks, int n,
                const char *const *kept, double *step_s)
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
    *step_s = d.plan->cycle_s;
    design_close (&d);
  } else if (!there)
    e = fail (E_MISSING, "its data set is not there: %.200s", was->file);
  wire_close (&alone);
  return e;
}
