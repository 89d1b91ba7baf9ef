/* import/import.h -- data set files out of other people's. */
#ifndef IMPORT_IMPORT_H
#define IMPORT_IMPORT_H

#include "base/status.h"
#include "base/text.h"

/* `interlock import`.  kind: cifar10 cifar100 idx folder synthetic text tokens
 * weights;
 * others E_CONFIG with the list.  inputs: folders or archives of such, or files
 * (.bin; idx pairs; images by class; text; ids), also compressed.  options:
 * "key=value" words (synthetic: seed, train, valid, test, classes, size;
 * folder: valid, test, seed, size, raw; others: valid=N held out from train,
 * limit=N). Written under another name and renamed. */
enum status
import_run (const char *kind, int n_inputs, const char *const *inputs,
            int n_options, const char *const *options, const char *output);
/* Lines for --help: kind and what its inputs are. */
void
import_help (struct text *out);

#endif
