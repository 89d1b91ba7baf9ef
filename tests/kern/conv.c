/* ranks: 0 */
/* Convolution against its twin in every layout, direction and algorithm; its
 * gradients against finite differences; accumulation, bits, allocation. */
#include "base/fault.h"
#include "tests/kern/twin.h"

struct row {
  int64_t n, c, h, w, out_c;
  int kernel, stride, pad;
  bool bias;
};
static const struct row rows[] = {
    {2, 3, 9, 7, 16, 3, 1, 1, false},    {1, 3, 17, 17, 64, 7, 2, 3, false},
    {3, 16, 8, 8, 16, 3, 1, 1, true},    {2, 64, 8, 8, 64, 3, 1, 1, true},
    {2, 32, 12, 12, 48, 3, 1, 1, false}, {2, 20, 9, 9, 12, 3, 2, 1, true},
    {2, 5, 7, 7, 20, 1, 1, 0, false},    {2, 12, 8, 8, 5, 1, 2, 0, true},
    {2, 64, 8, 8, 32, 3, 2, 1, false},   {2, 64, 6, 6, 128, 1, 2, 0, false},
    {3, 32, 1, 1, 16, 3, 1, 1, true},
};
static const enum kern_layout pairs[][2] = {{KERN_PLAIN, KERN_PLAIN},
                                            {KERN_PLAIN, KERN_BLOCKED},
                                            {KERN_PLAIN, KERN_LAST},
                                            {KERN_BLOCKED, KERN_BLOCKED},
                                            {KERN_LAST, KERN_LAST}};

static struct kern *k;

/* One convolution with everything it needs, plain and as it wants it. */
struct rig {
  struct kern_conv_shape s;
  struct kern_conv *conv;
  float *x, *w, *bias, *d_y;              /* plain */
  float *src, *master, *d_dst;            /* laid out */
  float *dst, *d_src, *d_master, *d_bias; /* results */
  size_t n_master;
  double factor; /* the algorithm's roundings over those of plain sums */
};
/* Winograd's F (4 x 4, 3 x 3) goes through sums of transformed numbers: of one
 * dimension, the square root of the sum over j of (A_ij |G_j| |B_j|)^2, with
 * the 2-norms of the rows of Lavin's and Gray's matrices, is at most 9.7, where
 * the plain sum of three has sqrt (3).  Two dimensions: (9.7 / sqrt (3))^2. */
#define WINOGRAD 32
/* Our own at other points, likewise: 5.0, and of F (2 x 2, 3 x 3) sqrt (5). */
#define WINOGRAD_4 8.2
#define WINOGRAD_2 1.7

static void
rig_init (struct rig *r, const struct kern_conv_shape *s,
          const struct kern_tuning *t, double factor)
{
  struct kern_dims in = twin_src (s), out = twin_dst (s);
  *r = (struct rig){.s = *s, .factor = factor};
  MUST (kern_conv_create (k, s, t, &r->conv));
  MUST (kern_seal (k));
  r->n_master = kern_conv_weight_bytes (r->conv) / sizeof (float);
  r->x = noise (count (in), 1);
  r->w = noise (twin_weights (s), 2);
  r->bias = noise ((size_t)s->out_c, 3);
  r->d_y = noise (count (out), 4);
  r->src = laid_out (k, in, s->src, r->x);
  r->d_dst = laid_out (k, out, s->dst, r->d_y);
  r->master = floats (r->n_master);
  r->dst = noise (kern_bytes (k, out, s->dst) / 4, 5);
  r->d_src = noise (kern_bytes (k, in, s->src) / 4, 6);
  r->d_master = floats (r->n_master);
  r->d_bias = noise ((size_t)s->out_c, 8);
  MUST (kern_conv_weights_in (r->conv, r->w, r->master));
  MUST (kern_conv_refresh (r->conv, r->master));
}

static void
rig_clear (struct rig *r)
{
  kern_conv_destroy (&r->conv);
  float **all[] = {&r->x,     &r->w,        &r->bias,  &r->d_y,
                   &r->src,   &r->master,   &r->d_dst, &r->dst,
                   &r->d_src, &r->d_master, &r->d_bias};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    mem_free (all[i]);
}

static void
run_forward (struct rig *r)
{
  MUST (kern_conv_forward (r->conv, r->src, r->master,
                           r->s.bias ? r->bias : NULL, r->dst));
}

static void
run_weights (struct rig *r, float scale, bool accumulate)
{
  MUST (kern_conv_back_weights (r->conv, r->src, r->d_dst, scale, accumulate,
                                r->d_master, r->s.bias ? r->d_bias : NULL));
}

/* -- against the twin ------------------------------------------------------ */

/* The terms of a sum of each direction, and two more for a bias, a scale. */
static double
reach (const struct rig *r, enum kern_direction dir)
{
  const struct kern_conv_shape *s = &r->s;
  struct kern_dims out = twin_dst (s);
  int64_t window = s->kernel * s->kernel;
  int64_t n = dir == KERN_FORWARD     ? s->c * window
              : dir == KERN_BACK_DATA ? s->out_c * window
                                      : out.n * out.h * out.w;
  return r->factor * rounding ((double)n + 2);
}

static bool
good_forward (struct rig *r, enum twin_fault fault)
{
  struct kern_dims d = twin_dst (&r->s);
  double *y = doubles (count (d)), *size = doubles (count (d));
  float *got = plain_of (k, d, r->s.dst, r->dst);
  twin_forward (&r->s, r->x, r->w, r->s.bias ? r->bias : NULL, fault, y, size);
  bool good = close_to (count (d), got, y, size, reach (r, KERN_FORWARD)) &&
              padding_is_zero (k, d, r->s.dst, r->dst);
  mem_free (&y);
  mem_free (&size);
  mem_free (&got);
  return good;
}

static bool
good_data (struct rig *r, enum twin_fault fault)
{
  struct kern_dims d = twin_src (&r->s);
  double *y = doubles (count (d)), *size = doubles (count (d));
  float *got = plain_of (k, d, r->s.src, r->d_src);
  twin_back_data (&r->s, r->d_y, r->w, fault, y, size);
  bool good = close_to (count (d), got, y, size, reach (r, KERN_BACK_DATA)) &&
              padding_is_zero (k, d, r->s.src, r->d_src);
  mem_free (&y);
  mem_free (&size);
  mem_free (&got);
  return good;
}

/* Transforms mix the taps of a pair of channels: near the edge of an image some
 * have few terms, and the others' roundings. */
static void
mix_taps (size_t n, int taps, double *size)
{
  for (size_t i = 0; i < n; i += (size_t)taps) {
    double most = 0;
    for (int j = 0; j < taps; j++)
      most = fmax (most, size[i + (size_t)j]);
    for (int j = 0; j < taps; j++)
      size[i + (size_t)j] = most;
  }
}

/* want = a x twin + b x old; the master's padding must be zero, which shows
 * when the plain form is taken in again. */
static bool
good_weights (struct rig *r, enum twin_fault fault, double a, double b,
              const float *old, const float *old_bias)
{
  size_t n = twin_weights (&r->s), o = (size_t)r->s.out_c;
  double *y = doubles (n + o), *size = doubles (n + o);
  float *got = floats (n), *again = floats (r->n_master);
  twin_back_weights (&r->s, r->x, r->d_y, fault, y, size);
  if (r->factor > 1)
    mix_taps (n, r->s.kernel * r->s.kernel, size);
  for (size_t i = 0; i < n; i++) {
    y[i] = a * y[i] + b * old[i];
    size[i] = fabs (a) * size[i] + fabs (b * old[i]);
  }
  MUST (kern_conv_weights_out (r->conv, r->d_master, got));
  MUST (kern_conv_weights_in (r->conv, got, again));
  const double limit = reach (r, KERN_BACK_WEIGHTS);
  bool good = close_to (n, got, y, size, limit);
  for (size_t i = 0; i < r->n_master; i++)
    good = good && again[i] == r->d_master[i];
  if (r->s.bias) {
    twin_back_bias (&r->s, r->d_y, y + n, size + n);
    for (size_t i = 0; i < o; i++) {
      y[n + i] = a * y[n + i] + b * old_bias[i];
      size[n + i] = fabs (a) * size[n + i] + fabs (b * old_bias[i]);
    }
    good = good && close_to (o, r->d_bias, y + n, size + n, limit);
  }
  mem_free (&y);
  mem_free (&size);
  mem_free (&got);
  mem_free (&again);
  return good;
}

static void
against_twin (struct rig *r, const char *name)
{
  size_t n = twin_weights (&r->s);
  float *old = noise (n, 9), *old_bias = noise ((size_t)r->s.out_c, 10);
  float *zero = floats (n + (size_t)r->s.out_c);
  run_forward (r);
  tap_ok (good_forward (r, SOUND), "%s: forward is its twin", name);
  MUST (kern_conv_back_data (r->conv, r->d_dst, r->master, r->d_src));
  tap_ok (good_data (r, SOUND), "%s: backward data is its twin", name);
  run_weights (r, 1, false);
  bool plain = good_weights (r, SOUND, 1, 0, zero, zero);
  run_weights (r, -0.25f, false);
  bool scaled = good_weights (r, SOUND, -0.25, 0, zero, zero);
  MUST (kern_conv_weights_in (r->conv, old, r->d_master));
  memcpy (r->d_bias, old_bias, (size_t)r->s.out_c * sizeof (float));
  run_weights (r, 0.5f, true);
  bool added = good_weights (r, SOUND, 0.5, 1, old, old_bias);
  tap_ok (plain && scaled && added,
          "%s: backward weights is its twin: set, scaled, added", name);
  mem_free (&old);
  mem_free (&old_bias);
  mem_free (&zero);
}

/* -- against finite differences -------------------------------------------- */

/* The gradient in the source or in the weights, plain; free it. */
static float *
gradient_of (struct rig *r, bool in_weights)
{
  if (!in_weights) {
    MUST (kern_conv_back_data (r->conv, r->d_dst, r->master, r->d_src));
    return plain_of (k, twin_src (&r->s), r->s.src, r->d_src);
  }
  float *gradient = floats (twin_weights (&r->s));
  run_weights (r, 1, false);
  MUST (kern_conv_weights_out (r->conv, r->d_master, gradient));
  return gradient;
}

/* <d_y, conv> moved along the gradient, where nothing cancels, and a random
 * direction, in the source or in the weights. */
static bool
good_slope (struct rig *r, bool in_weights)
{
  struct kern_dims in = twin_src (&r->s), out = twin_dst (&r->s);
  size_t n = in_weights ? twin_weights (&r->s) : count (in);
  size_t n_dst = kern_bytes (k, out, r->s.dst) / sizeof (float);
  float *u = noise (n, 11), *gradient = gradient_of (r, in_weights);
  double length = sqrt (dot (n, gradient, gradient) / (double)n);
  struct slope f = {.step = 0.25};
  for (size_t i = 0; i < n; i++)
    u[i] += (float)(gradient[i] / length);
  for (int i = 0; i < 4; i++) {
    float *p = moved (n, in_weights ? r->w : r->x, slope_steps[i] * f.step, u);
    float *q =
        in_weights ? floats (r->n_master) : laid_out (k, in, r->s.src, p);
    if (in_weights)
      MUST (kern_conv_weights_in (r->conv, p, q));
    MUST (kern_conv_forward (r->conv, in_weights ? r->src : q,
                             in_weights ? q : r->master,
                             r->s.bias ? r->bias : NULL, r->dst));
    f.at[i] = dot (n_dst, r->dst, r->d_dst);
    mem_free (&p);
    mem_free (&q);
  }
  /* Linear: what is left is rounding, for a result typically a tenth of its
   * limit.  Those of many results add like a walk. */
  double most =
      fmax (reach (r, KERN_FORWARD),
            reach (r, in_weights ? KERN_BACK_WEIGHTS : KERN_BACK_DATA));
  f.noise = 3 * most * sqrt (dot (n_dst, r->dst, r->dst));
  double slope = dot (n, gradient, u);
  bool good = slope_agrees (&f, slope) && !slope_agrees (&f, 1.1 * slope + 1);
  mem_free (&u);
  mem_free (&gradient);
  return good;
}

/* -- bits and memory ------------------------------------------------------- */

static bool
same_bits (struct rig *a, struct rig *b)
{
  size_t n_dst = kern_bytes (k, twin_dst (&a->s), a->s.dst);
  size_t n_src = kern_bytes (k, twin_src (&a->s), a->s.src);
  struct rig *both[] = {a, b};
  for (int i = 0; i < 2; i++) {
    run_forward (both[i]);
    MUST (kern_conv_back_data (both[i]->conv, both[i]->d_dst, both[i]->master,
                               both[i]->d_src));
    run_weights (both[i], 1, false);
    run_weights (both[i], 0.5f, true);
  }
  return memcmp (a->dst, b->dst, n_dst) == 0 &&
         memcmp (a->d_src, b->d_src, n_src) == 0 &&
         memcmp (a->d_master, b->d_master, a->n_master * 4) == 0;
}

static void
test_case (const struct kern_conv_shape *s, const struct kern_tuning *t,
           double factor, const char *name)
{
  struct rig r, other;
  rig_init (&r, s, t, factor);
  rig_init (&other, s, t, factor);
  size_t bytes, blocks, after_bytes, after, peak;
  against_twin (&r, name);
  tap_ok (good_slope (&r, false) && good_slope (&r, true),
          "%s: both gradients are slopes", name);
  mem_count (&bytes, &blocks, &peak);
  mem_close ();
  bool same = same_bits (&r, &other);
  mem_open ();
  mem_count (&after_bytes, &after, &peak);
  tap_ok (same && blocks == after && bytes == after_bytes,
          "%s: twice the same bits, and nothing allocated", name);
  rig_clear (&r);
  rig_clear (&other);
}

/* A comparison that cannot fail proves nothing. */
static void
test_faults (void)
{
  struct kern_conv_shape s = {2,    20,           7,           9, 12, 3, 1, 1,
                              true, KERN_BLOCKED, KERN_BLOCKED};
  struct rig r;
  float zero[20 * 12 * 9 + 12] = {0};
  rig_init (&r, &s, NULL, 1);
  run_forward (&r);
  MUST (kern_conv_back_data (r.conv, r.d_dst, r.master, r.d_src));
  run_weights (&r, 1, false);
  for (enum twin_fault f = SHIFTED; f <= FORGETFUL; f++)
    tap_ok (!good_forward (&r, f) && !good_data (&r, f) &&
                !good_weights (&r, f, 1, 0, zero, zero),
            "planted fault %d is noticed in all directions", (int)f);
  fault_plant ("kernel:2");
  run_forward (&r);
  enum status got = kern_conv_forward (r.conv, r.src, r.master, r.bias, r.dst);
  tap_ok (got == E_FAULT && strstr (fail_message (), "out=12") != NULL,
          "a kernel that fails is named: %s", fail_message ());
  fail_clear ();
  fault_plant (NULL);
  run_forward (&r);
  r.dst[kern_bytes (k, twin_dst (&s), s.dst) / 4 - 1] = 1;
  tap_ok (!good_forward (&r, SOUND), "a number in the padding is noticed");
  rig_clear (&r);
}

static void
test_messages (void)
{
  struct kern_conv_shape s = {2, 3, 4,     4,         8,        7,
                              1, 0, false, KERN_LAST, KERN_LAST};
  struct kern_conv *c = NULL;
  enum status got = kern_conv_create (k, &s, NULL, &c);
  tap_ok (got == E_SHAPE && c == NULL &&
              strstr (fail_message (), "kernel=7") != NULL,
          "a kernel larger than the image is refused: %s", fail_message ());
  fail_clear ();
  struct kern_tuning *t = NULL;
  MUST (kern_tuning_create (&t));
  MUST (kern_tuning_parse ("conv n=2 c=16 h=8 w=8 out=16 kernel=1 stride=1 "
                           "pad=0 src=last dst=last forward=winograd "
                           "back_data=direct back_weights=direct\n",
                           "text", t));
  s = (struct kern_conv_shape){2, 16, 8,     8,         16,       1,
                               1, 0,  false, KERN_LAST, KERN_LAST};
  got = kern_conv_create (k, &s, t, &c);
  tap_ok (got == E_CONFIG && c == NULL &&
              strstr (fail_message (), "winograd") != NULL,
          "an algorithm that is not offered is refused: %s", fail_message ());
  fail_clear ();
  kern_tuning_destroy (&t);
}

/* A table in which the shape has three algorithms. */
static struct kern_tuning *
tuned (const struct kern_conv_shape *s, const char *const algo[3])
{
  char text[512];
  struct kern_tuning *t = NULL;
  MUST (kern_tuning_create (&t));
  snprintf (text, sizeof text,
            "conv n=%d c=%d h=%d w=%d out=%d kernel=%d stride=%d pad=%d "
            "src=%s dst=%s forward=%s back_data=%s back_weights=%s\n",
            (int)s->n, (int)s->c, (int)s->h, (int)s->w, (int)s->out_c,
            s->kernel, s->stride, s->pad, kern_layout_name (s->src),
            kern_layout_name (s->dst), algo[0], algo[1], algo[2]);
  MUST (kern_tuning_parse (text, "text", t));
  return t;
}

/* Winograd where the library has it: 3x3, stride 1, whole blocks. */
static void
test_winograd (const struct kern_conv_shape *s, const char *shape)
{
  static const char *const algo[3] = {"winograd", "winograd", "winograd"};
  char name[256];
  struct kern_conv *c = NULL;
  struct kern_tuning *t = tuned (s, algo);
  snprintf (name, sizeof name, "%s winograd", shape);
  enum status got = kern_conv_create (k, s, t, &c);
  if (got == OK) {
    tap_ok (strstr (kern_conv_impl (c, KERN_FORWARD), "wino") != NULL &&
                strstr (kern_conv_impl (c, KERN_BACK_DATA), "wino") != NULL &&
                strstr (kern_conv_impl (c, KERN_BACK_WEIGHTS), "wino") != NULL,
            "%s: %s is what runs", name, kern_conv_impl (c, KERN_FORWARD));
    kern_conv_destroy (&c);
    test_case (s, t, WINOGRAD, name);
  } else {
    fail_clear ();
    tap_ok (got == E_CONFIG, "%s: refused by name", name);
    tap_skip ("this library has no Winograd convolution");
  }
  kern_tuning_destroy (&t);
}

/* Our own: sizes that are no multiples of tiles, channels none of blocks and
 * panels. */
static const struct row tiled[] = {
    {3, 16, 8, 8, 16, 3, 1, 1, true},    {2, 64, 8, 8, 64, 3, 1, 1, true},
    {2, 32, 12, 12, 48, 3, 1, 1, false}, {3, 32, 1, 1, 16, 3, 1, 1, true},
    {2, 3, 9, 7, 16, 3, 1, 1, false},    {5, 20, 5, 9, 12, 3, 1, 1, true},
    {3, 24, 7, 7, 40, 3, 1, 1, false},   {1, 96, 4, 4, 72, 3, 1, 1, true},
    {1, 8, 28, 28, 8, 3, 1, 1, false},   {70, 8, 6, 4, 24, 3, 1, 1, true},
    {9, 16, 16, 16, 33, 3, 1, 1, false}, {2, 16, 2, 3, 16, 3, 1, 1, false},
};

/* Its word, one layout on both sides. */
static void
test_tiles (const struct row *r, const char *word, enum kern_layout l,
            double factor)
{
  const struct kern_conv_shape s = {r->n,     r->c,      r->h,      r->w,
                                    r->out_c, r->kernel, r->stride, r->pad,
                                    r->bias,  l,         l};
  const char *const algo[3] = {word, word, word};
  struct kern_tuning *t = tuned (&s, algo);
  char name[128];
  snprintf (name, sizeof name, "%dx%dx%dx%d out %d %s %s", (int)s.n, (int)s.c,
            (int)s.h, (int)s.w, (int)s.out_c, kern_layout_name (l), word);
  struct kern_conv *c = NULL;
  MUST (kern_conv_create (k, &s, t, &c));
  bool ours = true;
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    ours = ours && strncmp (kern_conv_impl (c, (enum kern_direction)d),
                            "own:wino", 8) == 0;
  tap_ok (ours, "%s: proven, and what runs", name);
  kern_conv_destroy (&c);
  test_case (&s, t, factor, name);
  kern_tuning_destroy (&t);
}

/* In each direction beside the library's in the others, which share the
 * weights. */
static void
test_tiles_mixed (void)
{
  const struct kern_conv_shape s = {
      2, 20, 7, 9, 12, 3, 1, 1, true, KERN_BLOCKED, KERN_BLOCKED};
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++) {
    const char *algo[3] = {"direct", "direct", "direct"};
    char name[64];
    algo[d] = "winograd4x4";
    struct kern_tuning *t = tuned (&s, algo);
    snprintf (name, sizeof name, "4x4 in %s alone",
              kern_direction_name ((enum kern_direction)d));
    test_case (&s, t, WINOGRAD_4, name);
    kern_tuning_destroy (&t);
  }
}

/* What plans count is what is asked for: with it come the gradient and its
 * master, and the bias's. */
static void
test_tiles_room (void)
{
  static const char *const words[] = {"winograd2x2", "winograd4x4"};
  const struct kern_conv_shape s = {3, 48, 20,   12,           80,          3,
                                    1, 1,  true, KERN_BLOCKED, KERN_BLOCKED};
  const size_t room = kern_conv_room (&s, kern_isa_use (), 3);
  const size_t beside = (size_t)(2 * 48 * 80 * 9 + 80) * sizeof (float) + 1024;
  size_t most = 0;
  for (int i = 0; i < 2; i++) {
    const char *const algo[3] = {words[i], words[i], words[i]};
    struct kern_tuning *t = tuned (&s, algo);
    struct kern *own = NULL;
    struct kern_conv *c = NULL;
    MUST (kern_open (3, &own));
    MUST (kern_conv_create (own, &s, t, &c));
    const size_t bytes = kern_scratch_bytes (own);
    most = bytes > most ? bytes : most;
    kern_conv_destroy (&c);
    kern_close (&own);
    kern_tuning_destroy (&t);
  }
  tap_ok (room > 0 && room <= most && most <= room + beside,
          "tiles work in %zu bytes, of which a plan counts %zu", most, room);
  const struct kern_conv_shape strided = {
      3, 48, 20, 12, 80, 3, 2, 1, true, KERN_BLOCKED, KERN_BLOCKED};
  tap_ok (kern_conv_room (&strided, kern_isa_use (), 3) == 0,
          "nothing where tiles cannot be");
}

static void
test_all_tiles (void)
{
  for (size_t i = 0; i < sizeof tiled / sizeof *tiled; i++) {
    test_tiles (&tiled[i], "winograd4x4", KERN_BLOCKED, WINOGRAD_4);
    test_tiles (&tiled[i], "winograd2x2", KERN_BLOCKED, WINOGRAD_2);
    if (tiled[i].c % 16 == 0 && tiled[i].out_c % 16 == 0) {
      test_tiles (&tiled[i], "winograd4x4", KERN_LAST, WINOGRAD_4);
      test_tiles (&tiled[i], "winograd2x2", KERN_LAST, WINOGRAD_2);
    }
  }
  test_tiles_mixed ();
}

/* Shapes that are not for tiles are refused, by the word. */
static void
test_tiles_refused (void)
{
  static const struct kern_conv_shape rows_refused[] = {
      {2, 16, 8, 8, 16, 3, 2, 1, false, KERN_BLOCKED, KERN_BLOCKED},
      {2, 16, 8, 8, 16, 3, 1, 0, false, KERN_BLOCKED, KERN_BLOCKED},
      {2, 16, 8, 8, 16, 1, 1, 0, false, KERN_BLOCKED, KERN_BLOCKED},
      {2, 16, 8, 8, 16, 5, 1, 2, false, KERN_BLOCKED, KERN_BLOCKED},
      {2, 3, 8, 8, 16, 3, 1, 1, false, KERN_PLAIN, KERN_BLOCKED},
      {2, 3, 8, 8, 16, 3, 1, 1, false, KERN_LAST, KERN_LAST}};
  static const char *const algo[3] = {"direct", "winograd4x4", "direct"};
  for (size_t i = 0; i < sizeof rows_refused / sizeof *rows_refused; i++) {
    struct kern_conv *c = NULL;
    struct kern_tuning *t = tuned (&rows_refused[i], algo);
    enum status got = kern_conv_create (k, &rows_refused[i], t, &c);
    tap_ok (got == E_CONFIG && c == NULL &&
                strstr (fail_message (), "winograd4x4") != NULL,
            "refused: %s", fail_message ());
    fail_clear ();
    kern_tuning_destroy (&t);
  }
}

/* One number of a transform a thousandth off: the proof drops the kernel, and
 * where it does not see it the twin does. */
static void
test_tiles_fault (const char *word, double factor)
{
  const struct kern_conv_shape s = {
      2, 20, 7, 9, 12, 3, 1, 1, true, KERN_BLOCKED, KERN_BLOCKED};
  const char *const algo[3] = {word, word, word};
  struct kern_tuning *t = tuned (&s, algo);
  float zero[20 * 12 * 9 + 12] = {0};
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++) {
    char plant[32];
    struct rig r;
    struct kern *other = NULL, *mine = k;
    snprintf (plant, sizeof plant, "winograd:%d", d + 1);
    fault_plant (plant);
    MUST (kern_open (1, &other));
    k = other;
    rig_init (&r, &s, t, factor); /* sound in the proof */
    fault_plant (NULL);
    run_forward (&r);
    MUST (kern_conv_back_data (r.conv, r.d_dst, r.master, r.d_src));
    run_weights (&r, 1, false);
    const bool good[3] = {good_forward (&r, SOUND), good_data (&r, SOUND),
                          good_weights (&r, SOUND, 1, 0, zero, zero)};
    tap_ok (!good[d] && good[(d + 1) % 3] && good[(d + 2) % 3],
            "%s: a wrong number in %s is noticed there, by the twin", word,
            kern_direction_name ((enum kern_direction)d));
    rig_clear (&r);
    snprintf (plant, sizeof plant, "winograd:%d", d + 4);
    kern_close (&other);
    fault_plant (plant); /* wrong in the proof */
    MUST (kern_open (1, &other));
    struct kern_conv *c = NULL;
    MUST (kern_conv_create (other, &s, t, &c));
    fault_plant (NULL);
    tap_ok (kern_conv_algo (c, (enum kern_direction)d) == KERN_DIRECT &&
                kern_wrong_count (other) == 1,
            "%s: ... and by the proof", word);
    kern_conv_destroy (&c);
    kern_close (&other);
    k = mine;
  }
  kern_tuning_destroy (&t);
}

/* The number of threads changes no bit. */
static void
test_tiles_threads (const char *word, double factor)
{
  const struct kern_conv_shape s = {
      11, 24, 9, 8, 40, 3, 1, 1, true, KERN_BLOCKED, KERN_BLOCKED};
  const char *const algo[3] = {word, word, word};
  struct kern_tuning *t = tuned (&s, algo);
  struct kern *mine = k, *both[2];
  struct rig r[2];
  for (int i = 0; i < 2; i++) {
    MUST (kern_open (1 + 2 * i, &both[i]));
    k = both[i];
    rig_init (&r[i], &s, t, factor);
  }
  tap_ok (same_bits (&r[0], &r[1]), "%s: one thread and three, the same bits",
          word);
  for (int i = 0; i < 2; i++) {
    rig_clear (&r[i]);
    kern_close (&both[i]);
  }
  k = mine;
  kern_tuning_destroy (&t);
}

/* The other layout's code in all directions and in single ones, which then
 * share the weights with the layout's own; only for one block of channels. */
static void
test_other (const struct kern_conv_shape *s, const char *shape)
{
  static const char *const algo[][3] = {{"other", "other", "other"},
                                        {"other", "direct", "direct"},
                                        {"direct", "other", "other"}};
  for (size_t i = 0; i < sizeof algo / sizeof *algo; i++) {
    char name[256];
    struct kern_conv *c = NULL;
    struct kern_tuning *t = tuned (s, algo[i]);
    snprintf (name, sizeof name, "%s %s %s %s", shape, algo[i][0], algo[i][1],
              algo[i][2]);
    if (s->c == kern_block (k) && s->out_c == s->c)
      test_case (s, t, 1, name);
    else {
      tap_ok (kern_conv_create (k, s, t, &c) == E_CONFIG, "%s: refused", name);
      fail_clear ();
    }
    kern_tuning_destroy (&t);
  }
}

static void
test_rows (void)
{
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (size_t l = 0; l < sizeof pairs / sizeof *pairs; l++) {
      const struct row *r = &rows[i];
      char name[128];
      /* Many plain channels before blocked ones: the library is very slow. */
      if (pairs[l][0] == KERN_PLAIN && pairs[l][1] == KERN_BLOCKED && r->c > 5)
        continue;
      struct kern_conv_shape s = {r->n,     r->c,        r->h,       r->w,
                                  r->out_c, r->kernel,   r->stride,  r->pad,
                                  r->bias,  pairs[l][0], pairs[l][1]};
      snprintf (name, sizeof name, "%dx%dx%dx%d out %d, %dx%d/%d, %s-%s",
                (int)s.n, (int)s.c, (int)s.h, (int)s.w, (int)s.out_c, s.kernel,
                s.kernel, s.stride, kern_layout_name (s.src),
                kern_layout_name (s.dst));
      test_case (&s, NULL, 1, name);
      if (s.src == KERN_BLOCKED && s.c % 16 == 0 && s.out_c % 16 == 0 &&
          s.kernel == 3 && s.stride == 1 && s.h > 1)
        test_winograd (&s, name);
      if (s.src != KERN_PLAIN && s.c % 16 == 0 && s.h == 8)
        test_other (&s, name);
    }
}

int
main (void)
{
  MUST (kern_open (1, &k));
  test_rows ();
  test_all_tiles ();
  test_tiles_refused ();
  test_tiles_fault ("winograd4x4", WINOGRAD_4);
  test_tiles_fault ("winograd2x2", WINOGRAD_2);
  test_tiles_room ();
  test_tiles_threads ("winograd4x4", WINOGRAD_4);
  test_tiles_threads ("winograd2x2", WINOGRAD_2);
  kern_close (&k);
  MUST (kern_open (2, &k));
  struct kern_conv_shape s = {5,    32,           8,           8, 16, 3, 1, 1,
                              true, KERN_BLOCKED, KERN_BLOCKED};
  test_case (&s, NULL, 1, "two threads");
  test_winograd (&s, "two threads");
  test_tiles (&tiled[9], "winograd4x4", KERN_BLOCKED, WINOGRAD_4);
  test_other (&s, "too many channels");
  s.c = 16;
  s.out_c = 32;
  test_other (&s, "too many output channels");
  test_faults ();
  test_messages ();
  kern_close (&k);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left behind");
  return tap_done ();
}
