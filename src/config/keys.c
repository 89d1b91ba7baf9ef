/* config/keys.c -- the one table of configuration keys.
 *
 * Parsing, ranges, choices, nearest names, the resolved configuration and the
 * help all read this table; a key that is not here does not exist.  What
 * depends on several keys at once is in config.c and in run.
 */
#include "config/config.h"

#include <math.h>

#define AT(f) .offset = offsetof (struct config, f)
#define TEXT_AT(f) \
  .field = FIELD_TEXT, AT (f), .size = sizeof ((struct config *)0)->f
#define INT_AT(f) .field = FIELD_INT64, AT (f)
#define REAL_AT(f) .field = FIELD_REAL, AT (f)
#define BOOL_AT(f) .field = FIELD_BOOL, AT (f)
#define ENUM_AT(f) \
  .field = FIELD_ENUM, AT (f), .size = sizeof ((struct config *)0)->f

#define WORDS(list) .words = list, .n_words = sizeof list / sizeof *list

#define FROM(n) .low = (n), .high = INFINITY
#define RANGE(a, b) .low = (a), .high = (b)
#define ABOVE(n) .low = (n), .high = INFINITY, .open = true

/* FIELD_PAIR writes two neighbours; FIELD_ENUM writes an int. */
_Static_assert(offsetof (struct config, beta2) ==
                   offsetof (struct config, beta1) + sizeof (double),
               "beta1 and beta2 are neighbours");
_Static_assert(sizeof (enum config_order) == sizeof (int), "enums are int");

/* -- the words of choices ----------------------------------------------------
 */

static const char *const families[] = {
    [CONFIG_RESNET] = "resnet", [CONFIG_TRANSFORMER] = "transformer"};
static const char *const blocks[] = {
    "", [CONFIG_BASIC] = "basic", [CONFIG_BOTTLENECK] = "bottleneck"};
static const char *const stems[] = {
    "", [CONFIG_STEM_CIFAR] = "cifar", [CONFIG_STEM_IMAGENET] = "imagenet"};
static const char *const residuals[] = {"plain", "scaled"};
static const char *const model_orders[] = {
    "", [CONFIG_POST] = "post", [CONFIG_PRE] = "pre"};
static const char *const norms[] = {
    "", [CONFIG_LAYERNORM] = "layernorm", [CONFIG_RMSNORM] = "rmsnorm"};
static const char *const mlps[] = {
    "", [CONFIG_GELU] = "gelu", [CONFIG_SWIGLU] = "swiglu"};
static const char *const positions[] = {
    "", [CONFIG_LEARNED] = "learned", [CONFIG_ROPE] = "rope"};
static const char *const borders[] = {[CONFIG_BORDER_NONE] = "none",
                                      [CONFIG_BORDER_RMS] = "rms",
                                      [CONFIG_BORDER_LN] = "ln"};
static const char *const mixes[] = {[CONFIG_FURTHEST] = "furthest",
                                    [CONFIG_SUM] = "sum",
                                    [CONFIG_MEAN] = "mean"};
static const char *const splits[] = {[CONFIG_SPLIT_TRAIN] = "train",
                                     [CONFIG_SPLIT_VALID] = "valid",
                                     [CONFIG_SPLIT_TEST] = "test"};
static const char *const augments[] = {[CONFIG_AUGMENT_NONE] = "none",
                                       [CONFIG_AUGMENT_FLIP] = "flip",
                                       [CONFIG_AUGMENT_CROP4] = "crop4",
                                       [CONFIG_AUGMENT_FLIP_CROP4] =
                                           "flip+crop4",
                                       [CONFIG_AUGMENT_IMAGENET] = "imagenet"};
static const char *const orders[] = {
    [CONFIG_SHUFFLE] = "shuffle", [CONFIG_SEQUENTIAL] = "sequential"};
static const char *const optimizers[] = {
    "", [CONFIG_SGD] = "sgd", [CONFIG_ADAMW] = "adamw"};
static const char *const decays[] = {
    "", [CONFIG_DECAY_ALL] = "all", [CONFIG_DECAY_MATRICES] = "matrices"};
static const char *const schedules[] = {[CONFIG_CONSTANT] = "constant",
                                        [CONFIG_STEP] = "step",
                                        [CONFIG_COSINE] = "cosine",
                                        [CONFIG_ONECYCLE] = "onecycle"};
static const char *const precisions[] = {
    [CONFIG_F32] = "f32", [CONFIG_BF16] = "bf16", "f32-bf16"};
static const char *const ios[] = {
    [CONFIG_COLLECTIVE] = "collective", [CONFIG_INDEPENDENT] = "independent"};
static const char *const caches[] = {[CONFIG_CACHE_NO] = "no",
                                     [CONFIG_CACHE_YES] = "yes",
                                     [CONFIG_CACHE_ANEW] = "anew"};
static const char *const run_schedules[] = {[CONFIG_EAGER] = "eager",
                                            [CONFIG_1F1B] = "1f1b",
                                            [CONFIG_FILLDRAIN] = "filldrain"};
static const char *const spans[] = {"local", "pairwise", "e2e", "all",
                                    "frozen"};
static const char *const which_heads[] = {"needed", "all"};
static const char *const presets[] = {
    "",          "resnet20",   "resnet32",   "resnet44",  "resnet56",
    "resnet110", "resnet18",   "resnet34",   "resnet50",  "resnet101",
    "resnet152", "resnet164",  "resnet1001", "wrn-28-10", "gpt-nano",
    "gpt2",      "llama-nano", "llama-15m",  "llama-42m", "llama-110m"};
static const char *const isas[] = {"auto",
                                   "native",
                                   "sse41",
                                   "avx",
                                   "avx2",
                                   "avx2_vnni",
                                   "avx2_vnni_2",
                                   "avx512",
                                   "avx512_core",
                                   "avx512_core_vnni",
                                   "avx512_core_bf16",
                                   "avx512_core_fp16",
                                   "avx512_core_amx",
                                   "avx512_core_amx_fp16",
                                   "avx512_mic",
                                   "avx512_mic_4ops"};

#define MODEL "model"
#define STAGES "stages"
#define STRATEGY "strategy"
#define DATA "data"
#define TRAIN "train"
#define CHECKPOINT "checkpoint"
#define RUN "run"

/* A row begins with this, so that none can be written without saying what the
 * key means for a run that has begun and for a comparison of runs. */
#define KEY(of_section, of_name, for_resume, for_report)                      \
  .section = (of_section), .name = (of_name), .full = of_section "." of_name, \
  .resume = KEY_RESUME_##for_resume, .report = KEY_REPORT_##for_report

#define OF_TRANSFORMERS .of = 1u << CONFIG_TRANSFORMER
#define OF_TRANSFORMERS_ALONE OF_TRANSFORMERS, .strict = true
#define OF_RESNETS .of = 1u << CONFIG_RESNET

/* clang-format off */
const struct key key_table[] = {
  { KEY (MODEL, "family", NETWORK, SUBJECT),
    .kind = KEY_CHOICE, ENUM_AT (family),
    WORDS (families), .value = "resnet",
    .meaning = "what kind of network" },
  { KEY (MODEL, "preset", NETWORK, SUBJECT),
    .kind = KEY_CHOICE, TEXT_AT (preset),
    WORDS (presets),
    .shown = "resnet20 where groups is not given; gpt-nano",
    .meaning = "a ResNet by its name: 20 to 110 are those for CIFAR (16, 32, "
               "64 channels), 18 to 152 those for ImageNet; resnet164, "
               "resnet1001 (bottlenecks of 16, 32, 64 channels) and wrn-28-10 "
               "(a wide ResNet) are for CIFAR and of order pre; instead of "
               "block and groups; or the sizes of a Transformer, each of which may "
               "be given besides: gpt-nano (6 layers, d_model 256, 8 heads, "
               "context 256), gpt2 (12, 768, 12, 1024); with rmsnorm, swiglu and "
               "rope llama-nano (4, 128, 4 and kv_heads 2, 256), llama-15m (6, "
               "288, 6, 256), llama-42m (8, 512, 8, 1024), llama-110m (12, 768, "
               "12, 1024)" },
  { KEY (MODEL, "block", NETWORK, SUBJECT),
    .kind = KEY_CHOICE, OF_RESNETS, ENUM_AT (block),
    WORDS (blocks), .shown = "basic where groups is given",
    .meaning = "residual block, where groups is given" },
  { KEY (MODEL, "groups", NETWORK, SUBJECT),
    .kind = KEY_LIST, OF_RESNETS, TEXT_AT (groups),
    .meaning = "channels x blocks of each group, as in 16x5,32x5,64x5; groups "
               "after the first start with stride 2" },
  { KEY (MODEL, "stem", NETWORK, SUBJECT),
    .kind = KEY_CHOICE, OF_RESNETS, ENUM_AT (stem),
    WORDS (stems), .shown = "the preset's; cifar with groups",
    .meaning = "first layers: a 3x3 convolution, or a 7x7 convolution with "
               "stride 2 and pooling" },
  { KEY (MODEL, "stem_width", NETWORK, SUBJECT),
    .kind = KEY_INTEGER, OF_RESNETS, INT_AT (stem_width),
    RANGE (0, 65536), .value = "0",
    .meaning = "channels of the stem; 0: the preset's, or those of the first "
               "group" },
  { KEY (MODEL, "order", NETWORK, SUBJECT),
    .kind = KEY_CHOICE, OF_RESNETS, ENUM_AT (model_order),
    WORDS (model_orders),
    .shown = "post; pre of resnet164, resnet1001 and wrn-28-10",
    .meaning = "where batch normalisation and ReLU stand in a block: post: "
               "behind its convolutions, the ReLU of the last behind the sum; "
               "pre: before each convolution, and before the pooling of the "
               "output; nothing is done to the sum or behind the stem" },
  { KEY (MODEL, "layers", NETWORK, SUBJECT),
    .kind = KEY_INTEGER, OF_TRANSFORMERS,
    INT_AT (layers), RANGE (1, 4096), .shown = "the preset's",
    .meaning = "Transformer: layers" },
  { KEY (MODEL, "d_model", NETWORK, SUBJECT),
    .kind = KEY_INTEGER, OF_TRANSFORMERS,
    INT_AT (d_model), RANGE (1, 1 << 20), .shown = "the preset's",
    .meaning = "Transformer: width" },
  { KEY (MODEL, "heads", OTHER_RUN, SUBJECT),
    .kind = KEY_INTEGER, OF_TRANSFORMERS,
    INT_AT (heads), RANGE (1, 4096), .shown = "the preset's",
    .meaning = "Transformer: attention heads" },
  { KEY (MODEL, "context", OTHER_RUN, SUBJECT),
    .kind = KEY_INTEGER, OF_TRANSFORMERS,
    INT_AT (context), RANGE (1, 1 << 20), .shown = "the preset's",
    .meaning = "Transformer: tokens of a sample" },
  { KEY (MODEL, "mlp_ratio", NETWORK, SUBJECT),
    .kind = KEY_REAL, OF_TRANSFORMERS,
    REAL_AT (mlp_ratio), ABOVE (0), .shown = "4", .meaning = "Transformer: hidden width over d_model" },
  { KEY (MODEL, "norm", OTHER_RUN, SUBJECT),
    .kind = KEY_CHOICE, OF_TRANSFORMERS_ALONE,
    ENUM_AT (norm), WORDS (norms), .value = "layernorm",
    .shown = "the preset's: layernorm, of llama rmsnorm",
    .meaning = "Transformer: in front of each branch, of the output and, as ln, "
               "in heads: LayerNorm, or x / sqrt(mean(x^2) + 1e-5) with a gain; "
               "with rmsnorm linear layers have no bias, and tensors have the "
               "names of Hugging Face's Llama, with layernorm those of GPT-2" },
  { KEY (MODEL, "mlp", OTHER_RUN, SUBJECT),
    .kind = KEY_CHOICE, OF_TRANSFORMERS_ALONE,
    ENUM_AT (mlp), WORDS (mlps), .value = "gelu",
    .shown = "the preset's: gelu, of llama swiglu",
    .meaning = "Transformer: between the MLP's matrices: GELU (tanh form); or "
               "SwiGLU, silu(gate) x up, which has a third matrix" },
  { KEY (MODEL, "positions", OTHER_RUN, SUBJECT),
    .kind = KEY_CHOICE, OF_TRANSFORMERS_ALONE,
    ENUM_AT (positions), WORDS (positions), .value = "learned",
    .shown = "the preset's: learned, of llama rope",
    .meaning = "Transformer: a vector for each position, added to the "
               "embedding; or rotary: queries and keys are turned by angles "
               "position x 10000^(-2j/w), number j of a head with number j + "
               "w/2, w numbers a head" },
  { KEY (MODEL, "kv_heads", NETWORK, SUBJECT),
    .kind = KEY_INTEGER, OF_TRANSFORMERS_ALONE,
    INT_AT (kv_heads), RANGE (0, 4096), .value = "0",
    .meaning = "Transformer: heads of keys and values, each for as many heads "
               "of queries; divides heads; 0: the preset's, else as many as "
               "heads" },
  { KEY (MODEL, "qk_norm", OTHER_RUN, SUBJECT),
    .kind = KEY_BOOL, OF_TRANSFORMERS_ALONE, BOOL_AT (qk_norm),
    .value = "no",
    .meaning = "Transformer: RMSNorm of each head of queries and of keys before "
               "they are turned, with one gain for all heads of queries and "
               "one for those of keys (as Qwen3)" },
  { KEY (MODEL, "dropout", OTHER_BITS, SUBJECT),
    .kind = KEY_REAL, OF_TRANSFORMERS,
    REAL_AT (dropout), .low = 0, .high = 0.99, .value = "0", .meaning = "Transformer: share of values dropped" },
  { KEY (MODEL, "tied", NETWORK, SUBJECT),
    .kind = KEY_BOOL, OF_TRANSFORMERS, BOOL_AT (tied),
    .value = "yes",
    .meaning = "Transformer: output weights are the embedding's" },
  { KEY (MODEL, "residual", BEGUN, SUBJECT),
    .kind = KEY_CHOICE, OF_TRANSFORMERS, .field = FIELD_BOOL,
    AT (residual_scaled), WORDS (residuals), .value = "scaled",
    .before = "plain",
    .meaning = "Transformer: initial values of the projections that end in the "
               "residual stream (of attention, and the MLP's second): scaled: "
               "those of the other matrices times 1/sqrt(2 x layers), as "
               "GPT-2; plain: like the others" },

  { KEY (STAGES, "count", STAGES, SUBJECT),
    .kind = KEY_INTEGER, INT_AT (count),
    RANGE (1, 64), .value = "4", .shown = "4, or as many as cut has",
    .meaning = "number of stages K" },
  { KEY (STAGES, "cut", OTHER_BITS, NO_MATTER),
    .kind = KEY_LIST, TEXT_AT (cut), .value = "auto",
    .meaning = "blocks of each stage, as in 2,1,1,rest (a ResNet's blocks: "
               "stem, each residual block, output); auto: balanced by counted "
               "operations, and so the same wherever it starts and whatever "
               "the strategy; measured: balanced by the times that blocks, "
               "heads and the strategy's passes take here; in a sweep by "
               "those of blocks alone, once for all its runs" },
  { KEY (STAGES, "head", OTHER_BITS, SUBJECT),
    .kind = KEY_TEXT, TEXT_AT (head), .value = "auto",
    .meaning = "classifier behind each stage but the last: words joined by -, "
               "out of like-D, convN, convNsM, conv1xN, bn, ln, poolN, gap, "
               "fcN and, last, fc; of a Transformer like-D, ln, fcN, rankN and, "
               "last, fc or shared (all heads use one output matrix); of a "
               "ResNet +rec or +recW behind the words: the head also makes the "
               "image again, a loss of weight W (1); one for "
               "all stages, or one for each but the last with commas between; auto, or "
               "auto+recW: of each stage the best known one within head_cost, "
               "as its operations are counted" },
  { KEY (STAGES, "head_cost", OTHER_BITS, SUBJECT),
    .kind = KEY_REAL, REAL_AT (head_cost),
    .low = 0, .high = 100, .open = true, .value = "0.15",
    .meaning = "what head = auto may cost at most, as a share of the work of "
               "its stage" },
  { KEY (STAGES, "head_tokens", OTHER_BITS, SUBJECT),
    .kind = KEY_REAL, REAL_AT (head_tokens),
    OF_TRANSFORMERS, .low = 0, .high = 1, .open = true, .value = "1",
    .meaning = "Transformer: share of positions on which inner heads compute "
               "their loss" },
  { KEY (STAGES, "border", OTHER_RUN, SUBJECT),
    .kind = KEY_CHOICE, ENUM_AT (border),
    WORDS (borders), .value = "none",
    .meaning = "what is done, without parameters, to what enters each stage "
               "but the first: rms: x / sqrt(mean(x^2) + 1e-5); ln: (x - "
               "mean(x)) / sqrt(variance(x) + 1e-5); over d_model of each "
               "token, or over all channels and pixels of each image; the head "
               "before the border sees x itself" },

  { KEY (STRATEGY, "span", OTHER_BITS, SUBJECT),
    .kind = KEY_CHOICE, TEXT_AT (span),
    WORDS (spans), .or_number = true, .or_list = true, .in_route = true,
    .in_dial = true, .value = "all",
    .meaning = "a stage learns from the head span - 1 stages ahead: 1 or "
               "local, 2 or pairwise, up to K, all or e2e (end to end); or K "
               "of these, a reach for each stage, as in 1,1,2,all, where "
               "frozen is a stage that does not learn" },
  { KEY (STRATEGY, "mix", OTHER_BITS, SUBJECT),
    .kind = KEY_CHOICE, ENUM_AT (mix),
    WORDS (mixes), .in_route = true, .value = "furthest",
    .meaning = "learn from the furthest head in reach, from the sum of all in "
               "reach, or from their mean" },
  { KEY (STRATEGY, "own", OTHER_BITS, SUBJECT),
    .kind = KEY_REAL, REAL_AT (own), FROM (0),
    .in_route = true, .value = "0",
    .meaning = "where mix is furthest: weight of the loss of a stage's own "
               "head besides that of the furthest" },
  { KEY (STRATEGY, "route", OTHER_BITS, SUBJECT),
    .kind = KEY_TEXT, TEXT_AT (route), .in_dial = true,
    .value = "", .shown = "none",
    .meaning = "in place of span, mix and own the table itself: a row for each "
               "stage, the weight of each head's loss in it, as in 1 0 / 0 1 "
               "for two stages, or frozen; or @FILE, a row a line" },
  { KEY (STRATEGY, "dial", OTHER_BITS, SUBJECT),
    .kind = KEY_TEXT, TEXT_AT (dial), .value = "", .shown = "none",
    .meaning = "in place of span and route a strategy that changes: phases, "
               "each the step or the share of the run that it begins at and "
               "what span takes, or a table, as in 0:local, 30%:2, 70%:all" },
  { KEY (STRATEGY, "grow", OTHER_BITS, SUBJECT),
    .kind = KEY_REAL, REAL_AT (grow), RANGE (0, 1e9), .value = "0",
    .meaning = "weight W of a penalty: the parameters of each stage but the "
               "last learn from W times the mean square of the stage's own "
               "output besides; nothing of it goes further back" },
  { KEY (STRATEGY, "heads", OTHER_BITS, SUBJECT),
    .kind = KEY_CHOICE, .field = FIELD_BOOL,
    AT (heads_all), WORDS (which_heads), .value = "needed",
    .meaning = "heads that no stage learns from: left out, or trained on a "
               "detached copy for observation" },

  { KEY (DATA, "file", CONTENT, ALIKE),
    .kind = KEY_TEXT, TEXT_AT (file), .shown = "none",
    .meaning = "data set file, made by interlock import; needed to train" },
  { KEY (DATA, "train", OTHER_RUN, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (train),
    WORDS (splits), .value = "train",
    .meaning = "split to train on" },
  { KEY (DATA, "valid", LOOK, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (valid),
    WORDS (splits), .value = "valid",
    .meaning = "split to evaluate on while training" },
  { KEY (DATA, "test", LOOK, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (test),
    WORDS (splits), .value = "test",
    .meaning = "split to evaluate on at the end" },
  { KEY (DATA, "augment", OTHER_BITS, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (augment), OF_RESNETS,
    WORDS (augments), .value = "none",
    .meaning = "mirror images at random; pad them by 4 and crop at random; "
               "imagenet (JPEG images): a part of random size, aspect and "
               "place, mirrored at random" },
  { KEY (DATA, "order", OTHER_RUN, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (order),
    WORDS (orders), .value = "shuffle",
    .meaning = "order of samples: a new permutation each epoch, or that of "
               "the file" },
  { KEY (DATA, "stride", OTHER_RUN, ALIKE),
    .kind = KEY_INTEGER, OF_TRANSFORMERS,
    INT_AT (stride), RANGE (1, 1 << 20), .shown = "model.context",
    .meaning = "Transformer: tokens between windows in sequential order" },
  { KEY (DATA, "limit", OTHER_RUN, ALIKE),
    .kind = KEY_INTEGER, INT_AT (limit), FROM (0),
    .value = "0", .meaning = "use the first samples only; 0: all" },

  { KEY (TRAIN, "batch", OTHER_RUN, ALIKE),
    .kind = KEY_INTEGER, INT_AT (batch),
    RANGE (1, 1 << 30), .value = "128",
    .meaning = "samples of a step, all replicas together" },
  { KEY (TRAIN, "micro", OTHER_BITS, ALIKE),
    .kind = KEY_INTEGER, INT_AT (micro),
    RANGE (1, 65536), .value = "1",
    .meaning = "micro-batches of a batch; batch divides by micro x replicas" },
  { KEY (TRAIN, "steps", LENGTH, ALIKE),
    .kind = KEY_INTEGER, INT_AT (steps),
    RANGE (0, 1e15), .value = "0",
    .meaning = "length of training in steps; 0: by epochs" },
  { KEY (TRAIN, "epochs", LENGTH, ALIKE),
    .kind = KEY_REAL, REAL_AT (epochs),
    RANGE (0, 1e9), .shown = "1 where steps is not given",
    .meaning = "length of training in passes over the data; steps or epochs, "
               "not both" },
  { KEY (TRAIN, "seed", OTHER_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (seed), FROM (0),
    .value = "1",
    .meaning = "initial weights, order and augmentation follow from it" },
  { KEY (TRAIN, "optimizer", OTHER_RUN, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (optimizer),
    WORDS (optimizers), .shown = "sgd (ResNet), adamw (Transformer)",
    .meaning = "update rule" },
  { KEY (TRAIN, "lr", OTHER_BITS, ALIKE),
    .kind = KEY_REAL, REAL_AT (lr), FROM (0),
    .shown = "0.1 (sgd), 0.001 (adamw)", .meaning = "learning rate" },
  { KEY (TRAIN, "momentum", OTHER_BITS, ALIKE),
    .kind = KEY_REAL, REAL_AT (momentum),
    .low = 0, .high = 0.9999999, .value = "0.9", .meaning = "of sgd" },
  { KEY (TRAIN, "nesterov", OTHER_BITS, ALIKE),
    .kind = KEY_BOOL, BOOL_AT (nesterov),
    .value = "no", .meaning = "Nesterov's form of momentum" },
  { KEY (TRAIN, "weight_decay", OTHER_BITS, ALIKE),
    .kind = KEY_REAL, REAL_AT (weight_decay),
    FROM (0), .shown = "0.0001 (sgd), 0.01 (adamw)",
    .meaning = "weight decay: added to the gradient (sgd), decoupled (adamw)" },
  { KEY (TRAIN, "betas", OTHER_BITS, ALIKE),
    .kind = KEY_LIST, .field = FIELD_PAIR, AT (beta1),
    .low = 0, .high = 0.9999999, .value = "0.9,0.999",
    .meaning = "of adamw: decay of the two moments" },
  { KEY (TRAIN, "eps", OTHER_BITS, ALIKE),
    .kind = KEY_REAL, REAL_AT (eps), ABOVE (0),
    .value = "1e-08", .meaning = "of adamw: added to the denominator" },
  { KEY (TRAIN, "decay", OTHER_BITS, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (decay),
    WORDS (decays), .shown = "all (sgd), matrices (adamw)",
    .meaning = "parameters that decay: all, or weights of convolutions and "
               "linear layers only" },
  { KEY (TRAIN, "schedule", OTHER_BITS, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (schedule),
    WORDS (schedules), .value = "constant",
    .meaning = "course of the learning rate" },
  { KEY (TRAIN, "warmup", OTHER_BITS, ALIKE),
    .kind = KEY_INTEGER, INT_AT (warmup),
    RANGE (0, 1e15), .value = "0",
    .meaning = "steps of linear growth before the schedule" },
  { KEY (TRAIN, "milestones", OTHER_BITS, ALIKE),
    .kind = KEY_LIST, TEXT_AT (milestones),
    .shown = "none",
    .meaning = "schedule = step: steps at which the rate is divided by 10, as "
               "in 32000,48000" },
  { KEY (TRAIN, "clip", OTHER_BITS, ALIKE),
    .kind = KEY_REAL, REAL_AT (clip), FROM (0),
    .value = "0",
    .meaning = "largest norm of the gradients of one window; 0: no clipping" },
  { KEY (TRAIN, "smoothing", OTHER_BITS, ALIKE),
    .kind = KEY_REAL, REAL_AT (smoothing), RANGE (0, 0.99),
    .value = "0",
    .meaning = "label smoothing e: the loss of training compares with 1 - e at "
               "the label and e / classes at every class; evaluation does not" },
  { KEY (TRAIN, "precision", OTHER_BITS, ALIKE),
    .kind = KEY_CHOICE, ENUM_AT (precision),
    WORDS (precisions), .later = "f32-bf16", .value = "f32",
    .meaning = "numbers of the arithmetic; bf16: activations, their gradients, "
               "factors of products and messages have 16 bits, while sums, "
               "parameters, updates and checkpoints stay f32" },
  { KEY (TRAIN, "init", CONTENT, ALIKE),
    .kind = KEY_TEXT, TEXT_AT (init), .shown = "none",
    .meaning = "parameter file or checkpoint to start from" },
  { KEY (TRAIN, "init.fresh", OTHER_RUN, NO_MATTER),
    .kind = KEY_LIST, TEXT_AT (init_fresh),
    .shown = "none",
    .meaning = "tensors that train.init does not give, by name or the part "
               "before a dot, as in fc" },
  { KEY (TRAIN, "tune", SAME_RUN, NO_MATTER),
    .kind = KEY_TEXT, TEXT_AT (tune), .value = "yes",
    .meaning = "algorithm of each convolution and of products of tokens: yes: "
               "measured once; no: by rule; or a file with the choices of an "
               "earlier run" },
  { KEY (TRAIN, "eval_every", SAME_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (eval_every),
    RANGE (0, 1e15), .value = "0",
    .meaning = "steps between evaluations; 0: at the end only" },
  { KEY (TRAIN, "agreement", SAME_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (agreement),
    RANGE (0, 1e15), .value = "0",
    .meaning = "steps between comparisons of each stage's gradient with the "
               "end-to-end one, for metrics.csv; 0: none" },

  { KEY (CHECKPOINT, "every", SAME_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (every),
    RANGE (0, 1e15), .value = "0",
    .meaning = "steps between checkpoints; 0: none by steps" },
  { KEY (CHECKPOINT, "every_seconds", SAME_RUN, NO_MATTER),
    .kind = KEY_REAL,
    REAL_AT (every_seconds), FROM (0), .value = "600",
    .meaning = "seconds between checkpoints; 0: none by time" },
  { KEY (CHECKPOINT, "keep", SAME_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (keep),
    RANGE (1, 1e9), .value = "2", .meaning = "checkpoints that are kept" },
  { KEY (CHECKPOINT, "at_end", SAME_RUN, NO_MATTER),
    .kind = KEY_BOOL, BOOL_AT (at_end),
    .value = "yes", .meaning = "write a checkpoint at the end" },
  { KEY (CHECKPOINT, "async", SAME_RUN, NO_MATTER),
    .kind = KEY_BOOL, BOOL_AT (async),
    .value = "yes",
    .meaning = "write beside the next steps, from a copy in memory; no: all "
               "wait for it" },
  { KEY (CHECKPOINT, "io", SAME_RUN, NO_MATTER),
    .kind = KEY_CHOICE, ENUM_AT (io),
    WORDS (ios), .value = "independent",
    .meaning = "where checkpoint.async is no: each rank writes what it has, or "
               "all together in transfers of parallel HDF5" },

  { KEY (RUN, "dir", SAME_RUN, NO_MATTER),
    .kind = KEY_TEXT, TEXT_AT (dir), .value = "run",
    .meaning = "run directory" },
  { KEY (RUN, "replicas", SAME_RUN, SUBJECT),
    .kind = KEY_INTEGER, INT_AT (replicas),
    RANGE (1, 65536), .value = "1",
    .meaning = "copies of the pipe, each with a part of the batch; ranks = "
               "replicas x pipe ranks" },
  { KEY (RUN, "share_optimizer", SAME_RUN, SUBJECT),
    .kind = KEY_BOOL, BOOL_AT (share_optimizer), .value = "no",
    .meaning = "each replica keeps a part of the optimizer's state, updates the "
               "weights of that part and sends them to the others: the same "
               "bits, with 1 / replicas of that memory" },
  { KEY (RUN, "schedule", SAME_RUN, SUBJECT),
    .kind = KEY_CHOICE, ENUM_AT (run_schedule),
    WORDS (run_schedules), .value = "eager",
    .meaning = "order of micro-batches on a rank: what others wait for first; "
               "one forward one backward; all forwards first" },
  { KEY (RUN, "trace", SAME_RUN, NO_MATTER),
    .kind = KEY_BOOL, BOOL_AT (trace), .value = "no",
    .meaning = "write trace.json: start and stop of every operation of a few "
               "steps" },
  { KEY (RUN, "time_margin", SAME_RUN, NO_MATTER),
    .kind = KEY_REAL, REAL_AT (time_margin),
    FROM (0), .value = "60",
    .meaning = "seconds left before the end of the job's time at which the run "
               "saves and stops" },
  { KEY (RUN, "patience", SAME_RUN, NO_MATTER),
    .kind = KEY_REAL, REAL_AT (patience), FROM (0),
    .value = "600",
    .meaning = "seconds without a move after which a rank says for whom it "
               "waits; twice as many end the job (70); 0: never" },
  { KEY (RUN, "isa", SAME_RUN, NO_MATTER),
    .kind = KEY_CHOICE, TEXT_AT (isa),
    WORDS (isas),
    .value = "auto",
    .meaning = "instruction set of the kernels: auto: what all ranks have; "
               "native: what the processor has, refused where ranks differ; or "
               "a level by oneDNN's name, which all ranks must have" },
  { KEY (RUN, "cache", SAME_RUN, NO_MATTER),
    .kind = KEY_CHOICE, ENUM_AT (cache),
    WORDS (caches), .value = "yes",
    .meaning = "take kernel choices, proofs of kernels and costs of blocks from "
               "earlier starts of like runs on like machines, and leave them for "
               "later ones; anew: find them out once more, and leave what is "
               "quicker; no: neither" },
  { KEY (RUN, "check_every", SAME_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (check_every),
    RANGE (0, 1e15), .value = "100",
    .meaning = "steps between digests of every stage's weights, which have to "
               "be the same in all replicas (70 where they are not); 0: none" },
  { KEY (RUN, "digests", SAME_RUN, NO_MATTER),
    .kind = KEY_BOOL, BOOL_AT (digests), .value = "no",
    .meaning = "write those digests, and that of the last step, into "
               "metrics.csv" },
  { KEY (RUN, "attempts", SAME_RUN, NO_MATTER),
    .kind = KEY_INTEGER, INT_AT (attempts),
    RANGE (0, 1e9), .value = "3",
    .meaning = "starts from one step that died without a newer checkpoint until "
               "the next one gives up (77); 0: no limit" },
};
/* clang-format on */
const size_t key_count = sizeof key_table / sizeof *key_table;
