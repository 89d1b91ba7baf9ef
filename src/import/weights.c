/* import/weights.c -- a model's parameters out of other people's files. */
#include "import/import_impl.h"

#include "base/text.h"
#include "weights/weights.h"

enum status
import_weights (const struct import_job *job)
{
  const char *names = NULL;
  char near[TEXT_NEAR];
  struct import_option options[] = {{"names", 0, 0, 0, &names}};
  TRY (import_options_parse (job->kind, job->n_options, job->options, options,
                             1));
  if (job->n_inputs != 1)
    return fail (E_USAGE, "import weights: one file, not %d", job->n_inputs);
  if (names && text_among (WEIGHTS_NAMES, names, near) < 0)
    return fail (E_CONFIG, "import weights: names=%s: there are %s", names,
                 WEIGHTS_NAMES);
  return weights_import (job->inputs[0], names, job->output);
}
