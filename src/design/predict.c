/* design/predict.c -- what a step of a run would take on other ranks, from what
 * its blocks took where it was made.
 */
#include "design/design_impl.h"

enum status
design_predict (const struct config *c, int ranks, int n,
                const char *const *kept, double *step_s)
{
  const struct design_spec spec = {.n_kept = n, .kept = kept};
  struct wire *alone = NULL;
  struct design d;
  TRY (design_check_ranks (c, ranks));
  if (n == 0)
    return fail (E_MISSING, "it has no costs.txt");
  TRY (wire_open_alone (&alone));
  enum status e = design_sketch (alone, c, ranks / (int)c->replicas, &spec, &d);
  if (e == OK) {
    *step_s = d.plan->cycle_s;
    design_close (&d);
  }
  wire_close (&alone);
  return e;
}
