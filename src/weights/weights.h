/* weights/weights.h -- parameters under other people's names, out and in.
 *
 * Files are safetensors (an 8-byte little-endian length, a JSON header, raw
 * data) or HDF5 parameter files.  One tensor at a time is in memory.  All is
 * local; nothing here knows MPI.
 */
#ifndef WEIGHTS_WEIGHTS_H
#define WEIGHTS_WEIGHTS_H

#include "base/status.h"
#include "base/text.h"
#include <stdbool.h>
#include <stdint.h>

enum weights_form { WEIGHTS_SAFETENSORS, WEIGHTS_HDF5 };
/* Words of options, separated by blanks. */
#define WEIGHTS_FORMS "safetensors hdf5"
#define WEIGHTS_NAMES "torchvision timm hf-gpt2 hf-llama"

/* All borrowed. */
struct weights_export {
  const char *checkpoint; /* a file; a parameter file, too */
  const char *output;
  enum weights_form form;
  const char *names; /* NULL: those that the model has */
  bool heads;        /* those of inner stages, too: heads.STAGE.I.NAME */
  int64_t step;      /* what BatchNorm's num_batches_tracked become */
  /* What no tensor tells; of a Transformer's configuration. */
  const char *border;                  /* stages.border; NULL: not known */
  int64_t heads_of_attention, context; /* 0: not known */
};
/* Write the model of a checkpoint, whole or not at all.  E_CONFIG where models
 * of these names cannot be it, with the tensor or key that says so;
 * E_CHECKPOINT, E_IO. */
enum status
weights_export (const struct weights_export *spec);

/* A parameter file that train.init takes, of a file in one of these formats.
 * names NULL: found from the tensors.  E_CHECKPOINT names the tensor that is
 * damaged, or has no place in any such model. */
enum status
weights_import (const char *input, const char *names, const char *output);

#endif
