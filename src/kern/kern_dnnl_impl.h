/* kern/kern_dnnl_impl.h -- the calls in which oneDNN's two generations differ.
 *
 * kern_dnnl2.c and kern_dnnl3.c implement exactly these functions; the build
 * compiles one of them.  Everything else that kern uses of oneDNN (engine,
 * stream, memory, queries, execution, reorders, sgemm) reads the same in both.
 * All return the library's own status; the caller turns it into words.
 */
#ifndef KERN_KERN_DNNL_IMPL_H
#define KERN_KERN_DNNL_IMPL_H

#include "kern/kern.h"
#include <dnnl.h>
#include <string.h>

/* A memory descriptor that we own, and one that we only look at.  Both forms
 * go unchanged into the library's calls. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t kern_md;
typedef const_dnnl_memory_desc_t kern_const_md;
#else
typedef dnnl_memory_desc_t *kern_md;
typedef const dnnl_memory_desc_t *kern_const_md;
#endif

/* A dense f32 descriptor; free it with kern_lib_md_free, which leaves NULL and
 * accepts NULL. */
dnnl_status_t
kern_lib_md (int n_dims, const int64_t *dims, dnnl_format_tag_t tag,
             kern_md *out);
/* The same with given distances between neighbours along each dimension. */
dnnl_status_t
kern_lib_md_strides (int n_dims, const int64_t *dims, const int64_t *strides,
                     kern_md *out);
/* The first of another type. */
dnnl_status_t
kern_lib_md_of (int n_dims, const int64_t *dims, dnnl_data_type_t type,
                dnnl_format_tag_t tag, kern_md *out);
void
kern_lib_md_free (kern_md *md);

/* Post-operation: the result is added to what its tensor holds. */
dnnl_status_t
kern_lib_append_sum (dnnl_post_ops_t ops);
/* Ask for the same bits in every run, where that has to be asked for. */
dnnl_status_t
kern_lib_repeat (dnnl_primitive_attr_t attr);

/* The library's levels of instruction sets, the last one with name NULL.  What
 * one includes stands before it. */
struct kern_lib_isa {
  const char *name; /* "avx2" */
  unsigned bits;
};
const struct kern_lib_isa *
kern_lib_isa (void);

struct kern_lib_conv {
  enum kern_direction direction;
  dnnl_alg_kind_t algo;
  kern_const_md src, weights, bias, dst; /* of the tensors or their gradients;
                                            bias NULL: none */
  int stride, pad;
};
/* hint: a forward descriptor of the same algorithm; NULL in forward. */
dnnl_status_t
kern_lib_conv (dnnl_engine_t engine, const struct kern_lib_conv *c,
               const_dnnl_primitive_desc_t hint,
               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out);

enum kern_lib_pass { KERN_PASS_TRAIN, KERN_PASS_INFER, KERN_PASS_BACK };

/* Batch normalisation with scale and shift.  INFER takes the statistics as
 * inputs; relu fuses the activation (with a workspace unless INFER). */
dnnl_status_t
kern_lib_bn (dnnl_engine_t engine, enum kern_lib_pass pass, kern_const_md data,
             float eps, bool relu, const_dnnl_primitive_desc_t hint,
             const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out);
/* Whether the backward pass of batch normalisation is given the shift: one
 * generation insists on it, the other refuses it. */
bool
kern_lib_bn_back_shift (void);

struct kern_lib_pool {
  kern_const_md src, dst;
  int kernel, stride, pad;
};
/* Maximum pooling; pass is TRAIN or BACK. */
dnnl_status_t
kern_lib_pool (dnnl_engine_t engine, enum kern_lib_pass pass,
               const struct kern_lib_pool *p, const_dnnl_primitive_desc_t hint,
               const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out);

/* Whether desc's implementation has a name that begins so; NULL: any. */
static inline bool
kern_lib_is (const_dnnl_primitive_desc_t desc, const char *impl)
{
  const char *name = NULL;
  return impl == NULL ||
         (dnnl_primitive_desc_query (desc, dnnl_query_impl_info_str, 0,
                                     &name) == dnnl_success &&
          strncmp (name, impl, strlen (impl)) == 0);
}

struct kern_lib_matmul {
  kern_const_md src, weights, bias, dst; /* bias NULL: none */
  const char *impl; /* how the library's name of the implementation has to
                       begin; NULL: what it puts first */
};
/* dnnl_unimplemented: there is none of that name. */
dnnl_status_t
kern_lib_matmul (dnnl_engine_t engine, const struct kern_lib_matmul *m,
                 const_dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *out);

#endif
