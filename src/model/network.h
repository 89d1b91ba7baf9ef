/* model/network.h -- what a network is, before any memory: a row of units.
 *
 * A unit is what a cut may not split: the stem, each residual block, the output
 * (global pooling and classifier); of a Transformer the embedding, each layer,
 * the output (LayerNorm and projection).  The last unit is head K-1; every
 * other head comes from a grammar.  Names and layouts of parameters are
 * torchvision's and, for Transformers, GPT-2's or Llama's.
 *
 * A sample of a Transformer is a window of T = `context` tokens.  Its dims, one
 * sample each: tokens {1, 1, T, 1}; tensors between units {1, D, T, 1} (in
 * memory [T, D]: KERN_LAST); the output {1, classes, T, 1}.
 */
#ifndef MODEL_NETWORK_H
#define MODEL_NETWORK_H

#include "base/status.h"
#include "base/tensor.h"
#include "kern/kern.h"
#include <stdbool.h>

/* What numbers are: those that go from stage to stage, and those of parameters
 * with their gradients and moments. */
#define NETWORK_BORDER TENSOR_F32
#define NETWORK_PARAM TENSOR_F32

/* All families: the word of a spec, and the struct of functions in the family's
 * file (family.h). */
#define MODEL_FAMILIES(ROW)         \
  ROW (MODEL_RESNET, family_resnet) \
  ROW (MODEL_TRANSFORMER, family_transformer)
#define ROW(word, it) word,
enum model_family { MODEL_FAMILIES (ROW) };
#undef ROW

enum model_block { MODEL_BASIC, MODEL_BOTTLENECK };
enum model_stem { MODEL_STEM_CIFAR, MODEL_STEM_IMAGENET };
/* Whether normalisation and ReLU follow a block's convolutions, or stand before
 * them: then nothing is done to the sum, which is the stream from unit to unit,
 * and the output begins with them (He et al. 2016, "Identity mappings"). */
enum model_order { MODEL_POST, MODEL_PRE };
/* What is done, without parameters, to what enters a stage, the first excepted:
 * x / sqrt (mean of x^2 + 1e-5), or (x - mean) / sqrt (variance + 1e-5).  Each
 * token is normalised over d_model, each image over channels and pixels. */
enum model_border { MODEL_BORDER_NONE, MODEL_BORDER_RMS, MODEL_BORDER_LN };
/* Of a Transformer.  The norm is that of layers and heads.  RMSNorm brings
 * Llama's names of tensors, and its linear layers, which have no bias;
 * LayerNorm brings GPT-2's. */
enum model_norm { MODEL_LAYERNORM, MODEL_RMSNORM };
enum model_mlp { MODEL_GELU, MODEL_SWIGLU };
enum model_positions { MODEL_LEARNED, MODEL_ROPE };
#define MODEL_GROUPS 8

struct model_spec {
  enum model_family family;
  int classes; /* from the data set; of tokens: the vocabulary */
  /* ResNet */
  enum model_block block;
  enum model_stem stem;
  enum model_order order;
  int n_groups;
  int width[MODEL_GROUPS], blocks[MODEL_GROUPS]; /* `16x5,32x5,64x5` */
  int stem_width;                                /* 0: width[0] */
  int channels, height, width_px;                /* from the data set */
  /* Transformer */
  int layers, d_model, heads, context;
  enum model_norm norm;
  enum model_mlp mlp;
  enum model_positions positions;
  int kv_heads;         /* heads of keys and values; 0: as many as heads */
  bool qk_norm;         /* RMSNorm of each head of queries and of keys */
  double mlp_ratio;     /* mlp_ratio x d_model is rounded to a whole number */
  double dropout;       /* 0: none; of embedding, attention, both branches */
  bool tied;            /* the output matrix is the token embedding */
  bool residual_scaled; /* first values of what ends in the residual stream are
                           divided by sqrt (2 x layers) */
  double head_tokens;   /* fraction of positions on which inner heads compute
                           their loss; 0 counts as 1 */
};
/* preset ("resnet20" ... "gpt-nano", "llama-nano") or groups text
 * ("16x5,32x5"); E_CONFIG with the nearest known preset.  A preset of ResNets
 * writes family, block, stem, stem_width, order, groups; one of Transformers
 * family, layers, d_model, heads, context, norm, mlp, positions, kv_heads,
 * qk_norm, mlp_ratio, dropout, tied. */
enum status
model_spec_preset (const char *preset, struct model_spec *spec);
enum status
model_spec_groups (const char *groups, struct model_spec *spec);

struct network;
/* Checks the spec (image too small for the stem, ...: E_CONFIG). */
enum status
network_create (const struct model_spec *spec, struct network **out);
void
network_destroy (struct network **net);
const struct model_spec *
network_spec (const struct network *net);

/* Operations of a sample, each kind weighed by what it takes (work.c): of the
 * way forward, of the gradient of the input, of those of the parameters.  Whole
 * numbers, so that sums of them are the same in any order and on any machine.
 */
struct network_work {
  double forward, data, weights;
};
static inline double
network_work_sum (struct network_work w)
{
  return w.forward + w.data + w.weights;
}

struct network_unit {
  const char *name;         /* "stem", "layer1.0", "output" */
  struct kern_dims in, out; /* of one sample: n = 1; output: c classes */
  int64_t params;           /* learnable numbers */
  double flops;             /* forward, per sample */
  struct network_work work; /* of the first unit no gradient of the input */
  double act_bytes;         /* kept for backward, per sample */
  uint64_t alike;           /* equal for units of equal shape */
  bool mixes;               /* tokens: a position looks at others */
};
/* Bytes of n samples of such dims at a border; of n parameters, each once. */
static inline double
network_border_bytes (struct kern_dims d, double n)
{
  return (double)(d.c * d.h * d.w) * n *
         (double)tensor_bytes (NETWORK_BORDER, 1);
}
static inline double
network_param_bytes (double n)
{
  return n * (double)tensor_bytes (NETWORK_PARAM, 1);
}
/* The same of a message; narrow: in bf16. */
static inline double
network_message_bytes (struct kern_dims d, double n, bool narrow)
{
  return (double)(d.c * d.h * d.w) * n *
         (double)tensor_bytes (narrow ? TENSOR_BF16 : NETWORK_BORDER, 1);
}
int
network_units (const struct network *net);
void
network_unit (const struct network *net, int i, struct network_unit *out);
int64_t
network_params (const struct network *net);

/* Check a head grammar behind unit `after` and tell its cost (with the fraction
 * head_tokens); E_CONFIG names the word.  "gap-fc",
 * "conv128-bn-conv64-bn-gap-fc", "conv64s2-gap-fc128-fc"; for Transformers
 * "ln-fc", "ln-shared", "fc". */
enum status
network_head (const struct network *net, int after, const char *grammar,
              struct network_unit *out);

/* Heads that are known behind unit `after`, sized by its width: grammar i, the
 * best known first, "" where it is none for this width; false behind the last.
 */
#define NETWORK_HEAD 64
bool
network_head_known (const struct network *net, int after, int i,
                    char grammar[NETWORK_HEAD]);

/* The cost of such a border in front of unit `first`; nothing in front of unit
 * 0. */
void
network_border (const struct network *net, int first, enum model_border border,
                struct network_unit *out);

/* Positions of a sample whose loss a head counts in training, inner or the last
 * one; 1 of images.  All of a sample: network_spec (net)->context. */
int64_t
network_positions (const struct network *net, bool inner);
/* Whether uses of one matrix have to be brought together by the engine
 * (stage.h): `tied`, or a head grammar that ends in `shared`.  head NULL: there
 * are no inner heads. */
bool
network_shares (const struct network *net, const char *head);
/* The name of that matrix, "lm_head.weight"; borrowed for the network's life.
 */
const char *
network_shared_name (const struct network *net);
/* Whether heads of this grammar use the output's matrix. */
bool
network_head_shares (const char *head);
/* The weight of the loss of images that heads of this grammar make again
 * ("gap-fc+rec0.5": 0.5; 1 where no number is given); 0: they make none. */
double
network_head_rebuilds (const char *head);

/* Cut text "2,1,1,rest" -> first[0..K], first[K] = units; an empty stage or a
 * wrong sum is E_CONFIG. */
enum status
network_cut_parse (const struct network *net, const char *text, int n_stages,
                   int *first);

#endif
