/* kern/kern_impl.h -- what the files of kern share.
 *
 * A kern_op is one primitive with its memory objects: made once, then run with
 * addresses only.  Nothing here depends on the generation of the library.
 */
#ifndef KERN_KERN_IMPL_H
#define KERN_KERN_IMPL_H

#include "base/memory.h"
#include "kern/kern.h"
#include "kern/kern_dnnl_impl.h"
#include <string.h>

struct kern {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_attr_t attr, attr_add; /* of results that are set, added */
  int threads;
  enum kern_precision precision;
  int block;            /* channels of KERN_BLOCKED: 16 or 8 */
  size_t scratch_bytes; /* the largest scratchpad asked for so far */
  size_t side_bytes;    /* the largest side buffer asked for so far */
  size_t side_offset;   /* where the side buffer begins in slab; set by seal */
  struct arena slab;    /* scratchpad, then side buffer; open after kern_seal */
  size_t room_bytes;    /* the most asked for by kern_room_want so far */
  struct arena room;
  char isa[32];  /* "avx512_core" */
  bool proving;  /* what runs now is a proof */
  bool distrust; /* planted: no kernel of the library is believed */
  struct kern_verdicts *verdicts; /* owned; see prove_impl.h */
  struct kern_angles *angles;     /* owned list; see rope.c */
  char describe[80];
};

/* -- dropout ----------------------------------------------------------------
 */

/* Numbers first .. first + n - 1 of a sample; first is a multiple of
 * KERN_DROP_BLOCK, the numbers that one block of random words serves. */
#define KERN_DROP_BLOCK 8
#define KERN_DROP_WORDS 1024
void
kern_drop_some (const struct kern_drop *d, int64_t sample, int64_t first,
                int64_t n, const float *x, float *y);
/* 16-bit words below this drop their number; 0: none (also of NULL). */
uint32_t
kern_drop_least (const struct kern_drop *d);

/* The tables of kern_rope_angles go. */
void
kern_angles_clear (struct kern *k);

/* -- operations -------------------------------------------------------------
 */

#define KERN_OP_ARGS 12

struct kern_op {
  dnnl_primitive_t primitive; /* NULL: not made */
  dnnl_primitive_desc_t desc;
  dnnl_primitive_desc_t hint;         /* kept as long as desc; NULL when none */
  dnnl_exec_arg_t args[KERN_OP_ARGS]; /* args[0]: the scratchpad */
  int n_args;
  size_t scratch_bytes;
  char what[128]; /* primitive and shape, for messages */
  char impl[48];  /* the library's name of the implementation */
};

/* Make the primitive of desc, with a memory object for each of the n argument
 * numbers in args.  Takes desc and hint (NULL: none), also on failure, when op
 * is left cleared. */
enum status
kern_op_init (struct kern *k, dnnl_primitive_desc_t desc,
              dnnl_primitive_desc_t hint, const char *what, int n,
              const int *args, struct kern_op *op);
/* Make the op that reorders from one descriptor to another. */
enum status
kern_op_reorder (struct kern *k, kern_const_md from, kern_const_md to,
                 const char *what, struct kern_op *op);
void
kern_op_clear (struct kern_op *op);
/* Run on the n addresses, in the order of the arguments of init. */
enum status
kern_op_run (struct kern *k, struct kern_op *op, const void *const *data);
/* The descriptor of an argument; borrowed from op. */
kern_const_md
kern_op_md (const struct kern_op *op, int arg);

/* Turn a status of the library into words. */
enum status
kern_lib_failed (dnnl_status_t s, const char *doing, const char *what);
/* The descriptor of an image tensor. */
dnnl_status_t
kern_md_images (const struct kern *k, struct kern_dims d, enum kern_layout l,
                kern_md *out);

/* Ask for bytes of side buffer; the buffer itself, after kern_seal.  Whoever
 * uses it does so within one call. */
void
kern_side_want (struct kern *k, size_t bytes);
float *
kern_side (struct kern *k);
/* Forget wishes and slab: for objects that live only for a measurement. */
struct kern_wishes {
  size_t scratch_bytes, side_bytes, room_bytes;
  bool sealed;
};
struct kern_wishes
kern_wishes_save (const struct kern *k);
enum status
kern_wishes_restore (struct kern *k, struct kern_wishes w);

/* "conv n=128 c=64 h=32 w=32 out=64 kernel=3 stride=1 pad=1 src=blocked
 * dst=blocked" */
#define KERN_SHAPE_TEXT 160
void
kern_conv_text (const struct kern_conv_shape *s, char out[KERN_SHAPE_TEXT]);

/* A convolution with given algorithms, of the directions in `wanted` (bit d);
 * forward is always made.  Fails with E_UNSUPPORTED when the library does not
 * offer an algorithm. */
enum status
kern_conv_create_as (struct kern *k, const struct kern_conv_shape *s,
                     const enum kern_algo algo[3], unsigned wanted,
                     struct kern_conv **out);

/* -- own loops --------------------------------------------------------------
 */

/* Elements in the unit of work that threads share out: results do not depend
 * on the number of threads because the units do not. */
#define KERN_CHUNK 4096
/* Below this many elements one thread is faster than a team. */
#define KERN_ALONE 32768

/* Run `call` for every unit: it may use `at`, the first element, and `m`, the
 * count. */
#define KERN_PRAGMA(...) _Pragma (#__VA_ARGS__)
#define KERN_UNITS(k, n, call)                                           \
  do {                                                                   \
    size_t n_ = (n);                                                     \
    int threads_ = (k)->threads;                                         \
    KERN_PRAGMA (omp parallel for schedule(static) num_threads(threads_)       \
            if (n_ > KERN_ALONE))                                        \
    for (size_t at = 0; at < n_; at += KERN_CHUNK) {                     \
      size_t m = n_ - at < KERN_CHUNK ? n_ - at : KERN_CHUNK;            \
      call;                                                              \
    }                                                                    \
  } while (0)

/* Compile a loop for several instruction sets and pick at load time.  Not under
 * sanitizers, whose start-up comes later than the choice.
 *
 * All of them give the same bits, so that ranks on unlike processors may share
 * a pipe and a limit (kern_isa_limit) needs not reach here: the room is
 * compiled without contracting products and sums to one rounding, and sums go
 * by KERN_SUM.  KERN_LEVEL: one set alone, for the test that holds this. */
#if defined(KERN_LEVEL) && defined(__x86_64__)
#define KERN_CLONES __attribute__ ((noinline, target (KERN_LEVEL)))
#elif defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&   \
    !defined(KERN_NO_CLONES)
#define KERN_CLONES \
  __attribute__ ((noinline, target_clones ("avx512f", "avx2", "default")))
#else
#define KERN_CLONES __attribute__ ((noinline))
#endif

/* sum = the sum of `term`, an expression in i, for i from 0 to n - 1, in the
 * arithmetic of `type`.  KERN_LANES sums side by side, however wide vectors
 * are, are folded in halves: the order of additions is that of the source. */
#define KERN_LANES 16
#define KERN_SUM(type, n, term, sum)                                    \
  do {                                                                  \
    type lane_[KERN_LANES] = {0}, fold_[KERN_LANES];                    \
    const int64_t n_ = (int64_t)(n);                                    \
    int64_t at_ = 0;                                                    \
    for (; at_ + KERN_LANES <= n_; at_ += KERN_LANES)                   \
      KERN_PRAGMA (omp simd)                                            \
    for (int64_t j_ = 0; j_ < KERN_LANES; j_++) {                       \
      const int64_t i = at_ + j_;                                       \
      lane_[j_] += (term);                                              \
    }                                                                   \
    memcpy (fold_, lane_, sizeof fold_); /* lane_ stays in registers */ \
    for (int64_t i = at_; i < n_; i++)                                  \
      fold_[i - at_] += (term);                                         \
    for (int half_ = KERN_LANES / 2; half_ > 0; half_ /= 2)             \
      for (int j_ = 0; j_ < half_; j_++)                                \
        fold_[j_] += fold_[j_ + half_];                                 \
    (sum) = fold_[0];                                                   \
  } while (0)

/* e^t for t <= 0, for use in loops that become vectors; NaN stays NaN.  Our
 * own, so that the bits do not change with the C library.  e^t = 2^n e^r with n
 * the integer nearest to t / log 2 and |r| <= log 2 / 2, where seven terms of
 * the series are exact to 1e-8.  Below 2^-126.5, n is -127 and the bits of the
 * power are those of 0.  The caller raises t to KERN_EXP_LEAST in a loop of its
 * own: a choice in the middle keeps the compiler from making vectors. */
#define KERN_EXP_LEAST -87.9f
__attribute__ ((always_inline)) static inline float
kern_exp (float t)
{
  int32_t k = (int32_t)(t * 1.44269504f - 0.5f);
  float r = t - (float)k * 0.693359375f;
  r += (float)k * 2.12194440e-4f;
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t bits = (k + 127) * (1 << 23);
  float power;
  memcpy (&power, &bits, sizeof power);
  return p * power;
}

#endif
