/* tests/bench/onednn.h -- single oneDNN primitives on addresses, as somebody
 * would call them who has nothing but the library.
 *
 * Products, LayerNorm, softmax, GELU and sums of two tensors; both generations
 * of the library.  Header only, for tests/bench/language.h.
 */
#ifndef TESTS_BENCH_ONEDNN_H
#define TESTS_BENCH_ONEDNN_H

#include "kern/kern_impl.h"
#include "tests/bench/rounds.h"

enum one_kind {
  ONE_MATMUL,
  ONE_NORM_FORWARD,
  ONE_NORM_BACK,
  ONE_SOFTMAX_FORWARD,
  ONE_SOFTMAX_BACK,
  ONE_GELU_FORWARD,
  ONE_GELU_BACK,
  ONE_ADD,
  ONE_KINDS
};

/* Their arguments: sources, then results. */
struct one_about {
  int n, n_results;
  int arg[9];
};
static const struct one_about one_about[ONE_KINDS] = {
    [ONE_MATMUL] = {3, 1, {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}},
    [ONE_NORM_FORWARD] = {6,
                          3,
                          {DNNL_ARG_SRC, DNNL_ARG_SCALE, DNNL_ARG_SHIFT,
                           DNNL_ARG_MEAN, DNNL_ARG_VARIANCE, DNNL_ARG_DST}},
    [ONE_NORM_BACK] = {9,
                       3,
                       {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_MEAN,
                        DNNL_ARG_VARIANCE, DNNL_ARG_SCALE, DNNL_ARG_SHIFT,
                        DNNL_ARG_DIFF_SCALE, DNNL_ARG_DIFF_SHIFT,
                        DNNL_ARG_DIFF_SRC}},
    [ONE_SOFTMAX_FORWARD] = {2, 1, {DNNL_ARG_SRC, DNNL_ARG_DST}},
    [ONE_SOFTMAX_BACK] = {3,
                          1,
                          {DNNL_ARG_DST, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC}},
    [ONE_GELU_FORWARD] = {2, 1, {DNNL_ARG_SRC, DNNL_ARG_DST}},
    [ONE_GELU_BACK] = {3,
                       1,
                       {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_SRC}},
    [ONE_ADD] = {3, 1, {DNNL_ARG_SRC_0, DNNL_ARG_SRC_1, DNNL_ARG_DST}},
};

/* Rows of numbers, plain. */
BENCH_FN dnnl_status_t
one_rows (int64_t n, int64_t d, kern_md *out)
{
  const int64_t dims[] = {n, d};
  return kern_lib_md (2, dims, dnnl_ab, out);
}

#if DNNL_VERSION_MAJOR < 3
BENCH_FN dnnl_status_t
one_norm (struct kern *k, enum one_kind kind, kern_md x, kern_md stat,
          dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  const unsigned flags = dnnl_use_scale | dnnl_use_shift;
  dnnl_layer_normalization_desc_t d;
  dnnl_status_t s = kind == ONE_NORM_BACK
                        ? dnnl_layer_normalization_backward_desc_init (
                              &d, dnnl_backward, x, x, stat, 1e-5f, flags)
                        : dnnl_layer_normalization_forward_desc_init (
                              &d, dnnl_forward_training, x, stat, 1e-5f, flags);
  return s ? s : dnnl_primitive_desc_create (out, &d, k->attr, k->engine, hint);
}

BENCH_FN dnnl_status_t
one_softmax (struct kern *k, enum one_kind kind, kern_md x,
             dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  dnnl_softmax_v2_desc_t d;
  dnnl_status_t s =
      kind == ONE_SOFTMAX_BACK
          ? dnnl_softmax_v2_backward_desc_init (&d, dnnl_softmax_accurate, x, x,
                                                x, 1)
          : dnnl_softmax_v2_forward_desc_init (&d, dnnl_forward_training,
                                               dnnl_softmax_accurate, x, x, 1);
  return s ? s : dnnl_primitive_desc_create (out, &d, k->attr, k->engine, hint);
}

BENCH_FN dnnl_status_t
one_gelu (struct kern *k, enum one_kind kind, kern_md x,
          dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  dnnl_eltwise_desc_t d;
  dnnl_status_t s =
      kind == ONE_GELU_BACK
          ? dnnl_eltwise_backward_desc_init (&d, dnnl_eltwise_gelu_tanh, x, x,
                                             0, 0)
          : dnnl_eltwise_forward_desc_init (&d, dnnl_forward_training,
                                            dnnl_eltwise_gelu_tanh, x, 0, 0);
  return s ? s : dnnl_primitive_desc_create (out, &d, k->attr, k->engine, hint);
}

BENCH_FN dnnl_status_t
one_add (struct kern *k, kern_md x, dnnl_primitive_desc_t *out)
{
  dnnl_binary_desc_t d;
  dnnl_status_t s = dnnl_binary_desc_init (&d, dnnl_binary_add, x, x, x);
  return s ? s : dnnl_primitive_desc_create (out, &d, k->attr, k->engine, NULL);
}
#else
BENCH_FN dnnl_status_t
one_norm (struct kern *k, enum one_kind kind, kern_md x, kern_md stat,
          dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  const unsigned flags = dnnl_use_scale | dnnl_use_shift;
  if (kind == ONE_NORM_BACK)
    return dnnl_layer_normalization_backward_primitive_desc_create (
        out, k->engine, dnnl_backward, x, x, x, stat, 1e-5f, flags, hint,
        k->attr);
  return dnnl_layer_normalization_forward_primitive_desc_create (
      out, k->engine, dnnl_forward_training, x, x, stat, 1e-5f, flags, k->attr);
}

BENCH_FN dnnl_status_t
one_softmax (struct kern *k, enum one_kind kind, kern_md x,
             dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  if (kind == ONE_SOFTMAX_BACK)
    return dnnl_softmax_backward_primitive_desc_create (
        out, k->engine, dnnl_softmax_accurate, x, x, x, 1, hint, k->attr);
  return dnnl_softmax_forward_primitive_desc_create (
      out, k->engine, dnnl_forward_training, dnnl_softmax_accurate, x, x, 1,
      k->attr);
}

BENCH_FN dnnl_status_t
one_gelu (struct kern *k, enum one_kind kind, kern_md x,
          dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  if (kind == ONE_GELU_BACK)
    return dnnl_eltwise_backward_primitive_desc_create (
        out, k->engine, dnnl_eltwise_gelu_tanh, x, x, x, 0, 0, hint, k->attr);
  return dnnl_eltwise_forward_primitive_desc_create (
      out, k->engine, dnnl_forward_training, dnnl_eltwise_gelu_tanh, x, x, 0, 0,
      k->attr);
}

BENCH_FN dnnl_status_t
one_add (struct kern *k, kern_md x, dnnl_primitive_desc_t *out)
{
  return dnnl_binary_primitive_desc_create (out, k->engine, dnnl_binary_add, x,
                                            x, x, k->attr);
}
#endif

BENCH_FN dnnl_status_t
one_desc (struct kern *k, enum one_kind kind, kern_md x, kern_md stat,
          dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *out)
{
  switch (kind) {
  case ONE_NORM_FORWARD:
  case ONE_NORM_BACK:
    return one_norm (k, kind, x, stat, hint, out);
  case ONE_SOFTMAX_FORWARD:
  case ONE_SOFTMAX_BACK:
    return one_softmax (k, kind, x, hint, out);
  case ONE_GELU_FORWARD:
  case ONE_GELU_BACK:
    return one_gelu (k, kind, x, hint, out);
  case ONE_ADD:
    return one_add (k, x, out);
  case ONE_MATMUL:
  case ONE_KINDS:
    break;
  }
  return dnnl_invalid_arguments;
}

/* A primitive over n rows of d numbers. */
BENCH_FN enum status
one_make (struct kern *k, enum one_kind kind, int64_t n, int64_t d,
          struct kern_op *op)
{
  const struct one_about *about = &one_about[kind];
  const bool back = kind == ONE_NORM_BACK || kind == ONE_SOFTMAX_BACK ||
                    kind == ONE_GELU_BACK;
  kern_md x = NULL, stat = NULL;
  dnnl_primitive_desc_t hint = NULL, desc = NULL;
  dnnl_status_t s = one_rows (n, d, &x);
  if (s == dnnl_success)
    s = kern_lib_md (1, &n, dnnl_a, &stat);
  if (s == dnnl_success && back)
    s = one_desc (k, (enum one_kind) (kind - 1), x, stat, NULL, &hint);
  if (s == dnnl_success)
    s = one_desc (k, kind, x, stat, hint, &desc);
  kern_lib_md_free (&x);
  kern_lib_md_free (&stat);
  if (s != dnnl_success)
    return kern_lib_failed (s, "making", "a primitive of the sum");
  return kern_op_init (k, desc, hint, "primitive of the sum", about->n,
                       about->arg, op);
}

/* A matrix among others: `many` matrices, from each to the next `step` numbers
 * along two dimensions (samples and heads), its rows and columns `row` and
 * `column` numbers apart. */
struct one_matrix {
  int64_t rows, columns, row, column, step[2];
};

BENCH_FN dnnl_status_t
one_md (const struct one_matrix *m, const int64_t many[2], kern_md *out)
{
  const int64_t dims[] = {many[0], many[1], m->rows, m->columns};
  const int64_t strides[] = {m->step[0], m->step[1], m->row, m->column};
  return many[0] == 0 ? kern_lib_md_strides (2, dims + 2, strides + 2, out)
                      : kern_lib_md_strides (4, dims, strides, out);
}

/* c = a b; many {0, 0}: single matrices. */
BENCH_FN enum status
one_matmul (struct kern *k, const struct one_matrix abc[3],
            const int64_t many[2], struct kern_op *op)
{
  const struct one_about *about = &one_about[ONE_MATMUL];
  kern_md md[3] = {NULL, NULL, NULL};
  dnnl_primitive_desc_t desc = NULL;
  dnnl_status_t s = dnnl_success;
  for (int i = 0; i < 3 && s == dnnl_success; i++)
    s = one_md (&abc[i], many, &md[i]);
  struct kern_lib_matmul m = {.src = md[0], .weights = md[1], .dst = md[2]};
  if (s == dnnl_success)
    s = kern_lib_matmul (k->engine, &m, k->attr, &desc);
  for (int i = 0; i < 3; i++)
    kern_lib_md_free (&md[i]);
  if (s != dnnl_success)
    return kern_lib_failed (s, "making", "a product of the sum");
  return kern_op_init (k, desc, NULL, "product of the sum", about->n,
                       about->arg, op);
}

#endif
