/* kern/linear_op.c -- the matmul primitives of linear layers: made, and proven.
 *
 * W is [out, in] row-major as files have it, so nothing is ever reordered: what
 * is seen turned is so by its strides.
 */
#include "base/fault.h"
#include "kern/linear_impl.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>

struct kern_product
kern_linear_product (const struct kern_linear_shape *s, enum linear_what what,
                     int64_t n)
{
  struct kern_product p = {.alpha = 1, .a_form = 'N', .b_form = 'N'};
  p.m = what >= LINEAR_SET ? s->out : n;
  p.n = what == LINEAR_FORWARD ? s->out : s->in;
  p.inner = what == LINEAR_FORWARD ? s->in : what == LINEAR_DATA ? s->out : n;
  if (what == LINEAR_FORWARD)
    p.b_form = 'T';
  if (what >= LINEAR_SET)
    p.a_form = 'T';
  p.lda = what == LINEAR_FORWARD ? s->in : s->out;
  p.ldb = s->in;
  p.ldc = p.n;
  p.beta = what == LINEAR_ADD;
  return p;
}

/* -- making ---------------------------------------------------------------- */

/* The word by which the library names what multiplies plain matrices in blocks
 * that it copies itself. */
#define GEMM "gemm"

static dnnl_status_t
describe (struct kern *k, const struct kern_product *p, bool bias,
          enum kern_way way, dnnl_primitive_desc_t *desc)
{
  const int64_t dims[3][2] = {{p->m, p->inner}, {p->inner, p->n}, {p->m, p->n}};
  const bool turned[] = {p->a_form == 'T', p->b_form == 'T', false};
  const int64_t row[] = {1, p->n};
  kern_md md[4] = {NULL, NULL, NULL, NULL};
  dnnl_status_t s = dnnl_success;
  for (int i = 0; i < 3 && s == dnnl_success; i++)
    s = kern_lib_md (2, dims[i], turned[i] ? dnnl_ba : dnnl_ab, &md[i]);
  if (s == dnnl_success && bias)
    s = kern_lib_md (2, row, dnnl_ab, &md[3]);
  struct kern_lib_matmul m = {.src = md[0],
                              .weights = md[1],
                              .dst = md[2],
                              .bias = md[3],
                              .impl = way == KERN_GEMM ? GEMM : NULL};
  omp_set_num_threads (k->threads);
  if (s == dnnl_success)
    s = kern_lib_matmul (k->engine, &m, p->beta != 0 ? k->attr_add : k->attr,
                         desc);
  for (int i = 0; i < 4; i++)
    kern_lib_md_free (&md[i]);
  return s;
}

static const char *const names[] = {"forward", "data", "gradient",
                                    "gradient added"};

static bool
has_bias (const struct kern_linear_shape *s, enum linear_what what)
{
  return what == LINEAR_FORWARD && s->bias;
}

/* *op stays empty where the library has no such way. */
static enum status
make (struct kern *k, const struct kern_linear_shape *s, enum linear_what what,
      enum kern_way way, struct kern_op *op)
{
  static const int args[] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST,
                             DNNL_ARG_BIAS};
  const struct kern_product p = kern_linear_product (s, what, s->n);
  const bool bias = has_bias (s, what);
  char text[112];
  dnnl_primitive_desc_t desc = NULL;
  snprintf (text, sizeof text, "linear %s n=%lld in=%lld out=%lld", names[what],
            (long long)s->n, (long long)s->in, (long long)s->out);
  dnnl_status_t lib = describe (k, &p, bias, way, &desc);
  if (lib == dnnl_unimplemented && way == KERN_GEMM)
    return OK;
  if (lib != dnnl_success)
    return kern_lib_failed (lib, "making", text);
  return kern_op_init (k, desc, NULL, text, bias ? 4 : 3, args, op);
}

/* -- proofs ---------------------------------------------------------------- */

#define MOST_ROWS 64
#define MOST_SIDE 384

struct proof {
  struct kern *k;
  struct kern_linear_shape s; /* a small one with the same primitive */
  enum linear_what what;
  struct kern_op op;
};

/* One run of whole numbers; kind: of the nonsense before. */
static enum status
try_op (struct proof *f, float *v, double *sum, int kind, double *error)
{
  const struct kern_product p = kern_linear_product (&f->s, f->what, f->s.n);
  float *a = v, *b = a + p.m * p.inner, *c = b + p.inner * p.n;
  float *bias = c + p.m * p.n + KERN_GUARD;
  const int amplitude = kern_amplitude ((double)p.inner + 1);
  const float before = (float)(kind + 1);
  kern_fill_whole (a, (size_t)(p.m * p.inner), amplitude, 1);
  kern_fill_whole (b, (size_t)(p.inner * p.n), 2, 2);
  kern_fill_whole (bias, (size_t)p.n, 2, 3);
  kern_spoil (c, (size_t)(p.m * p.n) + KERN_GUARD, kind);
  for (int64_t i = 0; p.beta != 0 && i < p.m * p.n; i++)
    c[i] = before;
  kern_aside_spoil (f->k, kind);
  TRY (kern_op_run (f->k, &f->op, (const void *[]){a, b, c, bias}));
  double e = kern_product_difference (&p, a, b, c,
                                      has_bias (&f->s, f->what) ? bias : NULL,
                                      before, amplitude, sum);
  if (!kern_spoilt (c + p.m * p.n, KERN_GUARD, kind) ||
      !kern_aside_whole (f->k, f->op.scratch_bytes, kind))
    e = INFINITY;
  if (!(e <= *error))
    *error = e;
  return OK;
}

static enum status
try_twice (struct proof *f, double *error)
{
  const int64_t n = f->s.n, in = f->s.in, out = f->s.out;
  const int64_t most = in > out ? in : out;
  float *v = NULL;
  double *sum = NULL;
  *error = 0;
  TRY (MEM_NEW ((size_t)(n * in + in * out + n * out + most) + KERN_GUARD, &v,
                "proof"));
  enum status s = MEM_NEW ((size_t)(n > most ? n : most), &sum, "proof");
  for (int kind = 0; kind < 2 && s == OK; kind++)
    s = try_op (f, v, sum, kind, error);
  mem_free (&sum);
  mem_free (&v);
  return s;
}

/* The smallest whose primitive is like op; how: 0 smallest, 1 in rows, 2
 * not. */
static enum status
make_small (struct proof *f, const struct kern_linear_shape *s,
            enum kern_way way, const struct kern_op *op)
{
  enum status e = OK;
  for (int how = 0; how < 3; how++) {
    f->s = *s;
    f->s.n = how < 2 ? kern_reduced (s->n, MOST_ROWS) : s->n;
    f->s.in = how < 1 ? kern_reduced (s->in, MOST_SIDE) : s->in;
    f->s.out = how < 1 ? kern_reduced (s->out, MOST_SIDE) : s->out;
    e = make (f->k, &f->s, f->what, way, &f->op);
    if (e != OK || strcmp (f->op.impl, op->impl) == 0)
      break;
    kern_op_clear (&f->op);
  }
  return e == OK ? kern_aside_seal (f->k) : e;
}

static enum status
judge (struct proof *f, bool *right)
{
  char key[KERN_KEY], why[96];
  double error = -1;
  snprintf (key, sizeof key, "linear %s n=%lld in=%lld out=%lld%s by %s",
            names[f->what], (long long)f->s.n, (long long)f->s.in,
            (long long)f->s.out, f->s.bias ? " with bias" : "", f->op.impl);
  enum kern_known known = kern_verdict_get (f->k, key);
  *right = known == KERN_RIGHT;
  if (known != KERN_UNKNOWN)
    return OK;
  if (!f->k->distrust)
    TRY (try_twice (f, &error));
  if (fault_here ("verdict"))
    error = 1;
  *right = error == 0;
  snprintf (why, sizeof why, "wrong by %.2g of what its terms add up to",
            error);
  return kern_verdict_put (f->k, key, *right, error,
                           f->k->distrust ? "not believed" : why);
}

static enum status
prove (struct kern *k, const struct kern_linear_shape *s, enum linear_what what,
       enum kern_way way, const struct kern_op *op, bool *right)
{
  struct kern_aside aside;
  struct proof f = {.k = k, .what = what};
  kern_aside_open (k, &aside);
  enum status e = make_small (&f, s, way, op);
  if (e == OK)
    e = judge (&f, right);
  kern_op_clear (&f.op);
  kern_aside_close (k, &aside);
  return e;
}

enum status
kern_linear_op (const struct kern_linear *l, enum linear_what what, int64_t n,
                enum kern_way way, bool alone, struct kern_op *op)
{
  struct kern_linear_shape s = l->s;
  s.n = n;
  for (int i = 0; i < (alone ? 1 : KERN_WAYS); i++) {
    const enum kern_way now = (enum kern_way) ((way + i) % KERN_WAYS);
    bool right = false;
    TRY (make (l->k, &s, what, now, op));
    if (op->primitive == NULL)
      continue;
    enum status e = prove (l->k, &s, what, now, op, &right);
    if (e != OK || !right)
      kern_op_clear (op);
    TRY (e);
    if (right)
      break;
  }
  return OK;
}
