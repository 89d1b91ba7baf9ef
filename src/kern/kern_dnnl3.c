/* kern/kern_dnnl3.c -- oneDNN 3.x: a primitive descriptor is made in one call,
 * and memory descriptors are opaque.
 *
 * Compiled when the library found is of that generation; see kern_dnnl2.c.
 */
#include "kern/kern_dnnl_impl.h"

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t
kern_lib_md (int n_dims, const int64_t *dims, dnnl_format_tag_t tag,
             kern_md *out)
{
  return kern_lib_md_of (n_dims, dims, dnnl_f32, tag, out);
}

dnnl_status_t
kern_lib_md_of (int n_dims, const int64_t *dims, dnnl_data_type_t type,
                dnnl_format_tag_t tag, kern_md *out)
{
  return dnnl_memory_desc_create_with_tag (out, n_dims, dims, type, tag);
}

dnnl_status_t
kern_lib_md_strides (int n_dims, const int64_t *dims, const int64_t *strides,
                     kern_md *out)
{
  return dnnl_memory_desc_create_with_strides (out, n_dims, dims, dnnl_f32,
                                               strides);
}

void
kern_lib_md_free (kern_md *md)
{
  if (*md != NULL)
    dnnl_memory_desc_destroy (*md);
  *md = NULL;
}

dnnl_status_t
kern_lib_append_sum (dnnl_post_ops_t ops)
{
  return dnnl_post_ops_append_sum (ops, 1, 0, dnnl_data_type_undef);
}

dnnl_status_t
kern_lib_repeat (dnnl_primitive_attr_t attr)
{
#if DNNL_VERSION_MAJOR > 3 || DNNL_VERSION_MINOR >= 5
  return dnnl_primitive_attr_set_deterministic (attr, 1);
#else
  (void)attr;
  return dnnl_success;
#endif
}

#define LEVEL(name)                      \
  {                                      \
#name, (unsigned)dnnl_cpu_isa_##name \
  }

const struct kern_lib_isa *
kern_lib_isa (void)
{
  static const struct kern_lib_isa levels[] = {LEVEL (sse41),
                                               LEVEL (avx),
                                               LEVEL (avx2),
                                               LEVEL (avx2_vnni),
                                               LEVEL (avx2_vnni_2),
                                               LEVEL (avx512_core),
                                               LEVEL (avx512_core_vnni),
                                               LEVEL (avx512_core_bf16),
                                               LEVEL (avx512_core_fp16),
                                               LEVEL (avx512_core_amx),
                                               LEVEL (avx512_core_amx_fp16),
                                               {NULL, 0}};
  return levels;
}

dnnl_status_t
kern_lib_conv (dnnl_engine_t engine, const struct kern_lib_conv *c,
               const_dnnl_primitive_desc_t hint,
               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_dims_t stride = {c->stride, c->stride}, pad = {c->pad, c->pad};
  dnnl_dims_t dense = {0, 0};
  switch (c->direction) {
  case KERN_FORWARD:
    return dnnl_convolution_forward_primitive_desc_create (
        out, engine, dnnl_forward_training, c->algo, c->src, c->weights,
        c->bias, c->dst, stride, dense, pad, pad, attr);
  case KERN_BACK_DATA:
    return dnnl_convolution_backward_data_primitive_desc_create (
        out, engine, c->algo, c->src, c->weights, c->dst, stride, dense, pad,
        pad, hint, attr);
  case KERN_BACK_WEIGHTS:
    return dnnl_convolution_backward_weights_primitive_desc_create (
        out, engine, c->algo, c->src, c->weights, c->bias, c->dst, stride,
        dense, pad, pad, hint, attr);
  }
  return dnnl_invalid_arguments;
}

dnnl_status_t
kern_lib_bn (dnnl_engine_t engine, enum kern_lib_pass pass, kern_const_md data,
             float eps, bool relu, const_dnnl_primitive_desc_t hint,
             const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  unsigned flags = dnnl_use_scale | dnnl_use_shift;
  if (relu)
    flags |= dnnl_fuse_norm_relu;
  if (pass == KERN_PASS_INFER)
    flags |= dnnl_use_global_stats;
  if (pass == KERN_PASS_BACK)
    return dnnl_batch_normalization_backward_primitive_desc_create (
        out, engine, dnnl_backward, data, data, data, eps, flags, hint, attr);
  return dnnl_batch_normalization_forward_primitive_desc_create (
      out, engine,
      pass == KERN_PASS_TRAIN ? dnnl_forward_training : dnnl_forward_inference,
      data, data, eps, flags, attr);
}

bool
kern_lib_bn_back_shift (void)
{
  return false;
}

dnnl_status_t
kern_lib_pool (dnnl_engine_t engine, enum kern_lib_pass pass,
               const struct kern_lib_pool *p, const_dnnl_primitive_desc_t hint,
               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_dims_t stride = {p->stride, p->stride}, pad = {p->pad, p->pad};
  dnnl_dims_t kernel = {p->kernel, p->kernel}, dense = {0, 0};
  if (pass == KERN_PASS_BACK)
    return dnnl_pooling_backward_primitive_desc_create (
        out, engine, dnnl_pooling_max, p->src, p->dst, stride, kernel, dense,
        pad, pad, hint, attr);
  return dnnl_pooling_forward_primitive_desc_create (
      out, engine, dnnl_forward_training, dnnl_pooling_max, p->src, p->dst,
      stride, kernel, dense, pad, pad, attr);
}

dnnl_status_t
kern_lib_matmul (dnnl_engine_t engine, const struct kern_lib_matmul *m,
                 const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_status_t s = dnnl_matmul_primitive_desc_create (
      out, engine, m->src, m->weights, m->bias, m->dst, attr);
  while (s == dnnl_success && !kern_lib_is (*out, m->impl)) {
    if (dnnl_primitive_desc_next_impl (*out) == dnnl_success)
      continue;
    dnnl_primitive_desc_destroy (*out);
    *out = NULL;
    return dnnl_unimplemented;
  }
  return s;
}

#endif
