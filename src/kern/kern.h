/* kern/kern.h -- numeric primitives on oneDNN, f32.
 *
 * One struct kern per rank: engine, stream, threads and one scratchpad.
 * Everything is made before the first step (create ... then kern_seal); after
 * that no function here allocates.  Images travel in one of three layouts; a
 * network uses one of BLOCKED and LAST for all its inner tensors, so that no
 * tensor is reordered between two primitives.  All calls are Local, run on the
 * threads of the kern, and give the same bits for equal shapes, choices and
 * thread counts.  Failing calls name primitive, implementation and shape.
 * fault_here ("kernel") is asked in the forward of convolutions.
 */
#ifndef KERN_KERN_H
#define KERN_KERN_H

#include "base/status.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -- instruction sets, by the library's names: sse41, avx2, avx512_core ... --
 */

/* The highest level that the library would use here: what the processor has, or
 * less where ONEDNN_MAX_CPU_ISA says so; where a kern has been opened or a
 * limit set, the level in use.  "generic": none that has a name.  The first
 * call starts a process that asks; before MPI is opened is a good time. */
const char *
kern_isa_have (void);
/* The one in use, which is settled from here on. */
const char *
kern_isa_use (void);
/* Is it one of this library's?  All of them, with blanks between. */
bool
kern_isa_known (const char *name);
void
kern_isa_names (struct text *out);
/* The second is a part of the first; the highest level that both include.
 * "avx512" is avx512_core. */
bool
kern_isa_includes (const char *have, const char *want);
const char *
kern_isa_common (const char *a, const char *b);
/* Use this level, which kern_isa_have includes, for as long as the process
 * lives; our own loops give the same bits on every level.  Before the first
 * kern is opened: afterwards E_UNSUPPORTED, unless it is the one in use. */
enum status
kern_isa_limit (const char *name);

/* -- the kern -------------------------------------------------------------- */

struct kern;
/* threads: OpenMP threads to use (>= 1).  Owned by the caller. */
enum status
kern_open (int threads, struct kern **out);
void
kern_close (struct kern **k);
/* Allocate the scratchpad (the largest any primitive asked for).  May be called
 * again after more creates. */
enum status
kern_seal (struct kern *k);
size_t
kern_scratch_bytes (const struct kern *k);
/* Room for what whoever uses the kern works on within one call: as large as the
 * largest that was wanted before kern_seal.  All share it. */
void
kern_room_want (struct kern *k, size_t bytes);
char *
kern_room (const struct kern *k);
int
kern_threads (const struct kern *k);
/* "oneDNN 2.6.3, avx512_core, OpenMP" (static text of the kern). */
const char *
kern_describe (const struct kern *k);
/* The library alone, with what it was built from: "oneDNN 2.6.3 (52b5f107),
 * OpenMP".  Settles nothing. */
const char *
kern_library (void);
/* What numbers are, and what the library may make of them inside: "f32,
 * arithmetic strict". */
const char *
kern_numbers (void);
/* "avx512_core, oneDNN 2.6.3, 2 threads": all that a tuning depends on. */
#define KERN_MACHINE 96
void
kern_machine (const struct kern *k, char out[KERN_MACHINE]);
/* Operations per second of a large matrix product, measured here (0.5 s); the
 * yardstick of benchmarks. */
enum status
kern_peak_flops (struct kern *k, double *flops);

/* -- precision -------------------------------------------------------------

 * In a kern of KERN_BF16 tensors are f32 all the same, but whoever makes
 * layers rounds what goes into products to bf16 (doc/precision.md).  Products
 * add up in f32. */
enum kern_precision { KERN_F32, KERN_BF16 };
/* KERN_F32 at first.  Before anything is made. */
void
kern_precision_set (struct kern *k, enum kern_precision p);
enum kern_precision
kern_precision (const struct kern *k);
/* Whether the processor has kernels of 16 bits for it, which linear layers then
 * use; else all of it is by f32 kernels on rounded numbers. */
bool
kern_native (const struct kern *k);
/* y = x rounded to bf16: to the nearest, ties to even; NaN stays NaN.  y may be
 * x. */
void
kern_round (struct kern *k, size_t n, const float *x, float *y);
/* Numbers that are bf16's, as 16 bits each: into y; over x, where they come to
 * lie at its beginning; and over x back again from its second half (its first n
 * x 2 bytes do not count). */
void
kern_pack (struct kern *k, size_t n, const float *x, uint16_t *y);
void
kern_pack_over (struct kern *k, size_t n, float *x);
void
kern_unpack_over (struct kern *k, size_t n, float *x);

/* -- verdicts -------------------------------------------------------------- */

/* No kernel of the library is used before it was compared with plain arithmetic
 * on small data, once per kern; making an object does that.  A wrong one is
 * dropped, and another takes its place.  What was compared, in that order: */
struct kern_proof {
  const char *key; /* direction, sizes, layouts, implementation */
  bool right;
  double error; /* the largest, as a part of what the terms add up to; < 0: not
                   measured here */
};
int
kern_proof_count (const struct kern *k);
struct kern_proof
kern_proof_at (const struct kern *k, int i);
/* Name in the log what was dropped so far, whichever rank found it wrong, and
 * from now on what will be. */
void
kern_dropped_say (struct kern *k);
/* For ranks to agree: what this one found wrong, as numbers that a double holds
 * exactly, and what others did. *news becomes true where that was not known. */
int
kern_wrong_count (const struct kern *k);
double
kern_wrong_at (const struct kern *k, int i);
enum status
kern_wrong_add (struct kern *k, double number, bool *news);

/* -- layouts -------------------------------------------------------------- */

enum kern_layout {
  KERN_PLAIN,   /* NCHW: what files and the data loader give */
  KERN_BLOCKED, /* nChw16c (AVX-512) or nChw8c: channels padded up */
  KERN_LAST     /* NHWC */
};
const char *
kern_layout_name (enum kern_layout l); /* plain blocked last */
bool
kern_layout_parse (const char *word, enum kern_layout *out);
/* Channels in a block of KERN_BLOCKED on this machine: 16 or 8. */
int
kern_block (const struct kern *k);

struct kern_dims {
  int64_t n, c, h, w;
};
/* Bytes of a tensor, padding included. */
size_t
kern_bytes (const struct kern *k, struct kern_dims d, enum kern_layout l);
/* Convert between layouts (dst's padding becomes zero).  Not for use in a step
 * (it makes its primitive on the way). */
enum status
kern_reorder (struct kern *k, struct kern_dims d, enum kern_layout from,
              enum kern_layout to, const float *src, float *dst);

/* -- convolution ----------------------------------------------------------- */

enum kern_direction { KERN_FORWARD, KERN_BACK_DATA, KERN_BACK_WEIGHTS };
/* OTHER: the direct one of the other layout, blocked or channels last, where
 * both are the same in memory: one block of channels on either side.  The
 * library has different code for the two.  WINOGRAD is the library's,
 * WINOGRAD_2 and _4 are our own, by tiles of 2 x 2 and of 4 x 4: kernels of
 * 3 x 3 with stride 1 and padding 1, blocked or last on both sides. */
enum kern_algo {
  KERN_DIRECT,
  KERN_WINOGRAD,
  KERN_AUTO,
  KERN_OTHER,
  KERN_OWN, /* plain loops of our own, where all others are wrong */
  KERN_WINOGRAD_2,
  KERN_WINOGRAD_4,
  KERN_ALGOS
};
const char *
kern_algo_name (enum kern_algo a);
const char *
kern_direction_name (enum kern_direction d);

struct kern_conv_shape {
  int64_t n, c, h, w; /* input */
  int64_t out_c;      /* output channels; height and width follow */
  int kernel, stride, pad;
  bool bias;
  enum kern_layout src; /* PLAIN before BLOCKED: few channels only (the stem),
                           else very slow */
  enum kern_layout dst;
};
int64_t
kern_conv_out (int64_t size, int kernel, int stride, int pad);
/* Multiply-adds x 2 of one direction. */
double
kern_conv_flops (const struct kern_conv_shape *s);
/* Bytes that our own kernels of such a convolution work in on a processor of
 * that level, at most, whichever the tuner takes; 0: it has none.  Calls share
 * them.  What the library asks for is not in it. */
size_t
kern_conv_room (const struct kern_conv_shape *s, const char *isa, int threads);

/* Whose batch normalisation: the library's primitives, or own loops. */
enum kern_bn_way { KERN_BN_LIBRARY, KERN_BN_FUSED, KERN_BN_WAYS };

/* Which algorithm each convolution uses, per shape and direction; filled by
 * measuring or from text.  A shape that is not in it: KERN_DIRECT.  And what
 * normalises; KERN_BN_LIBRARY where nothing is said, as in texts of before. */
struct kern_tuning;
enum status
kern_tuning_create (struct kern_tuning **out);
void
kern_tuning_destroy (struct kern_tuning **t);
/* One line per shape and direction, readable and stable; parse fails with
 * E_CONFIG naming `origin` and the line.  Lines it adds: "layout = blocked",
 * "normalisation = fused" and "machine = ..." (ISA, library version, threads).
 */
void
kern_tuning_print (const struct kern_tuning *t, struct text *out);
enum status
kern_tuning_parse (const char *text, const char *origin, struct kern_tuning *t);
/* Verdicts on kernels are lines of the same text: printed behind the table,
 * kept by parse, and taken over by a kern on the machine that they were found
 * on (the table has to live no longer). */
void
kern_verdicts_print (const struct kern *k, struct text *out);
enum status
kern_verdicts_take (struct kern *k, const struct kern_tuning *t);
enum kern_layout
kern_tuning_layout (const struct kern_tuning *t);
/* kern_machine of where it was measured; "" for an empty table. */
const char *
kern_tuning_machine (const struct kern_tuning *t);
/* It was measured with another instruction set or another library than the
 * kern's; threads may differ. */
bool
kern_tuning_elsewhere (const struct kern *k, const struct kern_tuning *t);
void
kern_tuning_layout_set (struct kern_tuning *t, enum kern_layout l);
enum kern_bn_way
kern_tuning_bn (const struct kern_tuning *t);
void
kern_tuning_bn_set (struct kern_tuning *t, enum kern_bn_way way);
enum kern_algo
kern_tuning_choice (const struct kern_tuning *t,
                    const struct kern_conv_shape *s, enum kern_direction d);
/* Time every algorithm the library offers for the shape, in every direction it
 * is used in, unless the table has it already; keep the fastest.  back_data
 * false: that direction is never asked for (first convolution of the net).
 * Takes tens of milliseconds per shape. *best_s (may be NULL): the sum of the
 * chosen directions' times. */
enum status
kern_tuning_measure (struct kern *k, const struct kern_conv_shape *s,
                     bool back_data, struct kern_tuning *t, double *best_s);

/* Products of linear layers: what the library puts first for a shape, or its
 * blocked product of plain matrices, which may be the same. */
enum kern_way { KERN_FIRST, KERN_GEMM, KERN_WAYS };
struct kern_linear_shape;
/* Time both ways in every direction and keep the faster one: of a shape that
 * the table does not have yet. */
bool
kern_tuning_has_linear (const struct kern_tuning *t,
                        const struct kern_linear_shape *s);
enum status
kern_linear_measure (struct kern *k, const struct kern_linear_shape *s,
                     enum kern_way way[3]);
enum status
kern_tuning_put_linear (struct kern *k, struct kern_tuning *t,
                        const struct kern_linear_shape *s,
                        const enum kern_way way[3]);
/* A table out of a text that an earlier version wrote: products are computed
 * as that did, by sgemm.  A new table is not; go_on: as in another one, and
 * normalisation, too. */
bool
kern_tuning_by_sgemm (const struct kern_tuning *t);
void
kern_tuning_go_on (struct kern_tuning *t, const struct kern_tuning *was);

/* The same piece by piece, for those who share the work.  What the table holds
 * of one direction, and a place for it: */
#define KERN_NO_ALGO (-1) /* a direction that is never asked for */
struct kern_choice {
  int algo;       /* enum kern_algo, or KERN_NO_ALGO */
  double seconds; /* of one run; 0: not measured here */
};
struct kern_choice
kern_tuning_get (const struct kern_tuning *t, const struct kern_conv_shape *s,
                 enum kern_direction d);
/* The sum of what the choices took; 0: none was measured here. */
double
kern_tuning_seconds (const struct kern_tuning *t);
enum status
kern_tuning_put (struct kern *k, struct kern_tuning *t,
                 const struct kern_conv_shape *s, enum kern_direction d,
                 struct kern_choice c);
/* ... and its measurement, on memory that the bench keeps from one to the
 * next: the largest convolution first is quickest.  c->algo KERN_NO_ALGO:
 * choose, else only its time.  Nothing else may be made or run on the kern
 * while a bench is open; closing takes the scratchpad back to what it was. */
struct kern_bench;
enum status
kern_bench_open (struct kern *k, struct kern_bench **out);
enum status
kern_bench_close (struct kern_bench **b);
enum status
kern_bench_direction (struct kern_bench *b, const struct kern_conv_shape *s,
                      enum kern_direction d, struct kern_choice *c);

/* The master weights of a convolution live in the layout its forward wants;
 * gradients have the same layout.  Files use plain [out, in, kh, kw]. */
struct kern_conv;
enum status
kern_conv_create (struct kern *k, const struct kern_conv_shape *s,
                  const struct kern_tuning *t, struct kern_conv **out);
void
kern_conv_destroy (struct kern_conv **c);
size_t
kern_conv_weight_bytes (const struct kern_conv *c);
enum status
kern_conv_weights_in (struct kern_conv *c, const float *plain, float *master);
enum status
kern_conv_weights_out (struct kern_conv *c, const float *master, float *plain);
/* The master weights changed: refresh private copies in other layouts.  Called
 * once after each update or load. */
enum status
kern_conv_refresh (struct kern_conv *c, const float *master);
/* bias: [out_c] or NULL when the shape has none. */
enum status
kern_conv_forward (struct kern_conv *c, const float *src, const float *master,
                   const float *bias, float *dst);
/* d_src is overwritten. */
enum status
kern_conv_back_data (struct kern_conv *c, const float *d_dst,
                     const float *master, float *d_src);
/* d_master (+)= weight gradient, d_bias (+)= column sums; scale multiplies what
 * is added; accumulate false: overwritten. */
enum status
kern_conv_back_weights (struct kern_conv *c, const float *src,
                        const float *d_dst, float scale, bool accumulate,
                        float *d_master, float *d_bias);
/* Name of the implementation of a direction, for the portrait and --trace. */
const char *
kern_conv_impl (const struct kern_conv *c, enum kern_direction d);
/* What came of the table's choice: another one where that is wrong. */
enum kern_algo
kern_conv_algo (const struct kern_conv *c, enum kern_direction d);

/* -- batch normalisation --------------------------------------------------- */

/* eps 1e-5; batch statistics with biased variance (PyTorch's BatchNorm2d).
 * FUSED: own loops, which pass over memory once for statistics and once for
 * what follows from them.  The same bits for any number of threads, others than
 * the library's. */
struct kern_bn;
enum status
kern_bn_create (struct kern *k, struct kern_dims d, enum kern_layout l,
                bool relu, enum kern_bn_way way, struct kern_bn **out);
void
kern_bn_destroy (struct kern_bn **b);
/* Bytes of the mask that forward leaves for backward (0 without ReLU). */
size_t
kern_bn_mask_bytes (const struct kern_bn *b);
/* scale, shift, mean, var: [c].  mean and var are written.  dst != src.  A
 * channel with statistics that are not finite comes out as NaN throughout. */
enum status
kern_bn_forward (struct kern_bn *b, const float *src, const float *scale,
                 const float *shift, float *dst, float *mean, float *var,
                 void *mask);
/* running = 0.9 running + 0.1 batch, unbiased variance. */
void
kern_bn_running (const struct kern_bn *b, const float *mean, const float *var,
                 float *running_mean, float *running_var);
/* The end of a residual block, of FUSED ones made without ReLU: dst = max
 * (what kern_bn_forward gives + side, 0). */
void
kern_bn_join (struct kern_bn *b, const float *src, const float *scale,
              const float *shift, const float *side, float *dst, float *mean,
              float *var);
/* ... with given statistics, */
void
kern_bn_join_infer (struct kern_bn *b, const float *src, const float *scale,
                    const float *shift, const float *mean, const float *var,
                    const float *side, float *dst);
/* ... and its gradient: g = d_dst + more (NULL: 0) where dst is above 0, which
 * is also the side's; kern_bn_back of that.  d_src may be d_dst, g may be more.
 */
struct kern_bn_joined {
  const float *dst, *d_dst, *more;
  float *g;
};
void
kern_bn_join_back (struct kern_bn *b, const float *src,
                   const struct kern_bn_joined *j, const float *scale,
                   const float *mean, const float *var, float *d_src,
                   float *d_scale, float *d_shift);
/* g alone. */
void
kern_bn_join_gate (const struct kern_bn *b, const struct kern_bn_joined *j);
/* With given statistics, for evaluation. */
enum status
kern_bn_infer (struct kern_bn *b, const float *src, const float *scale,
               const float *shift, const float *mean, const float *var,
               float *dst);
/* d_src may be d_dst.  d_scale, d_shift [c] are overwritten. */
enum status
kern_bn_back (struct kern_bn *b, const float *src, const float *d_dst,
              const float *scale, const float *shift, const float *mean,
              const float *var, const void *mask, float *d_src, float *d_scale,
              float *d_shift);
/* Of kern_bn_infer, whose output is dst: d_src = scale / sqrt (var + eps) d_dst
 * where dst is above 0 (without ReLU: everywhere).  The statistics are given,
 * so no gradient goes through them.  d_src may be d_dst.  factor: room for c
 * numbers, up to a whole cache line.  Plain loops in any case. */
void
kern_bn_infer_back (const struct kern_bn *b, const float *dst,
                    const float *d_dst, const float *scale, const float *var,
                    float *factor, float *d_src);

/* -- pooling --------------------------------------------------------------- */

struct kern_pool;
enum kern_pool_kind { KERN_POOL_MAX, KERN_POOL_GLOBAL };
/* MAX: kernel, stride, pad as in PyTorch.  GLOBAL: average over h x w, result
 * [n, c] row-major plain (kernel, stride, pad ignored). */
enum status
kern_pool_create (struct kern *k, enum kern_pool_kind kind, struct kern_dims d,
                  enum kern_layout l, int kernel, int stride, int pad,
                  struct kern_pool **out);
void
kern_pool_destroy (struct kern_pool **p);
size_t
kern_pool_mask_bytes (const struct kern_pool *p);
enum status
kern_pool_forward (struct kern_pool *p, const float *src, float *dst,
                   void *mask);
enum status
kern_pool_back (struct kern_pool *p, const float *d_dst, const void *mask,
                float *d_src);

/* Means over out.h x out.w windows that cover the image: PyTorch's
 * adaptive_avg_pool2d.  Window i of a side begins at i h / out.h, rounded down,
 * and ends before (i + 1) h / out.h, rounded up; they overlap where out.h does
 * not divide h, and may repeat where it is larger.  out: n and c of d. */
void
kern_mean_forward (struct kern *k, struct kern_dims d, struct kern_dims out,
                   enum kern_layout l, const float *src, float *dst);
/* d_src is overwritten. */
void
kern_mean_back (struct kern *k, struct kern_dims d, struct kern_dims out,
                enum kern_layout l, const float *d_dst, float *d_src);

/* Images of another size, channels last, out.h x out.w: bilinear interpolation
 * that aligns corners, PyTorch's interpolate (mode='bilinear',
 * align_corners=True).  src: of layout l.  out: n and c of d. */
void
kern_bilinear_forward (struct kern *k, struct kern_dims d, struct kern_dims out,
                       enum kern_layout l, const float *src, float *dst);
/* d_src is overwritten, its padding zero. */
void
kern_bilinear_back (struct kern *k, struct kern_dims d, struct kern_dims out,
                    enum kern_layout l, const float *d_dst, float *d_src);

/* Images as plain rows [n, c h w], and back (padding becomes zero). */
void
kern_flatten (struct kern *k, struct kern_dims d, enum kern_layout l,
              const float *src, float *rows);
void
kern_unflatten (struct kern *k, struct kern_dims d, enum kern_layout l,
                const float *rows, float *dst);

/* -- linear: y [n, out] = x [n, in] W^T + b, W [out, in] row-major ----------
 */

enum status
kern_linear_forward (struct kern *k, int64_t n, int64_t in, int64_t out,
                     const float *x, const float *w, const float *bias,
                     float *y);
enum status
kern_linear_back_data (struct kern *k, int64_t n, int64_t in, int64_t out,
                       const float *d_y, const float *w, float *d_x);
enum status
kern_linear_back_weights (struct kern *k, int64_t n, int64_t in, int64_t out,
                          const float *x, const float *d_y, float scale,
                          bool accumulate, float *d_w, float *d_bias);

/* These three are by sgemm, which only runs go on with that earlier versions
 * began.  A layer whose n is known before the first step has primitives of the
 * library, all made beforehand: for n rows, for `rest` of them, and forward for
 * pieces of any other number.  Backward of another number is by plain loops.
 * Which primitive computes follows from the shape and the table alone. */
struct kern_linear;
struct kern_linear_shape {
  int64_t n, in, out;
  bool bias;       /* there will be one */
  bool learns;     /* kern_linear_run_weights will be called */
  int64_t rest;    /* below n; 0: none */
  bool primitives; /* earlier versions had some for this layer, and those of
                      16 bits may take their place */
};
/* t NULL: by rule. */
enum status
kern_linear_create (struct kern *k, const struct kern_linear_shape *shape,
                    const struct kern_tuning *t, struct kern_linear **l);
void
kern_linear_destroy (struct kern_linear **l);
/* The w of all following calls has changed: refresh private copies of it.  As
 * for kern_conv_refresh; wanted in bf16 only. */
void
kern_linear_refresh (struct kern_linear *l, const float *w);
enum status
kern_linear_run (struct kern_linear *l, int64_t rows, const float *x,
                 const float *w, const float *bias, float *y);
/* d_x is overwritten. */
enum status
kern_linear_run_data (struct kern_linear *l, int64_t rows, const float *d_y,
                      const float *w, float *d_x);
enum status
kern_linear_run_weights (struct kern_linear *l, int64_t rows, const float *x,
                         const float *d_y, bool accumulate, float *d_w,
                         float *d_bias);

/* -- tokens: rows of n x d, one behind the other ----------------------------
 */

/* LayerNorm, eps 1e-5.  y = (x - mean) rstd scale + shift; mean, rstd: [n],
 * written (NULL: not wanted).  y may be x. */
void
kern_norm_forward (struct kern *k, int64_t n, int64_t d, const float *x,
                   const float *scale, const float *shift, float *y,
                   float *mean, float *rstd);
/* d_x is overwritten; it may be d_y. */
void
kern_norm_back (struct kern *k, int64_t n, int64_t d, const float *x,
                const float *d_y, const float *scale, const float *mean,
                const float *rstd, float *d_x);
/* d_scale, d_shift [d]; accumulate false: overwritten. */
void
kern_norm_back_weights (struct kern *k, int64_t n, int64_t d, const float *x,
                        const float *d_y, const float *mean, const float *rstd,
                        bool accumulate, float *d_scale, float *d_shift);

/* RMSNorm, eps 1e-5, of pieces of d numbers: of each of n rows, ld apart, the
 * first `pieces`, one behind the other.  y = x rstd scale [d], rstd = 1 / sqrt
 * (mean of x^2 + eps), [n, pieces], written (NULL: not wanted).  What is behind
 * the pieces is not touched.  y may be x. */
struct kern_rms {
  int64_t n, pieces, d, ld;
};
void
kern_rms_forward (struct kern *k, const struct kern_rms *r, const float *x,
                  const float *scale, float *y, float *rstd);
/* d_x is overwritten where the pieces are; it may be d_y. */
void
kern_rms_back (struct kern *k, const struct kern_rms *r, const float *x,
               const float *d_y, const float *scale, const float *rstd,
               float *d_x);
/* d_scale [d], the sum over all pieces; accumulate false: overwritten. */
void
kern_rms_back_weights (struct kern *k, const struct kern_rms *r, const float *x,
                       const float *d_y, const float *rstd, bool accumulate,
                       float *d_scale);

/* Normalisation without parameters, eps 1e-5.  rstd = 1 / sqrt (mean of
 * (x - m)^2 + eps), y = (x - m) rstd; m: the mean of the row where `centred`,
 * else 0.  rstd [n] is written (NULL: not wanted).  y may be x. */
void
kern_norm_bare (struct kern *k, int64_t n, int64_t d, bool centred,
                const float *x, float *y, float *rstd);
/* From y as it came out.  d_x is overwritten; it may be d_y. */
void
kern_norm_bare_back (struct kern *k, int64_t n, int64_t d, bool centred,
                     const float *y, const float *d_y, const float *rstd,
                     float *d_x);

/* GELU in tanh form.  Results may lie over an input. */
void
kern_gelu (struct kern *k, size_t n, const float *x, float *y);
void
kern_gelu_back (struct kern *k, size_t n, const float *x, const float *d_y,
                float *d_x);

/* SwiGLU: of rows x [n, 2 d], a gate and what it lets through, y [n, d] = gate
 * sigmoid (gate) up. */
void
kern_swiglu (struct kern *k, int64_t n, int64_t d, const float *x, float *y);
/* d_x [n, 2 d] is overwritten; it may be x. */
void
kern_swiglu_back (struct kern *k, int64_t n, int64_t d, const float *x,
                  const float *d_y, float *d_x);

/* Rotary positions: of each of n rows, ld apart, the first `heads` pieces of
 * `width` numbers are turned by the angles of position (first + i) mod t; pair
 * j, of numbers j and j + width / 2, by position x 10000^(-2 j / width).  back:
 * the other way, which is the gradient.  What is behind the heads is not
 * touched.  y may be x. */
struct kern_rope {
  int64_t n, t, first, heads, width, ld;
};
/* Cosines and sines for t positions, width even; borrowed for the kern's life,
 * made before the first step. */
enum status
kern_rope_angles (struct kern *k, int64_t t, int64_t width, const float **out);
void
kern_rope (struct kern *k, const struct kern_rope *r, const float *angles,
           bool back, const float *x, float *y);

/* y[i] = table[token[i]] + place[(first + i) mod t], rows of d; place NULL: the
 * table alone. */
void
kern_embed (struct kern *k, int64_t n, int64_t d, int64_t t, int64_t first,
            const int32_t *token, const float *table, const float *place,
            float *y);
/* Add d_y [n, d] to the rows of d_table that the tokens name, and to d_place
 * [t, d] (row i mod t; NULL: not wanted), in the order of i whatever the
 * threads. */
void
kern_embed_back (struct kern *k, int64_t n, int64_t d, int64_t t,
                 const int32_t *token, const float *d_y, float *d_table,
                 float *d_place);

/* y[i] = x[index[i]] for n rows of d; and back: d_x (rows rows) is zero but for
 * d_x[index[i]] = d_y[i].  index ascends. */
void
kern_rows_take (struct kern *k, int64_t n, int64_t d, const int64_t *index,
                const float *x, float *y);
void
kern_rows_put (struct kern *k, int64_t n, int64_t rows, int64_t d,
               const int64_t *index, const float *d_y, float *d_x);

/* Which numbers are dropped follows from (seed, site, step, sample, index)
 * alone; the others are multiplied by 1 / (1 - p), with p rounded to 1 / 65536.
 * The same call serves backward. */
struct kern_drop {
  float p; /* 0: nothing is dropped */
  uint64_t seed, site;
  int64_t step, first_sample;
};
/* x, y: samples x n numbers; y may be x. */
void
kern_dropout (struct kern *k, const struct kern_drop *d, int64_t samples,
              int64_t n, const float *x, float *y);

/* Causal attention of `heads` heads of width `width` (D = heads x width), scale
 * 1 / sqrt (width).  qkv [batch, t, D + 2 E]: queries, keys, values, each by
 * heads in order.  Keys and values have kv_heads heads (0: as many), E =
 * kv_heads x width: so many queries in a row use one of them.  o [batch, t, D];
 * lse [batch, heads, t]: log of the sums, for
 * backward.  In tiles with a running softmax: memory grows with t.  drop: of
 * the probabilities; NULL or p = 0: none. */
struct kern_attention {
  int64_t batch, t, heads, width;
  int64_t kv_heads; /* divides heads */
  bool by_sgemm;    /* tiles as earlier versions multiplied them */
};
/* Ask for the scratch of these calls, and with by_sgemm whether the library's
 * products in them are right; before kern_seal. */
enum status
kern_attention_want (struct kern *k, const struct kern_attention *a);
enum status
kern_attention_forward (struct kern *k, const struct kern_attention *a,
                        const struct kern_drop *drop, const float *qkv,
                        float *o, float *lse);
/* d_qkv is overwritten. */
enum status
kern_attention_back (struct kern *k, const struct kern_attention *a,
                     const struct kern_drop *drop, const float *qkv,
                     const float *o, const float *lse, const float *d_o,
                     float *d_qkv);
/* Positions at .. at + n - 1 of one sequence: their keys and values go to cache
 * [t, 2 E], and o [n, D] looks back over all of it.  batch is not used. */
void
kern_attention_decode (struct kern *k, const struct kern_attention *a,
                       int64_t at, int64_t n, const float *qkv, float *cache,
                       float *o);

/* -- loss ------------------------------------------------------------------ */

/* What rows are compared with: labels [n], 0 .. classes - 1 (negative: the row
 * does not count, gradient 0).  smoothing e, 0 <= e < 1: the target is 1 - e at
 * the label and e / classes at every class (PyTorch's CrossEntropyLoss with
 * label_smoothing).  scale: of the gradient. */
struct kern_target {
  const int32_t *labels;
  float scale, smoothing;
};
/* Softmax and cross-entropy of logits [n, classes] against the target.
 * *loss: sum over the rows in row order, double.  *correct: rows whose largest
 * logit is the label (first of equals).  d_logits (may be NULL):
 * scale x (softmax - target); may be logits.  fault_here ("loss") makes the
 * loss NaN. */
enum status
kern_loss (struct kern *k, int64_t n, int64_t classes, const float *logits,
           const struct kern_target *target, double *loss, int64_t *correct,
           float *d_logits);

/* Images that are to be made again: x plain, normalised by mean and std [c]
 * (NULL: 0 and 1) of values 0 .. 1.  scale: of a sample's gradient. */
struct kern_picture {
  const float *x;
  const double *mean, *std;
  float scale;
};
/* Binary cross-entropy of sigmoid (z), z [n, h, w, c], against those values.
 * *loss: the sum over samples of the mean over channels and pixels.  d_z (may
 * be NULL; may be z): scale x its gradient. */
void
kern_picture_loss (struct kern *k, struct kern_dims d, const float *z,
                   const struct kern_picture *p, double *loss, float *d_z);

/* -- loops over blocks ----------------------------------------------------- */

/* Results may lie over an input exactly, never shifted (kern_combine: over x[0]
 * only).  NaN and infinity go through; the same bits for any number of
 * threads. */

void
kern_add_relu (struct kern *k, size_t n, const float *a, const float *b,
               float *y); /* y = max (a + b, 0) */
void
kern_relu (struct kern *k, size_t n, const float *x, float *y);
void
kern_relu_back (struct kern *k, size_t n, const float *d_y, const float *y,
                float *d_x); /* d_y where y > 0 */
void
kern_add_gate (struct kern *k, size_t n, const float *x, const float *gate,
               float *y); /* y += x where gate > 0, else y = 0 */
void
kern_axpy (struct kern *k, size_t n, float a, const float *x,
           float *y); /* y += a x */
/* y = sum a[i] x[i], m terms, in order. */
void
kern_combine (struct kern *k, size_t n, int m, const float *const *x,
              const float *a, float *y);
void
kern_zero (struct kern *k, size_t n, float *x);
/* Sum of squares in double; the same bits for any number of threads. */
double
kern_sum_squares (struct kern *k, size_t n, const float *x);
/* Sum of x[i] y[i] in double; the same bits for any number of threads. */
double
kern_dot (struct kern *k, size_t n, const float *x, const float *y);

struct kern_sgd {
  float lr, momentum, weight_decay;
  bool nesterov, first; /* first: v = g */
  float grad_scale;     /* clipping; 1 = none */
};
/* PyTorch's SGD on a block of n. */
void
kern_sgd (struct kern *k, size_t n, const struct kern_sgd *o, float *w,
          const float *g, float *v);
struct kern_adamw {
  float lr, beta1, beta2, eps, weight_decay;
  int64_t step; /* counts from 1 */
  float grad_scale;
};
void
kern_adamw (struct kern *k, size_t n, const struct kern_adamw *o, float *w,
            const float *g, float *m, float *v);

#endif
