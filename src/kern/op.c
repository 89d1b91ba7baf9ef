/* kern/op.c -- one primitive with its memory objects.
 *
 * Relies on dnnl_query_exec_arg_md, which gives the descriptor of any argument
 * by its number, so that every primitive is treated alike.
 */
#include "kern/kern_impl.h"

#include <omp.h>
#include <stdio.h>

enum status
kern_lib_failed (dnnl_status_t s, const char *doing, const char *what)
{
  switch (s) {
  case dnnl_out_of_memory:
    return fail (E_MEMORY, "%s %s: oneDNN is out of memory", doing, what);
  case dnnl_unimplemented:
    return fail (E_UNSUPPORTED, "%s %s: oneDNN does not offer this", doing,
                 what);
  case dnnl_invalid_arguments:
    return fail (E_SHAPE, "%s %s: oneDNN refuses the arguments", doing, what);
  default:
    return fail (E_FAULT, "%s %s: oneDNN error %d", doing, what, (int)s);
  }
}

kern_const_md
kern_op_md (const struct kern_op *op, int arg)
{
  return dnnl_primitive_desc_query_md (op->desc, dnnl_query_exec_arg_md, arg);
}

static enum status
add_arg (struct kern *k, struct kern_op *op, int arg, kern_const_md md)
{
  CHECK (op->n_args < KERN_OP_ARGS, "%s: too many arguments", op->what);
  CHECK (md != NULL, "%s: no descriptor of argument %d", op->what, arg);
  dnnl_memory_t memory = NULL;
  dnnl_status_t s =
      dnnl_memory_create (&memory, md, k->engine, DNNL_MEMORY_NONE);
  if (s != dnnl_success)
    return kern_lib_failed (s, "memory object of", op->what);
  op->args[op->n_args++] = (dnnl_exec_arg_t){.arg = arg, .memory = memory};
  return OK;
}

/* The scratchpad is argument 0 of every primitive.  All share one, as large as
 * the largest asks for: they run one after the other. */
static enum status
add_scratchpad (struct kern *k, struct kern_op *op)
{
  kern_const_md md =
      dnnl_primitive_desc_query_md (op->desc, dnnl_query_scratchpad_md, 0);
  op->scratch_bytes = md == NULL ? 0 : dnnl_memory_desc_get_size (md);
  if (op->scratch_bytes > k->scratch_bytes)
    k->scratch_bytes = op->scratch_bytes;
  return add_arg (k, op, DNNL_ARG_SCRATCHPAD, md);
}

enum status
kern_op_init (struct kern *k, dnnl_primitive_desc_t desc,
              dnnl_primitive_desc_t hint, const char *what, int n,
              const int *args, struct kern_op *op)
{
  *op = (struct kern_op){.desc = desc, .hint = hint};
  snprintf (op->what, sizeof op->what, "%s", what);
  /* The library makes a primitive for the number of threads at this moment. */
  omp_set_num_threads (k->threads);
  const char *impl = NULL;
  enum status s = OK;
  dnnl_status_t lib =
      dnnl_primitive_desc_query (desc, dnnl_query_impl_info_str, 0, &impl);
  snprintf (op->impl, sizeof op->impl, "%s", impl == NULL ? "?" : impl);
  if (lib == dnnl_success)
    lib = dnnl_primitive_create (&op->primitive, desc);
  if (lib != dnnl_success)
    s = kern_lib_failed (lib, "making", what);
  if (s == OK)
    s = add_scratchpad (k, op);
  for (int i = 0; i < n && s == OK; i++)
    s = add_arg (k, op, args[i], kern_op_md (op, args[i]));
  if (s != OK)
    kern_op_clear (op);
  return s;
}

enum status
kern_op_reorder (struct kern *k, kern_const_md from, kern_const_md to,
                 const char *what, struct kern_op *op)
{
  dnnl_primitive_desc_t desc = NULL;
  omp_set_num_threads (k->threads);
  dnnl_status_t s = dnnl_reorder_primitive_desc_create (&desc, from, k->engine,
                                                        to, k->engine, k->attr);
  if (s != dnnl_success)
    return kern_lib_failed (s, "reorder for", what);
  return kern_op_init (k, desc, NULL, what, 2,
                       (const int[]){DNNL_ARG_FROM, DNNL_ARG_TO}, op);
}

void
kern_op_clear (struct kern_op *op)
{
  for (int i = 0; i < op->n_args; i++)
    dnnl_memory_destroy (op->args[i].memory);
  if (op->primitive != NULL)
    dnnl_primitive_destroy (op->primitive);
  if (op->desc != NULL)
    dnnl_primitive_desc_destroy (op->desc);
  if (op->hint != NULL)
    dnnl_primitive_desc_destroy (op->hint);
  *op = (struct kern_op){0};
}

enum status
kern_op_run (struct kern *k, struct kern_op *op, const void *const *data)
{
  CHECK (op->primitive != NULL, "a primitive that was not made");
  CHECK (op->scratch_bytes == 0 ||
             (k->slab.base != NULL && op->scratch_bytes <= k->side_offset),
         "%s: kern_seal was not called after create", op->what);
  dnnl_status_t s =
      dnnl_memory_set_data_handle (op->args[0].memory, k->slab.base);
  /* The library's handles are not const; sources are only read. */
  for (int i = 1; i < op->n_args && s == dnnl_success; i++)
    s = dnnl_memory_set_data_handle (op->args[i].memory,
                                     (void *)(uintptr_t)data[i - 1]);
  omp_set_num_threads (k->threads);
  if (s == dnnl_success)
    s = dnnl_primitive_execute (op->primitive, k->stream, op->n_args, op->args);
  if (s == dnnl_success)
    s = dnnl_stream_wait (k->stream);
  if (s == dnnl_success)
    return OK;
  char doing[80];
  snprintf (doing, sizeof doing, "running %s in", op->impl);
  return kern_lib_failed (s, doing, op->what);
}
