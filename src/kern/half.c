/* kern/half.c -- products of a linear layer by the library's kernels of 16
 * bits, where the processor has them.
 *
 * Tensors are f32 with values that are bf16's, so packing them loses nothing,
 * and the products are those of f32 kernels but for the order of their sums.
 * The weights are packed once after each update, the other factor in each call.
 */
#include "base/fault.h"
#include "kern/half_impl.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

bool
kern_native (const struct kern *k)
{
  return k->precision == KERN_BF16 &&
         kern_isa_includes (k->isa, "avx512_core_bf16");
}

struct kern_half {
  struct kern *k;
  int64_t n, in, out;
  bool bias;
  uint16_t *w; /* [out, in], owned */
  struct kern_op op[HALF_OPS];
};

/* -- making ---------------------------------------------------------------- */

/* C [m, n] = A [m, inner] B [inner, n], C in f32; turned: stored as the
 * transpose. */
struct shape {
  int64_t m, inner, n;
  bool a_turned, b_turned;
};

static struct shape
shape_of (const struct kern_half *h, enum half_what what)
{
  switch (what) {
  case HALF_FORWARD:
    return (struct shape){h->n, h->in, h->out, false, true};
  case HALF_DATA:
    return (struct shape){h->n, h->out, h->in, false, false};
  default:
    return (struct shape){h->out, h->n, h->in, true, false};
  }
}

static dnnl_status_t
describe (struct kern_half *h, enum half_what what, dnnl_primitive_desc_t *desc)
{
  const struct shape s = shape_of (h, what);
  const struct kern *k = h->k;
  kern_md a = NULL, b = NULL, c = NULL, bias = NULL;
  dnnl_status_t lib =
      kern_lib_md_of (2, (const int64_t[]){s.m, s.inner}, dnnl_bf16,
                      s.a_turned ? dnnl_ba : dnnl_ab, &a);
  if (lib == dnnl_success)
    lib = kern_lib_md_of (2, (const int64_t[]){s.inner, s.n}, dnnl_bf16,
                          s.b_turned ? dnnl_ba : dnnl_ab, &b);
  if (lib == dnnl_success)
    lib = kern_lib_md (2, (const int64_t[]){s.m, s.n}, dnnl_ab, &c);
  if (lib == dnnl_success && what == HALF_FORWARD && h->bias)
    lib = kern_lib_md (2, (const int64_t[]){1, s.n}, dnnl_ab, &bias);
  const struct kern_lib_matmul m = {
      .src = a, .weights = b, .dst = c, .bias = bias};
  omp_set_num_threads (k->threads);
  if (lib == dnnl_success)
    lib = kern_lib_matmul (k->engine, &m,
                           what == HALF_ADD ? k->attr_add : k->attr, desc);
  kern_lib_md_free (&a);
  kern_lib_md_free (&b);
  kern_lib_md_free (&c);
  kern_lib_md_free (&bias);
  return lib;
}

/* What the library does not offer is left out: others compute it. */
static enum status
make_op (struct kern_half *h, enum half_what what)
{
  static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                             DNNL_ARG_BIAS};
  char name[112];
  dnnl_primitive_desc_t desc = NULL;
  snprintf (name, sizeof name, "linear in bf16, n=%lld in=%lld out=%lld",
            (long long)h->n, (long long)h->in, (long long)h->out);
  const dnnl_status_t lib = describe (h, what, &desc);
  if (lib == dnnl_unimplemented)
    return OK;
  if (lib != dnnl_success)
    return kern_lib_failed (lib, "making", name);
  return kern_op_init (h->k, desc, NULL, name,
                       what == HALF_FORWARD && h->bias ? 4 : 3, args,
                       &h->op[what]);
}

static size_t
packed_bytes (int64_t n)
{
  return arena_round ((size_t)n * sizeof (uint16_t));
}

static enum status
make (struct kern *k, const struct kern_linear_shape *s, struct kern_half **out)
{
  struct kern_half *h = NULL;
  enum status e = OK;
  TRY (MEM_NEW (1, &h, "linear layer in bf16"));
  *h = (struct kern_half){
      .k = k, .n = s->n, .in = s->in, .out = s->out, .bias = s->bias};
  e = MEM_NEW ((size_t)(s->in * s->out), &h->w, "weights in bf16");
  for (int i = 0; i < (s->learns ? HALF_OPS : HALF_SET) && e == OK; i++)
    e = make_op (h, (enum half_what)i);
  const int64_t wide = s->in > s->out ? s->in : s->out;
  kern_side_want (k, packed_bytes (s->n * wide) + packed_bytes (s->n * s->in));
  if (e != OK)
    kern_half_destroy (&h);
  else
    *out = h;
  return e;
}

void
kern_half_destroy (struct kern_half **h)
{
  for (int i = 0; *h != NULL && i < HALF_OPS; i++)
    kern_op_clear (&(*h)->op[i]);
  if (*h != NULL)
    mem_free (&(*h)->w);
  mem_free (h);
}

/* -- running --------------------------------------------------------------- */

void
kern_half_refresh (struct kern_half *h, const float *w)
{
  kern_pack (h->k, (size_t)(h->in * h->out), w, h->w);
}

bool
kern_half_does (const struct kern_half *h, enum half_what what, int64_t rows)
{
  return h != NULL && rows == h->n && h->op[what].primitive != NULL;
}

enum status
kern_half_run (struct kern_half *h, enum half_what what, const float *a,
               const float *x, const float *bias, float *c)
{
  uint16_t *left = (uint16_t *)(void *)kern_side (h->k), *right = h->w;
  const size_t n = (size_t)(h->n * (what == HALF_FORWARD ? h->in : h->out));
  kern_pack (h->k, n, a, left);
  if (what >= HALF_SET) {
    right = left + packed_bytes ((int64_t)n) / sizeof *left;
    kern_pack (h->k, (size_t)(h->n * h->in), x, right);
  }
  return kern_op_run (h->k, &h->op[what],
                      (const void *[]){left, right, c, bias});
}

/* -- proofs ---------------------------------------------------------------- */

#define MOST_ROWS 64
#define MOST_SIDE 384

static struct kern_product
product_of (const struct kern_half *h, enum half_what what)
{
  const struct shape s = shape_of (h, what);
  return (struct kern_product){.a_form = s.a_turned ? 'T' : 'N',
                               .b_form = s.b_turned ? 'T' : 'N',
                               .m = s.m,
                               .n = s.n,
                               .inner = s.inner,
                               .lda = s.a_turned ? s.m : s.inner,
                               .ldb = s.b_turned ? s.inner : s.n,
                               .ldc = s.n,
                               .alpha = 1,
                               .beta = what == HALF_ADD};
}

/* One run of whole numbers, which bf16 holds up to 256; kind: of the nonsense
 * before. */
static enum status
try_op (struct kern_half *h, enum half_what what, float *v, double *sum,
        int kind, double *error)
{
  const struct kern_product p = product_of (h, what);
  float *a = v, *b = a + p.m * p.inner, *c = b + p.inner * p.n;
  float *bias = c + p.m * p.n + KERN_GUARD;
  int amplitude = kern_amplitude ((double)p.inner + 1);
  amplitude = amplitude < 256 ? amplitude : 256;
  const float before = (float)(kind + 1);
  kern_fill_whole (a, (size_t)(p.m * p.inner), amplitude, 1);
  kern_fill_whole (b, (size_t)(p.inner * p.n), 2, 2);
  kern_fill_whole (bias, (size_t)h->out, 2, 3);
  kern_spoil (c, (size_t)(p.m * p.n) + KERN_GUARD, kind);
  for (int64_t i = 0; what == HALF_ADD && i < p.m * p.n; i++)
    c[i] = before;
  kern_aside_spoil (h->k, kind);
  if (what < HALF_SET)
    kern_half_refresh (h, b);
  const bool biased = what == HALF_FORWARD && h->bias;
  TRY (kern_half_run (h, what, a, b, biased ? bias : NULL, c));
  double e = kern_product_difference (&p, a, b, c, biased ? bias : NULL, before,
                                      amplitude, sum);
  if (!kern_spoilt (c + p.m * p.n, KERN_GUARD, kind) ||
      !kern_aside_whole (h->k, h->op[what].scratch_bytes, kind))
    e = INFINITY;
  if (!(e <= *error))
    *error = e;
  return OK;
}

static enum status
try_twice (struct kern_half *h, enum half_what what, double *error)
{
  const int64_t n = h->n, in = h->in, out = h->out;
  const int64_t most = n > in ? n : in;
  float *v = NULL;
  double *sum = NULL;
  *error = 0;
  TRY (MEM_NEW ((size_t)(n * in + in * out + n * out + out) + KERN_GUARD, &v,
                "proof"));
  enum status s = MEM_NEW ((size_t)(most > out ? most : out), &sum, "proof");
  for (int kind = 0; kind < 2 && s == OK; kind++)
    s = try_op (h, what, v, sum, kind, error);
  mem_free (&sum);
  mem_free (&v);
  return s;
}

static bool
same_ops (const struct kern_half *a, const struct kern_half *b)
{
  for (int i = 0; i < HALF_OPS; i++)
    if (strcmp (a->op[i].impl, b->op[i].impl) != 0)
      return false;
  return true;
}

/* A small one with the same primitives; how: 0 smallest, 1 in rows, 2 not. */
static enum status
make_small (struct kern_half *h, int how, struct kern_half **out)
{
  const struct kern_linear_shape small = {
      .n = how < 2 ? kern_reduced (h->n, MOST_ROWS) : h->n,
      .in = how < 1 ? kern_reduced (h->in, MOST_SIDE) : h->in,
      .out = how < 1 ? kern_reduced (h->out, MOST_SIDE) : h->out,
      .bias = h->bias,
      .learns = h->op[HALF_SET].primitive != NULL};
  TRY (make (h->k, &small, out));
  return kern_aside_seal (h->k);
}

static enum status
judge (struct kern_half *h, struct kern_half *small, enum half_what what)
{
  static const char *const names[] = {"forward", "data", "gradient",
                                      "gradient added"};
  char key[KERN_KEY], why[96];
  double error = -1;
  struct kern_op *op = &h->op[what];
  if (op->primitive == NULL)
    return OK;
  snprintf (key, sizeof key,
            "linear %s in bf16 n=%lld in=%lld out=%lld%s by %s", names[what],
            (long long)small->n, (long long)small->in, (long long)small->out,
            h->bias ? " with bias" : "", op->impl);
  enum kern_known known = kern_verdict_get (h->k, key);
  if (known == KERN_UNKNOWN) {
    if (!h->k->distrust)
      TRY (try_twice (small, what, &error));
    if (fault_here ("verdict"))
      error = 1;
    known = error == 0 ? KERN_RIGHT : KERN_WRONG;
    snprintf (why, sizeof why, "wrong by %.2g of what its terms add up to",
              error);
    TRY (kern_verdict_put (h->k, key, known == KERN_RIGHT, error,
                           h->k->distrust ? "not believed" : why));
  }
  if (known == KERN_WRONG)
    kern_op_clear (op); /* f32 on rounded numbers computes in its place */
  return OK;
}

static enum status
prove (struct kern_half *h)
{
  struct kern_aside aside;
  struct kern_half *small = NULL;
  kern_aside_open (h->k, &aside);
  enum status s = make_small (h, 0, &small);
  for (int how = 1; how < 3 && s == OK && !same_ops (h, small); how++) {
    kern_half_destroy (&small);
    arena_close (&h->k->slab);
    s = make_small (h, how, &small);
  }
  for (int i = 0; i < HALF_OPS && s == OK; i++)
    s = judge (h, small, (enum half_what)i);
  kern_half_destroy (&small);
  kern_aside_close (h->k, &aside);
  return s;
}

enum status
kern_half_create (struct kern *k, const struct kern_linear_shape *s,
                  struct kern_half **out)
{
  struct kern_half *h = NULL;
  TRY (make (k, s, &h));
  enum status e = prove (h);
  if (e != OK)
    kern_half_destroy (&h);
  else
    *out = h;
  return e;
}
