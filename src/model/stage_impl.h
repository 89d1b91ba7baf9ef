/* model/stage_impl.h -- the inside of a stage, for stage*.c alone.
 *
 * Memory, by kind as stage_memory counts it:
 *   0 params of body and head (two arenas of their own);
 *   1 slots: per slot the body's slab, the output, and for the head its slab,
 *     its pair, the gradient at the stage's output, logits and their cotangent;
 *   2 pairs: per pair the body's slab;
 *   3 the evaluation place, scratch and own input buffers.
 */
#ifndef MODEL_STAGE_IMPL_H
#define MODEL_STAGE_IMPL_H

#include "base/memory.h"
#include "model/layer_impl.h"
#include "model/stage.h"

struct place {              /* a slot, or where evaluation happens */
  char *body, *head;        /* slabs of saved tensors; NULL in evaluation */
  char *head_pair;          /* NULL in evaluation and without a head */
  float *y;                 /* the output; NULL when the body is empty */
  float *head_grad;         /* at the output; NULL as head_pair */
  float *logits, *d_logits; /* [n, classes]; NULL without a head */
  char *input;    /* own input with its header; owned; NULL: not made */
  const float *x; /* the last input; borrowed */
};

struct stage {
  struct kern *k;
  struct stage_spec spec; /* net borrowed; head and tuning not valid */
  enum kern_layout inner;
  struct layer *body;       /* NULL: output is input */
  struct layer *head;       /* NULL: none */
  struct params params[2];  /* by stage_part */
  struct kern_dims in, out; /* n = micro-batch */
  size_t in_bytes, out_bytes;
  size_t body_slot_bytes, body_pair_bytes, head_slot_bytes, head_pair_bytes;
  size_t scratch_bytes, input_bytes;
  struct arena slots, pairs, rest;
  struct place *place; /* n_slots, owned */
  struct place eval;
  char **pair; /* n_pairs, owned list */
  char *scratch;
  int n_slots, n_pairs;
};

/* The place of a slot or of STAGE_EVAL; CHECKs the number. */
struct place *
stage_place (const struct stage *s, int slot);

#endif
