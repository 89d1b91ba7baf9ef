/* model/stage_impl.h -- the inside of a stage, for stage*.c alone.
 *
 * Heads of Transformers end in a projection to the vocabulary, which is no
 * layer: it is done together with the loss, some positions at a time
 * (stage_token.c).
 *
 * Memory, by kind as stage_memory counts it:
 *   0 params of body and head (two arenas of their own);
 *   1 slots: per slot the body's slab, the output, and for the head its slab,
 *     its pair, the gradient at the stage's output, logits and their cotangent;
 *   2 pairs: per pair the body's slab;
 *   3 the evaluation place and own input buffers;
 *   4 scratch, which is the kern's room: empty between calls, so that all
 *     stages of a rank share it.
 */
#ifndef MODEL_STAGE_IMPL_H
#define MODEL_STAGE_IMPL_H

#include "base/memory.h"
#include "model/family.h"
#include "model/layer_impl.h"
#include "model/stage.h"

struct place {              /* a slot, or where evaluation happens */
  char *body, *head;        /* slabs of saved tensors; NULL in evaluation */
  char *head_pair;          /* NULL in evaluation and without a head */
  float *y;                 /* the output; NULL when the body is empty */
  float *head_grad;         /* at the output; NULL as head_pair */
  float *logits, *d_logits; /* [n, classes]; NULL without a head, of tokens */
  float *chosen; /* tokens: the rows the head takes, where it does not take
                    all; else NULL */
  struct kern_picture picture; /* what the head makes again */
  struct when when;            /* tokens: which samples these are */
  char *input;    /* own input with its header; owned; NULL: not made */
  const float *x; /* the last input; borrowed */
};

/* How the head's rows become losses. */
struct project {
  bool on;               /* a head of tokens; else nothing here counts */
  struct params *params; /* where the matrix is */
  int id;
  int64_t width, words;
  int64_t taken;  /* positions of each sample in training */
  int64_t chunk;  /* rows whose logits are there at a time */
  bool keeps;     /* the layers in front want the gradient at their output to
                     stay ... */
  size_t kept_at; /* ... in the head's pair */
  bool learns;    /* false: the matrix is shared and the head a witness */
  struct kern_linear *linear; /* of a chunk; owned */
};

/* How the head makes images again. */
struct rebuild {
  struct layer *decoder; /* reads what the head reads; NULL: it makes none */
  struct kern_dims dims; /* n = micro-batch */
  size_t bytes;          /* of them, channels last */
  size_t at;             /* in the head's slab: the decoder's output, then the
                            gradient there */
  float weight;          /* of the loss */
};

struct stage {
  struct kern *k;
  struct stage_spec spec; /* net borrowed; head and tuning not valid */
  bool rows; /* [B, T, D] between units; else images in the inner layout */
  enum kern_layout inner;
  struct layer *body; /* NULL: output is input */
  struct layer *head; /* NULL: none; of tokens: what is in front of the
                         projection, NULL where nothing is */
  struct project project;
  struct rebuild rebuild;
  enum stage_mode mode;
  bool aside;              /* between stage_aside and stage_aside_end */
  struct params params[2]; /* by stage_part */
  struct params shared[2]; /* tokens: copies of the shared matrix, by who uses
                              them; n = 0: no copy */
  int64_t length;          /* positions of a sample; 1 of images */
  struct arena cache;      /* of stage_decode; base NULL: not open */
  int64_t cached;          /* positions in it */
  int64_t decoded;         /* rows of the last stage_decode */
  size_t cache_bytes;
  struct kern_dims in, out; /* n = micro-batch */
  size_t in_bytes, out_bytes;
  size_t body_slot_bytes, body_pair_bytes, head_slot_bytes, head_pair_bytes;
  size_t scratch_bytes, input_bytes;
  struct arena slots, pairs, rest;
  struct place *place; /* n_slots, owned */
  struct place eval;
  char **pair; /* n_pairs, owned list */
  int n_slots, n_pairs;
};

/* The place of a slot or of STAGE_EVAL; CHECKs the number. */
struct place *
stage_place (const struct stage *s, int slot);
static inline int64_t
stage_rows (const struct stage *s)
{
  return s->in.n * s->length;
}
static inline bool
stage_has_border (const struct stage_spec *spec)
{
  return spec->unit_first > 0 && spec->border != MODEL_BORDER_NONE;
}
/* What the layers of a part work on. */
struct work
stage_work (struct stage *s, enum stage_part part, const struct place *p,
            char *slot, char *pair);
/* In bf16 round t [n], which no layer gave. */
void
stage_settle (const struct stage *s, size_t n, float *t);
/* What the head of a place reads. */
const float *
stage_output_of (const struct stage *s, const struct place *p);

/* -- heads of tokens (stage_token.c) ----------------------------------------
 */

/* Register the matrix of the projection at the end of r, if there is one. */
enum status
stage_token_project (struct stage *s, const struct stage_spec *spec,
                     const struct recipe *r);
/* Memory of the shared copies, when the parameters are made. */
enum status
stage_token_shared (struct stage *s);
/* Bytes that the head takes from a slot, and from scratch. */
size_t
stage_token_slot (const struct stage *s);
size_t
stage_token_scratch (const struct stage *s);
enum status
stage_token_head (struct stage *s, struct place *p, const int32_t *labels,
                  float scale, bool witness, struct stage_loss *out);
enum status
stage_token_eval (struct stage *s, const int32_t *labels,
                  struct stage_loss *out);

/* stage_estimate of a stage over images; copies: of each parameter, which the
 * stage holds. */
enum status
stage_estimate_images (const struct stage_spec *spec, bool own_input,
                       double copies, struct stage_bytes *out);

#endif
