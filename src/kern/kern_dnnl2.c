/* kern/kern_dnnl2.c -- oneDNN 2.x: an operation descriptor is filled first, and
 * memory descriptors are plain structures.
 *
 * Compiled when the library found is of that generation; see kern_dnnl3.c.
 */
#include "kern/kern_dnnl_impl.h"
#include "base/memory.h"

#if DNNL_VERSION_MAJOR < 3

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
  kern_md md = NULL;
  if (MEM_NEW (1, &md, "memory descriptor") != OK)
    return dnnl_out_of_memory;
  dnnl_status_t s = dnnl_memory_desc_init_by_tag (md, n_dims, dims, type, tag);
  if (s != dnnl_success)
    mem_free (&md);
  else
    *out = md;
  return s;
}

dnnl_status_t
kern_lib_md_strides (int n_dims, const int64_t *dims, const int64_t *strides,
                     kern_md *out)
{
  kern_md md = NULL;
  if (MEM_NEW (1, &md, "memory descriptor") != OK)
    return dnnl_out_of_memory;
  dnnl_status_t s =
      dnnl_memory_desc_init_by_strides (md, n_dims, dims, dnnl_f32, strides);
  if (s != dnnl_success)
    mem_free (&md);
  else
    *out = md;
  return s;
}

void
kern_lib_md_free (kern_md *md)
{
  mem_free (md);
}

dnnl_status_t
kern_lib_append_sum (dnnl_post_ops_t ops)
{
  return dnnl_post_ops_append_sum (ops, 1);
}

dnnl_status_t
kern_lib_repeat (dnnl_primitive_attr_t attr)
{
  (void)attr;
  return dnnl_success;
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
                                               LEVEL (avx512_mic),
                                               LEVEL (avx512_mic_4ops),
                                               LEVEL (avx512_core),
                                               LEVEL (avx512_core_vnni),
                                               LEVEL (avx512_core_bf16),
                                               LEVEL (avx512_core_amx),
                                               {NULL, 0}};
  return levels;
}

static dnnl_status_t
conv_fill (const struct kern_lib_conv *c, dnnl_convolution_desc_t *d)
{
  dnnl_dims_t stride = {c->stride, c->stride}, pad = {c->pad, c->pad};
  dnnl_dims_t dense = {0, 0};
  switch (c->direction) {
  case KERN_FORWARD:
    return dnnl_dilated_convolution_forward_desc_init (
        d, dnnl_forward_training, c->algo, c->src, c->weights, c->bias, c->dst,
        stride, dense, pad, pad);
  case KERN_BACK_DATA:
    return dnnl_dilated_convolution_backward_data_desc_init (
        d, c->algo, c->src, c->weights, c->dst, stride, dense, pad, pad);
  case KERN_BACK_WEIGHTS:
    return dnnl_dilated_convolution_backward_weights_desc_init (
        d, c->algo, c->src, c->weights, c->bias, c->dst, stride, dense, pad,
        pad);
  }
  return dnnl_invalid_arguments;
}

dnnl_status_t
kern_lib_conv (dnnl_engine_t engine, const struct kern_lib_conv *c,
               const_dnnl_primitive_desc_t hint,
               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_convolution_desc_t d;
  dnnl_status_t s = conv_fill (c, &d);
  if (s != dnnl_success)
    return s;
  return dnnl_primitive_desc_create (out, &d, attr, engine, hint);
}

dnnl_status_t
kern_lib_bn (dnnl_engine_t engine, enum kern_lib_pass pass, kern_const_md data,
             float eps, bool relu, const_dnnl_primitive_desc_t hint,
             const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_batch_normalization_desc_t d;
  unsigned flags = dnnl_use_scale | dnnl_use_shift;
  if (relu)
    flags |= dnnl_fuse_norm_relu;
  if (pass == KERN_PASS_INFER)
    flags |= dnnl_use_global_stats;
  dnnl_status_t s;
  if (pass == KERN_PASS_BACK)
    s = dnnl_batch_normalization_backward_desc_init (&d, dnnl_backward, data,
                                                     data, eps, flags);
  else
    s = dnnl_batch_normalization_forward_desc_init (
        &d,
        pass == KERN_PASS_TRAIN ? dnnl_forward_training
                                : dnnl_forward_inference,
        data, eps, flags);
  if (s != dnnl_success)
    return s;
  return dnnl_primitive_desc_create (out, &d, attr, engine, hint);
}

bool
kern_lib_bn_back_shift (void)
{
  return true;
}

dnnl_status_t
kern_lib_pool (dnnl_engine_t engine, enum kern_lib_pass pass,
               const struct kern_lib_pool *p, const_dnnl_primitive_desc_t hint,
               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_pooling_v2_desc_t d;
  dnnl_dims_t stride = {p->stride, p->stride}, pad = {p->pad, p->pad};
  dnnl_dims_t kernel = {p->kernel, p->kernel}, dense = {0, 0};
  dnnl_status_t s;
  if (pass == KERN_PASS_BACK)
    s = dnnl_pooling_v2_backward_desc_init (
        &d, dnnl_pooling_max, p->src, p->dst, stride, kernel, dense, pad, pad);
  else
    s = dnnl_pooling_v2_forward_desc_init (&d, dnnl_forward_training,
                                           dnnl_pooling_max, p->src, p->dst,
                                           stride, kernel, dense, pad, pad);
  if (s != dnnl_success)
    return s;
  return dnnl_primitive_desc_create (out, &d, attr, engine, hint);
}

dnnl_status_t
kern_lib_matmul (dnnl_engine_t engine, const struct kern_lib_matmul *m,
                 const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out)
{
  dnnl_matmul_desc_t d;
  dnnl_status_t s =
      dnnl_matmul_desc_init (&d, m->src, m->weights, m->bias, m->dst);
  if (s != dnnl_success)
    return s;
  dnnl_primitive_desc_iterator_t at = NULL;
  s = dnnl_primitive_desc_iterator_create (&at, &d, attr, engine, NULL);
  while (s == dnnl_success) {
    *out = dnnl_primitive_desc_iterator_fetch (at);
    if (*out == NULL || kern_lib_is (*out, m->impl))
      break;
    dnnl_primitive_desc_destroy (*out);
    *out = NULL;
    s = dnnl_primitive_desc_iterator_next (at);
  }
  dnnl_primitive_desc_iterator_destroy (at);
  /* Behind the last one. */
  return s == dnnl_iterator_ends ? dnnl_unimplemented : s;
}

#endif
