/* model/recipe_impl.h -- a unit or a head as a list of steps, before any
 * memory.
 *
 * One description serves everybody: counting (recipe_cost.c), measuring
 * (tune.c) and building (layer_build.c).  All dims are of one sample (n = 1).
 */
#ifndef MODEL_RECIPE_IMPL_H
#define MODEL_RECIPE_IMPL_H

#include "base/status.h"
#include "kern/kern.h"
#include "model/network.h"
#include <stdbool.h>

/* All kinds of steps: the word of a recipe, and the struct of functions in the
 * kind's file (layer_impl.h). */
/* clang-format off */
#define RECIPE_KINDS(ROW)                                                      \
  /* over images, [B, C, H, W] in the inner layout */                          \
  ROW (RECIPE_CONV,      layer_conv)                                           \
  ROW (RECIPE_BN,        layer_bn)                                             \
  ROW (RECIPE_RELU,      layer_relu)                                           \
  ROW (RECIPE_MAXPOOL,   layer_maxpool)                                        \
  ROW (RECIPE_GAP,       layer_gap)                                            \
  ROW (RECIPE_MEAN,      layer_mean)      /* over windows */                   \
  ROW (RECIPE_FLATTEN,   layer_flatten)   /* to [B, C H W] */                  \
  ROW (RECIPE_LINEAR,    layer_linear)    /* [B, C] */                         \
  /* over either */                                                            \
  ROW (RECIPE_BORDER,    layer_border)                                         \
  /* over rows, [B, T, D] */                                                   \
  ROW (RECIPE_EMBED,     layer_embed)     /* from int32_t [B, T] */            \
  ROW (RECIPE_NORM,      layer_norm)                                           \
  ROW (RECIPE_RMS,       layer_rms)       /* RMSNorm */                        \
  ROW (RECIPE_DENSE,     layer_dense)     /* linear */                         \
  ROW (RECIPE_QK,        layer_qk)        /* queries, keys before they meet */ \
  ROW (RECIPE_ATTENTION, layer_attention)                                      \
  ROW (RECIPE_GELU,      layer_gelu)                                           \
  ROW (RECIPE_SWIGLU,    layer_swiglu)                                         \
  ROW (RECIPE_RECTIFY,   layer_rectify)   /* ReLU */                           \
  ROW (RECIPE_DROPOUT,   layer_dropout)                                        \
  /* over either: what follows, up to JOIN, is added to its input, or to what  \
     the recipe's skip makes of that */                                        \
  ROW (RECIPE_BRANCH,    layer_bracket)                                        \
  ROW (RECIPE_JOIN,      layer_bracket_end)                                    \
  /* to the vocabulary, with the loss: the last of a head */                   \
  ROW (RECIPE_PROJECT,   layer_project)                                        \
  /* over images: to another size; this and what follows has channels last */  \
  ROW (RECIPE_BILINEAR,  layer_bilinear)
/* clang-format on */
#define ROW(word, kind) word,
enum recipe_kind { RECIPE_KINDS (ROW) };
#undef ROW

#define RECIPE_NAME 48
#define RECIPE_PARTS 3
/* One of several tensors of a step, NAME.PART. */
struct recipe_part {
  const char *name;
  int64_t out_c; /* DENSE: its columns of the output */
};
struct recipe_step {
  enum recipe_kind kind;
  char name[RECIPE_NAME]; /* "layer1.0.conv1"; "" where there are no tensors */
  struct kern_dims in, out; /* n = 1 */
  int kernel, stride, pad;  /* of CONV and MAXPOOL, else 0 */
  bool bias;                /* CONV (initialised as in heads), DENSE */
  bool normalised;          /* CONV, LINEAR: a BN follows */
  bool relu;                /* BN: ReLU fused */
  bool plain;               /* CONV: reads plain images */
  bool flat;                /* output is plain [n, c], no inner layout */
  bool last;                /* CONV, BN: channels are last, whatever the inner
                               layout: behind a BILINEAR */
  int heads, kv_heads;      /* QK, ATTENTION: of queries; of keys and values */
  bool turned;              /* QK: by rotary positions */
  bool normed;              /* QK: each head by RMSNorm */
  int n_parts;              /* DENSE: matrices below each other; 0: one, without
                               a name of its own.  EMBED: the table, then
                               positions, if any.  QK: gains */
  int words;                /* EMBED: the vocabulary */
  double drop;              /* DROPOUT, ATTENTION: probability */
  double smaller;           /* DENSE: what the usual spread of first values is
                               divided by; 0 counts as 1 */
  bool shared;              /* EMBED, PROJECT: the matrix that stages share */
  double share;             /* PROJECT: fraction of positions */
  int64_t each;             /* BORDER: numbers of a row, which are normalised
                               together */
  bool centred;             /* BORDER: the mean is taken away */
  struct recipe_part part[RECIPE_PARTS];
};

#define RECIPE_STEPS 48
#define RECIPE_SKIP 2
struct recipe {
  char name[RECIPE_NAME];   /* "stem", "layer1.0", "output"; head: grammar's */
  struct kern_dims in, out; /* n = 1 */
  bool residual;            /* y = relu (path (x) + skip (x)) */
  int n_path, n_skip;       /* n_skip 0 in a residual or branch: the identity */
  struct recipe_step path[RECIPE_STEPS], skip[RECIPE_SKIP];
};

/* A head: recipes one behind the other, whole blocks and then the words; and
 * beside them one that makes the image again of what the first of them reads.
 */
#define RECIPE_BLOCKS 9
struct recipe_row {
  int n;          /* one behind the other; at least 1 */
  int n_beside;   /* 1: the next one is the decoder; else 0 */
  double rebuilt; /* weight of its loss */
  struct recipe part[RECIPE_BLOCKS + 2];
};
/* All of a row. */
static inline int
recipe_row_parts (const struct recipe_row *row)
{
  return row->n + row->n_beside;
}

/* Start a recipe whose input is `in`. */
void
recipe_init (struct recipe *r, const char *name, struct kern_dims in);
/* Add a step to the path; input dims follow from the step before. */
struct recipe_step *
recipe_add (struct recipe *r, enum recipe_kind kind, const char *name);
void
recipe_conv (struct recipe *r, const char *name, int64_t out_c, int kernel,
             int stride, bool bias);
void
recipe_bn (struct recipe *r, const char *name, bool relu);
void
recipe_relu (struct recipe *r);
void
recipe_maxpool (struct recipe *r, int kernel, int stride, int pad);
void
recipe_gap (struct recipe *r);
/* To `side` x `side` means. */
void
recipe_mean (struct recipe *r, int64_t side);
/* To h x w. */
void
recipe_bilinear (struct recipe *r, int64_t h, int64_t w);
/* Images are made rows first. */
void
recipe_linear (struct recipe *r, const char *name, int64_t out_c);

/* Over rows.  norm: the one that the network has.  project: with the loss, the
 * last step; share: see recipe_step. */
void
recipe_norm (struct recipe *r, const struct model_spec *spec, const char *name);
struct recipe_step *
recipe_dense (struct recipe *r, const char *name, int64_t out_c);
void
recipe_rectify (struct recipe *r);
void
recipe_project (struct recipe *r, const char *name, int64_t words, bool shared,
                double share);

/* The tensor that a tied output and shared heads share. */
const char *
recipe_shared_name (const struct model_spec *spec);

/* A word of a head's grammar (head_words.c), as it was said, ... */
#define HEAD_WORD 32
struct head_said {
  const struct head_word *is;
  bool own;       /* the family has it */
  int64_t width;  /* N of convN, fcN and such, D of like-D; 0: none given */
  int64_t stride; /* M of convNsM */
  char text[HEAD_WORD];
};
/* ... and as it is known.  The functions are given all n words, and which. */
struct head_word {
  const char *text; /* the word, or what numbers follow; a '-' at its end
                       belongs to it */
  const char *like; /* an example, for "did you mean" */
  /* Read what is behind text; false: it is not this word.  NULL: nothing may
   * be there. */
  bool (*numbers) (const char *behind, struct head_said *w);
  const char *foreign; /* why not in a family that does not have it */
  /* What it may not stand between; NULL when all is well. */
  const char *(*objection) (const struct head_said *w, int n, int i);
  void (*add) (struct recipe *r, const struct head_said *w, int n, int i,
               const struct model_spec *spec);
  /* The word is blocks in front of what the others add: the recipes of them,
   * behind unit `after` of the network, into row; in place of add.  The
   * family's own ending follows where it is the last word.  NULL: it is not. */
  void (*blocks) (const struct head_said *w, const struct network *net,
                  int after, struct recipe_row *row);
};
extern const struct head_word head_like, head_conv, head_point, head_bn,
    head_pool, head_gap, head_entry, head_fc, head_dense, head_rank, head_ln,
    head_shared;
/* One of each name, NULL behind the last, and all of them in a sentence. */
extern const struct head_word *const head_words[];
extern const char head_words_text[];

/* Normalise each token's vector, or each image over channels and pixels. */
void
recipe_normal (struct recipe *r, enum model_border how, bool rows);
/* What a stage does first to its input, of dims `in`, rows or images; border:
 * not NONE. */
void
recipe_border (struct recipe *r, enum model_border border, struct kern_dims in,
               bool rows);

/* The head that a grammar describes, behind unit `after`.  Fails with E_CONFIG
 * naming the word. */
enum status
recipe_head (const char *grammar, const struct network *net, int after,
             struct recipe_row *out);
/* What makes the network's images again of a tensor of dims `in`: InfoPro's
 * decoder, without the sigmoid at its end. */
void
recipe_decoder (struct recipe *r, const struct model_spec *spec,
                struct kern_dims in);
/* The PROJECT at the end of a recipe of tokens; NULL: there is none. */
const struct recipe_step *
recipe_projects (const struct recipe *r);

/* Step i over path and skip together, i = 0 .. recipe_steps - 1. */
int
recipe_steps (const struct recipe *r);
const struct recipe_step *
recipe_step_at (const struct recipe *r, int i);
/* The convolution of a step at n samples with inner layout l. */
struct kern_conv_shape
recipe_shape (const struct recipe_step *s, int64_t n, enum kern_layout l);
/* -- what the kinds of the steps say (recipe_cost.c) ------------------------
 */

/* Everything in network_unit but the name. */
void
recipe_cost (const struct recipe *r, struct network_unit *out);
/* The same of all that stand behind each other. */
void
recipe_row_cost (const struct recipe_row *row, struct network_unit *out);
/* True when every inner channel count is a multiple of block. */
bool
recipe_divides (const struct recipe *r, int block);
/* Whether two steps use the same kernels. */
bool
recipe_same_kernels (const struct recipe_step *a, const struct recipe_step *b);

/* Unit i of a network; borrowed for its life. */
const struct recipe *
network_recipe (const struct network *net, int i);

#endif
