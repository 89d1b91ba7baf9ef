/* tests/kern/level.c -- every own loop on drawn numbers, at lengths around
 * those of vectors and units of work; only digests of the results are kept. */
#include "base/hash.h"
#include "kern/fused_impl.h"
#include "tests/kern/level_result.h"
#include "tests/kern/twin.h"

#define MOST 70000

struct bench {
  struct kern *k;
  struct level_results *out;
  float *x[4], *y, *z, *w; /* MOST each; x: drawn */
};

static void
keep (struct bench *b, const char *what, size_t n, const void *data,
      size_t bytes)
{
  struct level_results *r = b->out;
  CHECK (r->n < LEVEL_RESULTS, "more results than there is room for");
  snprintf (r->what[r->n], sizeof r->what[0], "%s, %zu", what, n);
  r->digest[r->n++] = hash_bytes (data, bytes, 0);
}

static void
keep_floats (struct bench *b, const char *what, size_t n, const float *data)
{
  keep (b, what, n, data, n * sizeof *data);
}

/* y, z and w begin the same for every loop. */
static void
again (struct bench *b)
{
  memcpy (b->y, b->x[1], MOST * sizeof *b->y);
  memcpy (b->z, b->x[2], MOST * sizeof *b->z);
  for (int i = 0; i < MOST; i++)
    b->w[i] = b->x[3][i] * b->x[3][i];
}

static void
blocks (struct bench *b, size_t n)
{
  const float *const terms[3] = {b->x[0], b->x[1], b->x[2]};
  const float a[3] = {0.3f, -1.7f, 0.11f};
  const struct kern_sgd sgd = {0.1f, 0.9f, 1e-3f, true, false, 0.7f};
  const struct kern_adamw adamw = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, 3, 0.7f};
  again (b);
  kern_add_relu (b->k, n, b->x[0], b->x[1], b->y);
  keep_floats (b, "add_relu", n, b->y);
  kern_add_gate (b->k, n, b->x[0], b->x[3], b->y);
  keep_floats (b, "add_gate", n, b->y);
  kern_axpy (b->k, n, 0.3f, b->x[2], b->y);
  keep_floats (b, "axpy", n, b->y);
  kern_combine (b->k, n, 3, terms, a, b->y);
  keep_floats (b, "combine", n, b->y);
  double dot = kern_dot (b->k, n, b->x[0], b->x[1]);
  keep (b, "dot", n, &dot, sizeof dot);
  again (b);
  kern_round (b->k, n, b->x[0], b->y);
  keep_floats (b, "round", n, b->y);
  kern_pack_over (b->k, n, b->y);
  keep (b, "pack", n, b->y, n * sizeof (uint16_t));
  memmove ((uint16_t *)(void *)b->y + n, b->y, n * sizeof (uint16_t));
  kern_unpack_over (b->k, n, b->y);
  keep_floats (b, "unpack", n, b->y);
  again (b);
  kern_sgd (b->k, n, &sgd, b->y, b->x[0], b->z);
  keep_floats (b, "sgd", n, b->y);
  again (b);
  kern_adamw (b->k, n, &adamw, b->y, b->x[0], b->z, b->w);
  keep_floats (b, "adamw", n, b->y);
  keep_floats (b, "adamw, squares", n, b->w);
  kern_gelu (b->k, n, b->x[0], b->y);
  keep_floats (b, "gelu", n, b->y);
  kern_gelu_back (b->k, n, b->x[0], b->x[1], b->y);
  keep_floats (b, "gelu_back", n, b->y);
}

/* Rows of d, as many as there is room for, at most 70. */
static void
rows (struct bench *b, int64_t d)
{
  int64_t n = MOST / d < 70 ? MOST / d : 70;
  size_t all = (size_t)(n * d);
  int32_t label[70];
  double loss;
  int64_t right;
  for (int i = 0; i < 70; i++)
    label[i] = (int32_t)(i * 31 % d);
  kern_norm_forward (b->k, n, d, b->x[0], b->x[1], b->x[2], b->y, b->w,
                     b->w + n);
  keep_floats (b, "norm", all, b->y);
  keep_floats (b, "norm, means", 2 * (size_t)n, b->w);
  kern_norm_back (b->k, n, d, b->x[0], b->x[3], b->x[1], b->w, b->w + n, b->y);
  keep_floats (b, "norm_back", all, b->y);
  kern_norm_back_weights (b->k, n, d, b->x[0], b->x[3], b->w, b->w + n, false,
                          b->y, b->z);
  keep_floats (b, "norm_back_weights", (size_t)d, b->y);
  for (int centred = 0; centred < 2; centred++) {
    kern_norm_bare (b->k, n, d, centred, b->x[0], b->y, b->w);
    keep_floats (b, "norm_bare", all, b->y);
    keep_floats (b, "norm_bare, deviations", (size_t)n, b->w);
    kern_norm_bare_back (b->k, n, d, centred, b->y, b->x[3], b->w, b->z);
    keep_floats (b, "norm_bare_back", all, b->z);
  }
  const struct kern_rms r = {n, 1, d, d};
  kern_rms_forward (b->k, &r, b->x[0], b->x[1], b->y, b->w);
  keep_floats (b, "rms", all, b->y);
  kern_rms_back (b->k, &r, b->x[0], b->x[3], b->x[1], b->w, b->z);
  keep_floats (b, "rms_back", all, b->z);
  kern_rms_back_weights (b->k, &r, b->x[0], b->x[3], b->w, false, b->z);
  keep_floats (b, "rms_back_weights", (size_t)d, b->z);
  kern_swiglu (b->k, n / 2, d, b->x[0], b->y);
  keep_floats (b, "swiglu", (size_t)(n / 2 * d), b->y);
  kern_swiglu_back (b->k, n / 2, d, b->x[0], b->x[3], b->z);
  keep_floats (b, "swiglu_back", (size_t)(n / 2 * 2 * d), b->z);
  const struct kern_rope turn = {n, n, 0, 1, d / 2 * 2, d};
  const float *angles;
  MUST (kern_rope_angles (b->k, n, turn.width, &angles));
  kern_rope (b->k, &turn, angles, false, b->x[0], b->y);
  keep_floats (b, "rope", all, b->y);
  for (int smooth = 0; smooth < 2; smooth++) {
    const struct kern_target t = {label, 0.1f, smooth ? 0.1f : 0};
    MUST (kern_loss (b->k, n, d, b->x[0], &t, &loss, &right, b->y));
    keep_floats (b, "loss, gradient", all, b->y);
    keep (b, "loss", all, &loss, sizeof loss);
  }
  MUST (kern_linear_back_weights (b->k, n, 3, d, b->x[1], b->x[0], 0.3f, false,
                                  b->y, b->z));
  keep_floats (b, "bias gradient", (size_t)d, b->z);
}

static void
attention (struct bench *b, int64_t t, int64_t width, int64_t kv)
{
  const struct kern_attention a = {1, t, 4, width, kv, false};
  const struct kern_drop drop = {0.1f, 7, 1, 3, 0};
  size_t n = (size_t)(t * 4 * width);
  size_t all = (size_t)(t * (4 + 2 * kv) * width);
  MUST (kern_attention_want (b->k, &a));
  MUST (kern_seal (b->k));
  MUST (kern_attention_forward (b->k, &a, &drop, b->x[0], b->y, b->w));
  keep_floats (b, "attention", n, b->y);
  MUST (kern_attention_back (b->k, &a, &drop, b->x[0], b->y, b->w, b->x[1],
                             b->z));
  keep_floats (b, "attention_back", all, b->z);
  kern_attention_decode (b->k, &a, 0, t, b->x[0], b->w, b->y);
  keep_floats (b, "attention_decode", n, b->y);
}

static void
pools (struct bench *b, struct kern_dims dims, enum kern_layout l)
{
  struct kern_pool *p = NULL;
  MUST (kern_pool_create (b->k, KERN_POOL_GLOBAL, dims, l, 0, 0, 0, &p));
  MUST (kern_pool_forward (p, b->x[0], b->y, NULL));
  keep_floats (b, "average", (size_t)(dims.n * dims.c), b->y);
  MUST (kern_pool_back (p, b->x[1], NULL, b->y));
  keep_floats (b, "average, back", kern_bytes (b->k, dims, l) / 4, b->y);
  kern_pool_destroy (&p);
  const struct kern_dims few = {dims.n, dims.c, 3, 2};
  kern_mean_forward (b->k, dims, few, l, b->x[0], b->y);
  keep_floats (b, "means", kern_bytes (b->k, few, l) / 4, b->y);
  kern_mean_back (b->k, dims, few, l, b->x[1], b->y);
  keep_floats (b, "means, back", kern_bytes (b->k, dims, l) / 4, b->y);
}

static void
pictures (struct bench *b, struct kern_dims dims, enum kern_layout l)
{
  const struct kern_dims large = {dims.n, dims.c, 17, 19};
  const struct kern_dims image = {dims.n, 3, 17, 300};
  const struct kern_picture p = {.x = b->x[1], .scale = 0.3f};
  double loss;
  kern_bilinear_forward (b->k, dims, large, l, b->x[0], b->y);
  keep_floats (b, "interpolation", (size_t)(dims.n * dims.c * 17 * 19), b->y);
  kern_bilinear_back (b->k, dims, large, l, b->x[1], b->y);
  keep_floats (b, "interpolation, back", kern_bytes (b->k, dims, l) / 4, b->y);
  kern_picture_loss (b->k, image, b->x[0], &p, &loss, b->y);
  keep_floats (b, "pixels, gradient", (size_t)(dims.n * 3 * 17 * 300), b->y);
  keep (b, "pixels", (size_t)dims.n, &loss, sizeof loss);
}

/* x: drawn; every kind of pass. */
static void
normalisation (struct bench *b, struct kern_dims d, enum kern_layout l)
{
  const struct kern_fused f = kern_fused_of (b->k, d, l, 1e-5f);
  const size_t n = kern_bytes (b->k, d, l) / 4, c = (size_t)d.c;
  float *room = floats (kern_fused_bytes (&f) / 4), *m = floats (4 * c);
  const float *scale = b->x[3], *shift = b->x[3] + c;
  for (int i = 0; i < 3; i++) {
    const struct kern_fused_out out = {i == 2 ? b->x[2] : NULL, i > 0, b->y};
    kern_fused_forward (&f, room, b->x[0], scale, shift, m, m + c, &out);
    keep_floats (b, "normalisation", n, b->y);
    keep_floats (b, "normalisation, moments", 2 * c, m);
    const struct kern_fused_in in = {.d_dst = b->x[1],
                                     .more = b->x[2],
                                     .dst = i == 2 ? b->y : NULL,
                                     .relu = i == 1,
                                     .g = b->w};
    kern_fused_back (&f, room, b->x[0], scale, shift, m, m + c, &in, b->z,
                     m + 2 * c, m + 3 * c);
    keep_floats (b, "normalisation, back", n, b->z);
    keep_floats (b, "normalisation, gradients", 2 * c, m + 2 * c);
    kern_fused_infer (&f, room, b->x[0], scale, shift, m, m + c, &out);
    keep_floats (b, "normalisation, given", n, b->y);
  }
  mem_free (&room);
  mem_free (&m);
}

void LEVEL_NAME (LEVEL, level_run) (struct kern *k, struct level_results *out);

void
LEVEL_NAME (LEVEL, level_run) (struct kern *k, struct level_results *out)
{
  static const size_t lengths[] = {1, 15, 16, 17, 100, 4099, 65537};
  static const int64_t widths[] = {3, 16, 37, 768, 1030};
  struct bench b = {.k = k, .out = out};
  for (int i = 0; i < 4; i++) {
    b.x[i] = floats (MOST);
    for (int j = 0; j < MOST; j++)
      b.x[i][j] = (float)random_normal (
          &(struct random_key){11, RANDOM_TEST, (uint64_t)i, 0}, (uint64_t)j);
  }
  b.y = floats (MOST);
  b.z = floats (MOST);
  b.w = floats (MOST);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    blocks (&b, lengths[i]);
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++)
    rows (&b, widths[i]);
  attention (&b, 100, 20, 4);
  attention (&b, 37, 64, 4);
  attention (&b, 70, 22, 2);
  pools (&b, (struct kern_dims){2, 5, 7, 7}, KERN_PLAIN);
  pools (&b, (struct kern_dims){2, 21, 7, 7}, KERN_BLOCKED);
  pools (&b, (struct kern_dims){2, 21, 7, 7}, KERN_LAST);
  pictures (&b, (struct kern_dims){2, 21, 7, 7}, KERN_BLOCKED);
  pictures (&b, (struct kern_dims){3, 5, 7, 2}, KERN_LAST);
  for (int l = KERN_PLAIN; l <= KERN_LAST; l++) {
    normalisation (&b, (struct kern_dims){9, 21, 7, 7}, (enum kern_layout)l);
    normalisation (&b, (struct kern_dims){3, 16, 30, 31}, (enum kern_layout)l);
  }
  for (int i = 0; i < 4; i++)
    mem_free (&b.x[i]);
  mem_free (&b.y);
  mem_free (&b.z);
  mem_free (&b.w);
}
