/* kern/kern.c -- the kern itself: threads, engine, scratchpad, and layouts.
 *
 * What single primitives have in common is in op.c.
 */
#include "base/fault.h"
#include "kern/prove_impl.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

/* -- open and close ------------------------------------------------------- */

static const char *
runtime_name (const dnnl_version_t *v)
{
  return v->cpu_runtime == DNNL_RUNTIME_OMP   ? "OpenMP"
         : v->cpu_runtime == DNNL_RUNTIME_SEQ ? "sequential"
                                              : "other threads";
}

static void
describe (struct kern *k)
{
  const dnnl_version_t *v = dnnl_version ();
  snprintf (k->isa, sizeof k->isa, "%s", kern_isa_use ());
  k->block = kern_isa_includes (k->isa, "avx512_core") ? 16 : 8;
  snprintf (k->describe, sizeof k->describe, "oneDNN %d.%d.%d, %s, %s",
            v->major, v->minor, v->patch, k->isa, runtime_name (v));
}

const char *
kern_library (void)
{
  static char line[96];
  const dnnl_version_t *v = dnnl_version ();
  snprintf (line, sizeof line, "oneDNN %d.%d.%d (%.40s), %s", v->major,
            v->minor, v->patch, v->hash, runtime_name (v));
  return line;
}

const char *
kern_numbers (void)
{
  static char line[48];
  dnnl_fpmath_mode_t mode = dnnl_fpmath_mode_strict;
  dnnl_status_t s = dnnl_get_default_fpmath_mode (&mode);
  if (s == dnnl_success && mode == dnnl_fpmath_mode_strict)
    return "f32, arithmetic strict";
  snprintf (line, sizeof line, "f32, arithmetic %s (%d)",
            mode == dnnl_fpmath_mode_bf16  ? "bf16"
            : mode == dnnl_fpmath_mode_f16 ? "f16"
                                           : "of another kind",
            (int)mode);
  return line;
}

/* Attributes of every primitive: we own its scratchpad, and equal input gives
 * equal bits.  add: the result is added to what the tensor holds. */
static dnnl_status_t
make_attr (bool add, dnnl_primitive_attr_t *attr)
{
  dnnl_post_ops_t ops = NULL;
  dnnl_status_t s = dnnl_primitive_attr_create (attr);
  if (s == dnnl_success)
    s = dnnl_primitive_attr_set_scratchpad_mode (*attr,
                                                 dnnl_scratchpad_mode_user);
  if (s == dnnl_success)
    s = kern_lib_repeat (*attr);
  if (s != dnnl_success || !add)
    return s;
  s = dnnl_post_ops_create (&ops);
  if (s != dnnl_success)
    return s;
  s = kern_lib_append_sum (ops);
  if (s == dnnl_success)
    s = dnnl_primitive_attr_set_post_ops (*attr, ops);
  dnnl_post_ops_destroy (ops);
  return s;
}

static enum status
open_library (struct kern *k)
{
  dnnl_status_t s = dnnl_engine_create (&k->engine, dnnl_cpu, 0);
  if (s == dnnl_success)
    s = dnnl_stream_create (&k->stream, k->engine, dnnl_stream_default_flags);
  if (s == dnnl_success)
    s = make_attr (false, &k->attr);
  if (s == dnnl_success)
    s = make_attr (true, &k->attr_add);
  return s == dnnl_success ? OK : kern_lib_failed (s, "opening", "oneDNN");
}

enum status
kern_open (int threads, struct kern **out)
{
  CHECK (threads >= 1, "kern_open: %d threads", threads);
  struct kern *k = NULL;
  TRY (MEM_NEW (1, &k, "kern"));
  k->threads = threads;
  omp_set_dynamic (0); /* exactly so many threads: bits depend on them */
  omp_set_num_threads (threads);
  k->distrust = fault_here ("distrust");
  enum status s = MEM_NEW (1, &k->verdicts, "verdicts");
  if (s == OK)
    s = kern_products_open (k);
  if (s == OK)
    s = open_library (k);
  if (s != OK) {
    kern_close (&k);
    return s;
  }
  describe (k);
  *out = k;
  return OK;
}

void
kern_close (struct kern **kp)
{
  struct kern *k = *kp;
  if (k == NULL)
    return;
  if (k->attr != NULL)
    dnnl_primitive_attr_destroy (k->attr);
  if (k->attr_add != NULL)
    dnnl_primitive_attr_destroy (k->attr_add);
  if (k->stream != NULL)
    dnnl_stream_destroy (k->stream);
  if (k->engine != NULL)
    dnnl_engine_destroy (k->engine);
  arena_close (&k->slab);
  arena_close (&k->room);
  kern_verdicts_clear (k);
  kern_angles_clear (k);
  mem_free (kp);
}

int
kern_threads (const struct kern *k)
{
  return k->threads;
}

const char *
kern_describe (const struct kern *k)
{
  return k->describe;
}

/* -- scratchpad ------------------------------------------------------------ */

/* One slab: the scratchpad of primitives, then the side buffer, for tensors
 * that a primitive reads or writes in a layout of its own.  Both are in use at
 * the same time, so the second lies behind the first. */
enum status
kern_seal (struct kern *k)
{
  size_t offset = arena_round (k->scratch_bytes);
  size_t size = offset + arena_round (k->side_bytes) + 64;
  if (!k->proving)
    kern_proofs_done (k);
  if (k->slab.base == NULL || k->slab.size < size) {
    arena_close (&k->slab);
    TRY (arena_open (size, "kernel scratchpad", &k->slab));
  }
  k->side_offset = offset;
  if (k->room.size < k->room_bytes) {
    arena_close (&k->room);
    TRY (arena_open (k->room_bytes, "scratch", &k->room));
  }
  return OK;
}

void
kern_room_want (struct kern *k, size_t bytes)
{
  if (bytes > k->room_bytes)
    k->room_bytes = bytes;
}

char *
kern_room (const struct kern *k)
{
  CHECK (k->room.size >= k->room_bytes,
         "kern_seal was not called after the last wish for room");
  return (char *)k->room.base;
}

size_t
kern_scratch_bytes (const struct kern *k)
{
  return arena_round (k->scratch_bytes) + arena_round (k->side_bytes);
}

void
kern_side_want (struct kern *k, size_t bytes)
{
  if (bytes > k->side_bytes)
    k->side_bytes = bytes;
}

float *
kern_side (struct kern *k)
{
  CHECK (k->slab.base != NULL, "kern_seal was not called");
  CHECK (k->side_offset + k->side_bytes <= k->slab.size,
         "kern_seal was not called after the last create");
  return (float *)(void *)(k->slab.base + k->side_offset);
}

struct kern_wishes
kern_wishes_save (const struct kern *k)
{
  return (struct kern_wishes){.scratch_bytes = k->scratch_bytes,
                              .side_bytes = k->side_bytes,
                              .room_bytes = k->room_bytes,
                              .sealed = k->slab.base != NULL};
}

enum status
kern_wishes_restore (struct kern *k, struct kern_wishes w)
{
  k->scratch_bytes = w.scratch_bytes;
  k->side_bytes = w.side_bytes;
  k->room_bytes = w.room_bytes;
  arena_close (&k->slab);
  arena_close (&k->room);
  return w.sealed ? kern_seal (k) : OK;
}

/* -- layouts --------------------------------------------------------------- */

static const char *const layout_names[] = {
    [KERN_PLAIN] = "plain", [KERN_BLOCKED] = "blocked", [KERN_LAST] = "last"};

const char *
kern_layout_name (enum kern_layout l)
{
  return layout_names[l];
}

bool
kern_layout_parse (const char *word, enum kern_layout *out)
{
  for (int l = KERN_PLAIN; l <= KERN_LAST; l++)
    if (strcmp (word, layout_names[l]) == 0) {
      *out = (enum kern_layout)l;
      return true;
    }
  return false;
}

int
kern_block (const struct kern *k)
{
  return k->block;
}

size_t
kern_bytes (const struct kern *k, struct kern_dims d, enum kern_layout l)
{
  int64_t c = d.c;
  if (l == KERN_BLOCKED)
    c = (c + k->block - 1) / k->block * k->block;
  return (size_t)(d.n * c * d.h * d.w) * sizeof (float);
}

dnnl_status_t
kern_md_images (const struct kern *k, struct kern_dims d, enum kern_layout l,
                kern_md *out)
{
  dnnl_format_tag_t tag = l == KERN_PLAIN  ? dnnl_nchw
                          : l == KERN_LAST ? dnnl_nhwc
                          : k->block == 16 ? dnnl_nChw16c
                                           : dnnl_nChw8c;
  const int64_t dims[] = {d.n, d.c, d.h, d.w};
  dnnl_status_t s = kern_lib_md (4, dims, tag, out);
  CHECK (s != dnnl_success ||
             dnnl_memory_desc_get_size (*out) == kern_bytes (k, d, l),
         "kern_bytes disagrees with the library");
  return s;
}

enum status
kern_reorder (struct kern *k, struct kern_dims d, enum kern_layout from,
              enum kern_layout to, const float *src, float *dst)
{
  kern_md a = NULL, b = NULL;
  struct kern_op op = {0};
  struct kern_wishes wishes = kern_wishes_save (k);
  char what[96];
  snprintf (what, sizeof what,
            "reorder n=%lld c=%lld h=%lld w=%lld from %s to %s", (long long)d.n,
            (long long)d.c, (long long)d.h, (long long)d.w,
            kern_layout_name (from), kern_layout_name (to));
  enum status s = OK;
  dnnl_status_t lib = kern_md_images (k, d, from, &a);
  if (lib == dnnl_success)
    lib = kern_md_images (k, d, to, &b);
  if (lib != dnnl_success)
    s = kern_lib_failed (lib, "describing", what);
  if (s == OK)
    s = kern_op_reorder (k, a, b, what, &op);
  if (s == OK && op.scratch_bytes > 0)
    s = kern_seal (k);
  if (s == OK)
    s = kern_op_run (k, &op, (const void *[]){src, dst});
  kern_op_clear (&op);
  kern_lib_md_free (&a);
  kern_lib_md_free (&b);
  /* A slab that grew for this call may stay: it is large enough for others. */
  k->scratch_bytes = wishes.scratch_bytes;
  return s;
}
