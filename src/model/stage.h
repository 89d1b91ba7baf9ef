/* model/stage.h -- one stage: its units, its head, and everything done to them.
 *
 * A stage has n_slots places for the activations of a forward that awaits its
 * backward, and n_pairs places for (input, cotangent) pairs whose weight
 * gradients are deferred.  The calls of one batch on slot i are, in this order:
 *   stage_forward, stage_head*, stage_back_data (any number of times, at most
 *   one with learn), stage_back_weights, stage_head_weights*; then
 *   stage_update once per batch.           (* where there is a head)
 * The last unit of the network belongs to no stage body: it is the head of the
 * last stage.  A last stage may have an empty body; then output is input.  With
 * a border the body begins with it: x is what the stage before hands on, and
 * gradients with respect to the input are with respect to that.
 * Tokens.  The input of the first stage of a Transformer is int32_t [B, T] in
 * the place of its floats (stage_input gives a buffer of B T 4 bytes; cast its
 * data); every other border is f32 [B, T, D].  Labels are int32_t [B T], the
 * next token of each place; a negative one does not count.  Losses count
 * positions (stage_loss.counted).  Before stage_forward, stage_moment says
 * which samples these are: dropout and the choice of positions follow from
 * (seed, step, sample) alone, whatever the folding, replicas and micro-batches.
 *
 * All calls are Local.  Tensors at stage borders have TENSOR_HEADER bytes of
 * room in front (see base/tensor.h).  pulse () is called between layers.
 */
#ifndef MODEL_STAGE_H
#define MODEL_STAGE_H

#include "base/tensor.h"
#include "kern/kern.h"
#include "model/network.h"
#include "model/optimizer.h"

/* What a stage does between two updates.  Frozen it computes what evaluation
 * does, running statistics and no dropout, with the same bits in both ways; its
 * parameters, moments and statistics stay.  The head learns in any case. */
enum stage_mode {
  STAGE_LEARNS,
  STAGE_HANDS_ON, /* frozen: gradients go through, stage_back_data without
                     learn */
  STAGE_STILL     /* frozen, and nothing goes back through it */
};

struct stage_spec {
  const struct network *net;        /* borrowed for the life of the stage */
  const struct kern_tuning *tuning; /* borrowed during create */
  int k, n_stages;
  int unit_first, unit_end; /* units of this stage; the last stage's range
                               includes the output unit */
  const char *head;         /* grammar; ignored in the last stage; NULL: none */
  enum model_border border; /* of the input; ignored in the first stage */
  float smoothing;          /* of labels, in stage_head; kern_target */
  bool head_observes;       /* the head is a witness: it adds nothing to a
                               shared matrix */
  int64_t n_samples;        /* per micro-batch */
  int n_slots, n_pairs;     /* >= 1 */
  enum stage_mode mode;     /* the first that it will ever be in: there is no
                               room for what only an earlier one needs */
  uint64_t seed;
  struct optimizer optimizer;
  int n_twins, twin; /* who share the optimizer's moments, each with its part
                        of them, and which of them this is; 0: nobody does */
  bool training;     /* false: for evaluation only: no gradients, moments, slots
                        or pairs; only STAGE_EVAL may be used */
  bool narrow;       /* of stage_estimate: in bf16; a stage is as its kern */
};

struct stage;
/* Makes all memory and primitives, and initial weights from (seed, tensor name)
 * alone: Kaiming normal, fan-out, for convolutions of the network; PyTorch's
 * defaults uniform(+-1/sqrt(fan_in)) for linear layers, their biases and the
 * convolutions with bias in heads; BatchNorm 1 and 0, running 0 and 1.
 * Fails with E_MEMORY, E_CONFIG. */
enum status
stage_create (struct kern *k, const struct stage_spec *spec,
              struct stage **out);
void
stage_destroy (struct stage **s);
/* Bytes by kind: 0 weights, gradients and moments; 1 slots; 2 pairs; 3 the
 * rest.  The sum of these is what the stage holds; 4 what it works in, which
 * all stages of a kern share. */
void
stage_memory (const struct stage *s, size_t bytes[5]);

struct stage_bytes {
  double held, work;
};
/* Bytes that a stage would hold and work in, without making it.  own_input:
 * input buffers included, since the stage below is on another rank, or there is
 * none.  n_pairs may be 0.  Fails with E_CONFIG (the head's grammar). */
enum status
stage_estimate (const struct stage_spec *spec, bool own_input,
                struct stage_bytes *out);
/* Bytes that our own kernels of its convolutions work in, at most, on this
 * processor with so many threads.  All stages of a rank share them, so the most
 * of them counts.  Fails likewise. */
enum status
stage_estimate_kernels (const struct stage_spec *spec, int threads,
                        double *bytes);

/* -- borders --------------------------------------------------------------- */

/* Own input buffer of a slot (made on first use, before kern_seal; with header
 * room), and the tensor a slot's output will be in.  Slot STAGE_EVAL: the place
 * for evaluation, apart from all slots. */
#define STAGE_EVAL (-1)
enum status
stage_input (struct stage *s, int slot, struct tensor *out);
void
stage_output (const struct stage *s, int slot, struct tensor *out);
/* Sum of the squares of that output; the same bits for any number of
 * threads. */
double
stage_output_squares (struct stage *s, int slot);
/* Shape and bytes of input and output without memory (data NULL): for sizing
 * messages and cotangents. */
void
stage_border (const struct stage *s, struct tensor *in, struct tensor *out);
/* In bf16 borders are f32 in memory, with values that are bf16's, and travel as
 * 16 bits each; in f32 the following do nothing.  stage_take: x, of
 * stage_input, was filled by the loader. */
void
stage_take (const struct stage *s, struct tensor *x);
/* Whether they do something. */
bool
stage_packs (const struct stage *s);
/* The part of border tensor t (of stage_border, with its memory) in which a
 * message to it arrives; stage_unpack when it has. */
void
stage_message (const struct stage *s, const struct tensor *t,
               struct tensor *out);
void
stage_unpack (const struct stage *s, const struct tensor *t);
/* Border tensor t as a message: in room, of half its bytes behind a header; or,
 * room NULL, over t itself. */
void
stage_pack (const struct stage *s, const struct tensor *t, void *room,
            struct tensor *out);
/* The STAGE_EVAL output of the first n samples as plain rows: [n, c h w] in the
 * order of NCHW, or pooled: [n, c], means over h and w. */
void
stage_output_rows (const struct stage *s, int64_t n, bool pooled, float *rows);
/* Of a Transformer: the STAGE_EVAL output at n places, [n, D]; place[i] - base:
 * sample x T + position. */
void
stage_output_places (const struct stage *s, int64_t n, const int64_t *place,
                     int64_t base, float *rows);
/* Numbers in one such row; of places as pooled. */
int64_t
stage_row_width (const struct stage *s, bool pooled);
/* True for the first stage: its input is PLAIN images, no gradient wanted. */
bool
stage_is_first (const struct stage *s);
bool
stage_has_head (const struct stage *s);

/* Whether the head makes the images of its slot again (`+rec`). */
bool
stage_rebuilds (const struct stage *s);
/* Those images, plain [n, C, H, W] as the network's first stage gets them, and
 * mean and std by which they were normalised [C] (NULL: 0 and 1); borrowed
 * until the head of the slot is done.  Before stage_head, and with STAGE_EVAL
 * before stage_head_eval, where the head makes images again. */
void
stage_picture (struct stage *s, int slot, const float *x, const double *mean,
               const double *std);

/* -- work ------------------------------------------------------------------ */

/* That of the spec at first.  Between two batches. */
void
stage_set_mode (struct stage *s, enum stage_mode mode);
/* What is in the slot from now on: step (from 0) and the place of the first
 * sample in the whole batch of all replicas (replica r's micro-batch m: (r M +
 * m) n_samples).  Of Transformers, in every stage, before stage_forward. */
void
stage_moment (struct stage *s, int slot, int64_t step, int64_t first_sample);
/* Output of the slot from input x, of the type that stage_input says (own input
 * buffer or a neighbour's output; borrowed until the slot's last backward).
 * Training statistics; running ones move; of a frozen stage see stage_mode. */
enum status
stage_forward (struct stage *s, int slot, const void *x);
/* Same on running statistics, in the STAGE_EVAL place; nothing is kept. */
enum status
stage_eval (struct stage *s, const void *x);

struct stage_loss {
  double loss;     /* sum over samples; of tokens: over positions */
  int64_t correct; /* samples or positions */
  int64_t counted; /* samples; positions that have a label and were chosen */
  double rebuilt;  /* of images made again: sum over samples, without weight; 0
                      where there are none */
};
/* Head on the output of the slot: loss, and its gradient with respect to the
 * stage's output (scale x d(sum of losses)/dy), readable by stage_head_grad
 * until the next stage_head on this slot.  labels [n_samples]. witness: the
 * gradient with respect to the output is not computed.  Where images are made
 * again, what is differentiated is loss + W rebuilt.
 * Tokens: labels [n_samples T].  scale is that of one position when all count:
 * 1 / (T x whole batch).  A head that takes n of T positions of each sample
 * multiplies by T / n itself; its loss and `counted` are of those n.  The
 * gradient of the output matrix is added here already, chunk by chunk, so that
 * logits need not be kept; stage_head_weights has to be called all the same.
 */
enum status
stage_head (struct stage *s, int slot, const int32_t *labels, float scale,
            bool witness, struct stage_loss *out);
const float *
stage_head_grad (const struct stage *s, int slot);
/* Head on running statistics behind stage_eval; no gradient. */
enum status
stage_head_eval (struct stage *s, const int32_t *labels,
                 struct stage_loss *out);
/* Logits [n_samples, classes] of the last head or head_eval on the slot.  Not
 * of tokens. */
const float *
stage_logits (const struct stage *s, int slot);
/* Logits [n, classes] of the positions first .. first + n - 1, of B T, behind
 * the last forward of the slot (STAGE_EVAL: the last stage_eval), computed now
 * in evaluation mode.  Tokens only; not for use in a step.  n <= B T. */
enum status
stage_token_logits (struct stage *s, int slot, int64_t first, int64_t n,
                    float *logits);

/* -- generating (Transformers made with training false) --------------------
 *
 * One sequence grows: stage 0 gets the next n tokens (the whole prompt at
 * first, then one at a time), every stage appends their keys and values to its
 * cache.  Only stages up to the one whose head is asked need to run. */

/* Room for the keys and values of `context` positions (n_samples is not used);
 * before kern_seal.  Begins an empty sequence. */
enum status
stage_decode_open (struct stage *s);
/* Forget all positions from `at` on (0: a new sequence). */
void
stage_decode_rewind (struct stage *s, int64_t at);
/* Positions in the cache. */
int64_t
stage_decode_length (const struct stage *s);
/* The next n positions: x int32_t [n] (first stage) or f32 [n, D]; *y [n, D],
 * valid until the next call.  length + n <= context, n <= n_samples T. */
enum status
stage_decode (struct stage *s, const void *x, int64_t n, const float **y);
/* Logits [classes] of the head on the last position of the last
 * stage_decode. */
enum status
stage_decode_logits (struct stage *s, float *logits);

/* d_x = (d output / d input)^T cotangent, overwritten; d_x NULL: not wanted
 * (first stage, or nobody further back).  learn: also keep what
 * stage_back_weights needs in `pair`, and add scale-1 BatchNorm gradients.
 * Not learn: nothing but d_x changes.  cotangent is borrowed during the call
 * when not learn, else until stage_back_weights. */
enum status
stage_back_data (struct stage *s, int slot, const float *cotangent, bool learn,
                 int pair, float *d_x);
/* Add the weight gradients of the pair kept by stage_back_data. */
enum status
stage_back_weights (struct stage *s, int slot, int pair);
/* stage_back_data with learn, and stage_back_weights, in one: the same bits in
 * less time, since each weight gradient is computed while its cotangent is in
 * the cache.  cotangent is borrowed during the call. */
enum status
stage_back_both (struct stage *s, int slot, const float *cotangent, int pair,
                 float *d_x);
/* Add the head's weight gradients of the slot. */
enum status
stage_head_weights (struct stage *s, int slot);

/* y = sum of a[i] x[i] over border-sized tensors (the stage's output). */
void
stage_combine (struct stage *s, int m, const float *const *x, const float *a,
               float *y);

/* -- update ---------------------------------------------------------------- */

/* What of a tensor. */
enum stage_what {
  STAGE_VALUE, /* parameters and running statistics */
  STAGE_GRAD,
  STAGE_MOMENT_1, /* SGD: momentum; AdamW: exp_avg */
  STAGE_MOMENT_2  /* AdamW: exp_avg_sq */
};

/* Gradients of the body (part 0) and of the head (part 1; of the last stage:
 * the output unit) as one block each (n may be 0, and is of the body of a
 * frozen stage), for reduction over replicas.
 * Gradients are zero at the first backward of a batch: the stage sees to it;
 * therefore ask again in each batch, after its last backward. */
enum stage_part { STAGE_BODY, STAGE_HEAD };
void
stage_gradients (struct stage *s, enum stage_part part, float **block,
                 size_t *n);
/* Who sums gradients over replicas: gets each piece of a part, a bucket of
 * neighbouring tensors, when it is complete, and leaves the sum there before
 * the update.  The same pieces in the same order in all replicas. */
struct stage_taker {
  enum status (*take) (void *context, float *block, size_t n);
  void *context;
  /* Of twins who share moments: n floats of which this one has its own share,
   * which all of them need.  Returns at once. */
  enum status (*spread) (void *context, float *block, size_t n);
};
/* Floats of each twin's share of n, the first twin's first; the last ones may
 * have less. */
size_t
stage_share (size_t n, int n_twins);
/* Cut the gradients of both parts into buckets, the last tensors first: the
 * next one has an eighth of the floats that are left, at least 4096 and at most
 * STAGE_BUCKET (and a whole tensor in any case), so that little is left to sum
 * when the first layers are done.  Before the first batch; once. */
#define STAGE_BUCKET ((size_t)1 << 18)
enum status
stage_buckets (struct stage *s, const struct stage_taker *t);
/* Number of a part's buckets, and floats of the largest. */
int
stage_bucket_count (const struct stage *s, enum stage_part part, size_t *most);
/* Whether what the body's backward adds from now on is of the last micro-batch
 * of the batch: then buckets are taken as soon as their layers are done, inside
 * stage_back_data, stage_back_weights and stage_back_both. */
void
stage_last_micro (struct stage *s, bool last);
/* All gradients of a part are there: what was not taken is. */
enum status
stage_hand_out (struct stage *s, enum stage_part part);
/* Running statistics of body and head, as one block each (averaged over
 * replicas by the engine); n is 0 where they do not move. */
void
stage_statistics (struct stage *s, enum stage_part part, float **block,
                  size_t *n);
double
stage_gradient_squares (struct stage *s, enum stage_part part);
/* One step of the optimizer with learning rate lr on both parts; gradients are
 * multiplied by clip[part] first.  step counts from 1 (AdamW's bias
 * correction).  A part whose gradients no pass has touched since the last
 * update stays as it is, without decay.  Begins a new batch. */
enum status
stage_update (struct stage *s, double lr, const float clip[2], int64_t step);
/* The same for one part alone. */
enum status
stage_update_part (struct stage *s, enum stage_part part, double lr, float clip,
                   int64_t step);
/* Where twins share moments, an update needs the summed gradient in its own
 * shares alone, changes these, and spreads the values: when those of all twins
 * are here, this makes the stage ready.  Otherwise nothing. */
enum status
stage_update_end (struct stage *s);
/* Where twins share moments: spreads one of them, between two batches.  When
 * all is here stage_tensor_out finds it whole, until the next backward.
 * stage_tensor_in takes a whole one as ever.  Otherwise nothing. */
enum status
stage_show_moment (struct stage *s, enum stage_what what);

/* -- comparing gradients -----------------------------------------------------
 *
 * Between two batches a micro-batch may be walked that training is not to
 * notice: forward, heads and backward between stage_aside and stage_aside_end,
 * in any slot and pair, leave parameters, moments and running statistics as
 * they are, and no gradient behind. */
void
stage_aside (struct stage *s);
void
stage_aside_end (struct stage *s);
/* Numbers in the gradient of what the route decides about: all parameters of
 * the body, and of a shared matrix what the body's use of it gives.  Not the
 * head's (of the last stage: the output unit's), which follow their own loss.
 */
size_t
stage_aside_size (const struct stage *s);
/* Copy that gradient [stage_aside_size] and begin again. */
void
stage_aside_keep (struct stage *s, float *copy);
/* Copy . copy, copy . gradient and gradient . gradient, each the same bits
 * whenever its factors are. */
void
stage_aside_compare (struct stage *s, const float *copy, double product[3]);

/* -- the shared matrix (Transformers) ---------------------------------------
 *
 * `tied`: the output's matrix is the token embedding.  Heads `...-shared`: an
 * inner head uses the output's matrix as well.  Its gradient is the sum of what
 * its uses give: the embedding what the route gives stage 0, each head its own
 * loss; a witness gives nothing.  The last stage owns the matrix: it alone
 * keeps the moments, updates it and shows it to files (as part of STAGE_HEAD,
 * so it is in the norm of window K-1).  The others hold copies, equal from
 * creation on (seed and name), and after each update and each load the owner's
 * values have to be passed on.  The sum is made in one fixed order, whatever
 * the folding: embedding, head 0, .. head K-1.  Per batch, by the engine:
 *
 *   for k = 0 .. K-1 with stage_shared != NONE:  (all its weights are done)
 *     sum = stage_shared_fold (k, sum)          NULL at the start
 *   owner: replicas are reduced (stage_gradients, STAGE_HEAD) and the part
 *     updated; then stage_shared_value of the owner -> all other copies
 *   no copy may be used for the next batch before it has arrived. */
enum stage_shared { STAGE_SHARED_NONE, STAGE_SHARED_COPY, STAGE_SHARED_OWNER };
enum stage_shared
stage_shared (const struct stage *s);
/* The values [n] of copy or owner; write a copy's only between batches, and
 * call stage_shared_settle behind it. */
void
stage_shared_value (struct stage *s, float **value, size_t *n);
enum status
stage_shared_settle (struct stage *s);
/* Add the sum of the stages below (NULL: none) to what this stage gives and
 * return the new sum: of a stage that gives, its own block, borrowed until its
 * next head or backward of the next batch; of a witness what came; of the owner
 * its gradient.  NULL: nothing so far.  n as above. */
const float *
stage_shared_fold (struct stage *s, const float *below);

/* -- tensors as files see them --------------------------------------------- */

/* Tensor i of the stage: name without "/model/" or "/heads/H/" in front;
 * *head true: it belongs to the head (of the last stage: false, the output
 * unit is the model's own).  *statistic: no gradient, no moments. */
int
stage_tensors (const struct stage *s);
void
stage_tensor (const struct stage *s, int i, struct tensor_info *info,
              bool *head, bool *statistic);
/* Copy to and from plain layout (info's dims). */
enum status
stage_tensor_out (struct stage *s, int i, enum stage_what what, float *plain);
enum status
stage_tensor_in (struct stage *s, int i, enum stage_what what,
                 const float *plain);
/* The values of tensor i in plain layout, to read before anything changes them:
 * where they lie, else copied into room, which holds the whole tensor.  room
 * NULL: *out NULL where it would be a copy. */
enum status
stage_tensor_view (struct stage *s, int i, float *room, const float **out);
/* Call once after the last stage_tensor_in (STAGE_VALUE). */
enum status
stage_refresh (struct stage *s);

/* -- measuring ------------------------------------------------------------- */

struct stage_cost { /* seconds per micro-batch */
  double forward, data, weights;
  double saved; /* of data and weights, by stage_back_both */
  double input; /* of data, where the gradient of the input is not wanted */
};
struct stage_measured {
  int unit;
  const char *head;       /* NULL: the unit alone, else the grammar behind it */
  struct stage_cost cost; /* set by stage_measure; of a head, and of the output
                             unit: forward holds data as well, which is 0 */
};
/* What n units and heads cost: all are made, in order of depth, and walked
 * through forwards and back again like a step, so that each finds its tensors
 * where a step finds them; the best of a few walks, which go back by turns with
 * the two gradients apart and together.  A head that takes long
 * is measured on a part of the batch.  Takes the time and the memory of about
 * three steps of the listed parts. */
enum status
stage_measure (struct kern *k, const struct network *net,
               const struct kern_tuning *tuning, int64_t n_samples, int n,
               struct stage_measured *list);
/* Ranks that measure together, each a part. share: `mine` is this rank's
 * status; the worst of all comes back on every rank, and if that is OK, v holds
 * the sums over ranks of v[n]. */
struct stage_team {
  int rank, size;
  enum status (*share) (void *context, enum status mine, double *v, int n);
  void *context;
};
/* Measure every convolution of the network (and of heads: by unit, the grammar
 * behind it, or NULL; heads NULL: none) in both inner layouts, choose the
 * layout and the algorithms.  team NULL: alone; else Collective on the team:
 * all end with the same status and the same table. */
enum status
stage_tune (struct kern *k, const struct network *net, int64_t n_samples,
            const char *const *heads, const struct stage_team *team,
            struct kern_tuning *t);
/* Compare every kernel that the network (with such heads) may use with plain
 * arithmetic, unless the kern knows of it already; choices of t that are wrong
 * give way to others.  team as in stage_tune: all believe the same kernels. */
enum status
stage_prove (struct kern *k, const struct network *net, int64_t n_samples,
             const char *const *heads, const struct stage_team *team,
             struct kern_tuning *t);
/* What is used without measuring: the layout that fits, direct algorithms
 * everywhere. */
void
stage_tune_rule (struct kern *k, const struct network *net,
                 struct kern_tuning *t);

#endif
