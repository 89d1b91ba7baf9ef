/* kern/fused.c -- batch normalisation in as few passes as it takes.
 *
 * Statistics are sums of distances from a number near the mean, so one pass is
 * enough and nothing cancels.  They are in single precision over some hundred
 * rows, in double over those.  What the second pass reads was read last by the
 * same thread: it goes backwards, and finds some of it in the cache.
 */
#include "kern/fused_impl.h"
#include "kern/kern_impl.h"

#include <math.h>
#include <omp.h>

/* Rows that are added up in single precision; numbers of a unit, of what stays
 * in the first cache, and of what does between two passes. */
#define SINGLE 256
#define SHARE 32768
#define PIECE 4096
#define TURN (1 << 18)
/* Rows whose mean the distances are taken from. */
#define NEAR 64

struct kern_fused
kern_fused_of (const struct kern *k, struct kern_dims d, enum kern_layout l,
               float eps)
{
  struct kern_fused f = {
      .v = kern_view_of (k, d, l), .eps = eps, .threads = k->threads};
  struct kern_view *v = &f.v;
  if (l == KERN_PLAIN && v->h * v->w == 1) {
    v->wide = v->c;
    v->groups = 1;
  }
  if (v->groups == 1) { /* images behind each other are one */
    v->h *= v->n;
    v->n = 1;
  }
  const int64_t rows = v->h * v->w, most = SHARE / v->wide;
  f.rows = rows;
  f.images = f.together = 1;
  if (v->n == 1)
    f.rows = most < NEAR ? NEAR : most / NEAR * NEAR;
  else if (most > rows) {
    f.together = most / rows < v->groups ? most / rows : v->groups;
    f.images = most / (rows * f.together);
  }
  f.blocks = (v->groups + f.together - 1) / f.together;
  f.parts = v->n == 1 ? (rows + f.rows - 1) / f.rows
                      : (v->n + f.images - 1) / f.images;
  return f;
}

/* Channels, padding included. */
static int64_t
channels (const struct kern_fused *f)
{
  return f->v.groups * f->v.wide;
}

/* What a pass keeps beside the tensors: per unit and channel two sums, and some
 * numbers of each channel. */
enum { NUMBERS = 5 };
struct room {
  double *sum;   /* [parts, groups, 2, wide] */
  float *single; /* the same, of the rows at hand */
  float *near;   /* distances are taken from it; the mean */
  float *slope;  /* scale rstd */
  float *shift;
  float *less, *z; /* backward: taken away, the first as it is, the second
                      times the distance */
};

static size_t
sums_bytes (const struct kern_fused *f, size_t each)
{
  return arena_round ((size_t)(2 * f->parts * channels (f)) * each);
}

static size_t
line_bytes (const struct kern_fused *f)
{
  return arena_round ((size_t)channels (f) * sizeof (float));
}

size_t
kern_fused_bytes (const struct kern_fused *f)
{
  return sums_bytes (f, sizeof (double)) + sums_bytes (f, sizeof (float)) +
         NUMBERS * line_bytes (f);
}

static struct room
room_in (const struct kern_fused *f, void *room)
{
  struct room r = {.sum = room};
  float **const all[NUMBERS] = {&r.near, &r.slope, &r.shift, &r.less, &r.z};
  char *at = (char *)room + sums_bytes (f, sizeof (double));
  r.single = (float *)(void *)at;
  at += sums_bytes (f, sizeof (float));
  for (int i = 0; i < NUMBERS; i++, at += line_bytes (f))
    *all[i] = (float *)(void *)at;
  return r;
}

/* -- rows ------------------------------------------------------------------ */

/* Rows that lie behind each other in memory. */
struct piece {
  int64_t at; /* the first number */
  int64_t rows, group;
};

/* What a unit has, and how far it is walked: through its images, the groups of
 * each, the rows of each. */
struct walk {
  int64_t image, images;       /* to .. */
  int64_t first_group, groups; /* from .. to .. */
  int64_t first_row, rows;     /* from .. to .. */
  int64_t group, row;
};

static int64_t
least (int64_t a, int64_t b)
{
  return a < b ? a : b;
}

static struct walk
walk_of (const struct kern_fused *f, int64_t i)
{
  const struct kern_view *v = &f->v;
  const int64_t part = i / f->blocks, group = i % f->blocks * f->together;
  struct walk w = {.images = 1,
                   .first_group = group,
                   .groups = least (group + f->together, v->groups),
                   .rows = v->h * v->w,
                   .group = group};
  if (v->n > 1) {
    w.image = part * f->images;
    w.images = least (w.image + f->images, v->n);
  } else {
    w.first_row = w.row = part * f->rows;
    w.rows = least (w.row + f->rows, w.rows);
  }
  return w;
}

/* The next piece, and its group; false at the end. */
static bool
next_piece (const struct kern_fused *f, struct walk *w, struct piece *p)
{
  const struct kern_view *v = &f->v;
  const int64_t some = PIECE / v->wide / 4 * 4;
  if (w->image == w->images)
    return false;
  p->group = w->group;
  p->rows = least (w->rows - w->row, some < 4 ? 4 : some);
  p->at = ((w->image * v->groups + w->group) * v->h * v->w + w->row) * v->wide;
  w->row += p->rows;
  if (w->row == w->rows) {
    w->row = w->first_row;
    w->group++;
  }
  if (w->group == w->groups) {
    w->group = w->first_group;
    w->image++;
  }
  return true;
}

/* Some blocks of groups at a time go through both passes, so many that the
 * second one finds in a cache what the first has read. */
struct turn {
  int64_t block, blocks; /* from .. to .. */
};

static bool
next_turn (const struct kern_fused *f, struct turn *t)
{
  const struct kern_view *v = &f->v;
  const int64_t one = v->n * v->h * v->w * v->wide * f->together;
  const int64_t some = TURN / one < 1 ? 1 : TURN / one;
  t->block = t->blocks;
  t->blocks = least (t->block + some, f->blocks);
  return t->block < f->blocks;
}

/* The units of this thread in a turn: j from *first to *end - 1 is unit_of. */
static void
my_units (const struct kern_fused *f, struct turn t, int64_t *first,
          int64_t *end)
{
  const int64_t n = f->parts * (t.blocks - t.block);
  const int64_t me = omp_get_thread_num (), of = omp_get_num_threads ();
  *first = n * me / of;
  *end = n * (me + 1) / of;
}

static int64_t
unit_of (const struct kern_fused *f, struct turn t, int64_t j)
{
  const int64_t n = t.blocks - t.block;
  return j / n * f->blocks + t.block + j % n;
}

/* Channels of a turn, padding included. */
static void
turn_channels (const struct kern_fused *f, struct turn t, int64_t *first,
               int64_t *end)
{
  const int64_t each = f->together * f->v.wide;
  *first = t.block * each;
  *end = least (t.blocks * each, f->v.groups * f->v.wide);
}

static bool
is_large (const struct kern_fused *f)
{
  return f->v.n * f->v.h * f->v.w * channels (f) > KERN_ALONE;
}

/* -- sums of a piece ------------------------------------------------------- */

/* Numbers of the channels that a piece has. */
struct line {
  const float *near, *slope, *shift;
};

/* sum += x - near, and squares of that; four rows at a time, first by twos. */
__attribute__ ((always_inline)) static inline void
distances (int64_t rows, int64_t wide, const float *restrict x,
           const float *restrict near, float *restrict sum,
           float *restrict squares)
{
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * wide)
#pragma omp simd
    for (int64_t j = 0; j < wide; j++) {
      const float a = x[j] - near[j], b = x[wide + j] - near[j];
      const float c = x[2 * wide + j] - near[j], d = x[3 * wide + j] - near[j];
      sum[j] += (a + b) + (c + d);
      squares[j] += (a * a + b * b) + (c * c + d * d);
    }
  for (; r < rows; r++, x += wide)
#pragma omp simd
    for (int64_t j = 0; j < wide; j++) {
      const float a = x[j] - near[j];
      sum[j] += a;
      squares[j] += a * a;
    }
}

/* Sums of a width that is known stay in registers: CALL adds to `one` and
 * `two`. */
#define KNOWN(n, CALL)               \
  do {                               \
    float one[n], two[n];            \
    memcpy (one, sum, sizeof one);   \
    memcpy (two, along, sizeof two); \
    CALL;                            \
    memcpy (sum, one, sizeof one);   \
    memcpy (along, two, sizeof two); \
  } while (0)

KERN_CLONES static void
add_distances (int64_t rows, int64_t wide, const float *x, const float *near,
               float *sum, float *along)
{
  if (wide == 16)
    KNOWN (16, distances (rows, 16, x, near, one, two));
  else if (wide == 8)
    KNOWN (8, distances (rows, 8, x, near, one, two));
  else
    distances (rows, wide, x, near, sum, along);
}

/* Where the gradient behind normalisation comes from: as it is; where its ReLU,
 * made again from x, let something through; where the ReLU behind a sum did,
 * from one or two parts, and then it is left for others. */
enum gate { GATE_NONE, GATE_RELU, GATE_SUM, GATE_TWO };
struct grads {
  const float *d, *more, *y;
  float *g;
};

/* Number i of it; z: distance. */
__attribute__ ((always_inline)) static inline float
gated (enum gate gate, const struct grads *s, int64_t i, float z, float slope,
       float shift)
{
  if (gate == GATE_NONE)
    return s->d[i];
  if (gate == GATE_RELU)
    return z * slope + shift > 0.0f ? s->d[i] : 0.0f;
  const float two = gate == GATE_TWO ? s->d[i] + s->more[i] : s->d[i];
  const float g = s->y[i] > 0.0f ? two : 0.0f;
  s->g[i] = g;
  return g;
}

/* sum += g, along += g (x - near). */
__attribute__ ((always_inline)) static inline void
slopes (int64_t rows, int64_t wide, enum gate gate, const float *x,
        struct grads s, struct line l, float *restrict sum,
        float *restrict along)
{
  int64_t r = 0;
  for (; r + 2 <= rows; r += 2)
#pragma omp simd
    for (int64_t j = 0; j < wide; j++) {
      const int64_t i = r * wide + j;
      const float a = l.slope[j], b = l.shift[j];
      const float z0 = x[i] - l.near[j], z1 = x[i + wide] - l.near[j];
      const float g0 = gated (gate, &s, i, z0, a, b);
      const float g1 = gated (gate, &s, i + wide, z1, a, b);
      sum[j] += g0 + g1;
      along[j] += g0 * z0 + g1 * z1;
    }
  for (; r < rows; r++)
#pragma omp simd
    for (int64_t j = 0; j < wide; j++) {
      const int64_t i = r * wide + j;
      const float z = x[i] - l.near[j];
      const float g = gated (gate, &s, i, z, l.slope[j], l.shift[j]);
      sum[j] += g;
      along[j] += g * z;
    }
}

/* NAME: add_slopes for one kind of gate. */
#define ADD_SLOPES(NAME, gate)                                              \
  KERN_CLONES static void NAME (int64_t rows, int64_t wide, const float *x, \
                                struct grads s, struct line l, float *sum,  \
                                float *along)                               \
  {                                                                         \
    if (wide == 16)                                                         \
      KNOWN (16, slopes (rows, 16, gate, x, s, l, one, two));               \
    else if (wide == 8)                                                     \
      KNOWN (8, slopes (rows, 8, gate, x, s, l, one, two));                 \
    else                                                                    \
      slopes (rows, wide, gate, x, s, l, sum, along);                       \
  }
ADD_SLOPES (add_slopes, GATE_NONE)
ADD_SLOPES (add_slopes_relu, GATE_RELU)
ADD_SLOPES (add_slopes_sum, GATE_SUM)
ADD_SLOPES (add_slopes_two, GATE_TWO)

/* g = d + more where y is above 0. */
KERN_CLONES static void
rectify (int64_t n, const float *d, const float *more, const float *y, float *g)
{
  if (more == NULL)
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
      g[i] = y[i] > 0.0f ? d[i] : 0.0f;
  else
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      const float s = d[i] + more[i];
      g[i] = y[i] > 0.0f ? s : 0.0f;
    }
}

void
kern_fused_gate (const struct kern_fused *f, const struct kern_fused_in *in)
{
  const int64_t n = f->v.n * f->v.h * f->v.w * channels (f);
#pragma omp parallel for schedule(static) \
    num_threads(f->threads) if (n > KERN_ALONE)
  for (int64_t at = 0; at < n; at += PIECE)
    rectify (n - at < PIECE ? n - at : PIECE, in->d_dst + at,
             in->more == NULL ? NULL : in->more + at, in->dst + at, in->g + at);
}

/* -- results of a piece ---------------------------------------------------- */

/* A loop over rows of `wide` numbers, made for widths that are known. */
#define BY_WIDTH(loop, ...)           \
  do {                                \
    if (wide == 16)                   \
      loop (rows, 16, __VA_ARGS__);   \
    else if (wide == 8)               \
      loop (rows, 8, __VA_ARGS__);    \
    else                              \
      loop (rows, wide, __VA_ARGS__); \
  } while (0)

/* "0 > y ? 0 : y" and not "y > 0 ? y : 0": a NaN stays a NaN. */
__attribute__ ((always_inline)) static inline void
normal_rows (int64_t rows, int64_t wide, bool relu, const float *x,
             struct line l, const float *side, float *y)
{
  for (int64_t r = 0; r < rows; r++)
#pragma omp simd
    for (int64_t j = 0; j < wide; j++) {
      const int64_t i = r * wide + j;
      float v = (x[i] - l.near[j]) * l.slope[j] + l.shift[j];
      if (side != NULL)
        v += side[i];
      y[i] = relu && 0.0f > v ? 0.0f : v;
    }
}

KERN_CLONES static void
put_normal (int64_t rows, int64_t wide, const float *x, struct line l, float *y)
{
  BY_WIDTH (normal_rows, false, x, l, NULL, y);
}

KERN_CLONES static void
put_relu (int64_t rows, int64_t wide, const float *x, struct line l, float *y)
{
  BY_WIDTH (normal_rows, true, x, l, NULL, y);
}

KERN_CLONES static void
put_sum_relu (int64_t rows, int64_t wide, const float *x, struct line l,
              const float *side, float *y)
{
  BY_WIDTH (normal_rows, true, x, l, side, y);
}

/* d_x = slope (g - less - (x - near) z). */
__attribute__ ((always_inline)) static inline void
gradient_rows (int64_t rows, int64_t wide, enum gate gate, const float *x,
               const float *d, struct line l, const float *less, const float *z,
               float *d_x)
{
  const struct grads s = {.d = d};
  for (int64_t r = 0; r < rows; r++)
#pragma omp simd
    for (int64_t j = 0; j < wide; j++) {
      const int64_t i = r * wide + j;
      const float v = x[i] - l.near[j];
      const float g = gated (gate, &s, i, v, l.slope[j], l.shift[j]);
      d_x[i] = l.slope[j] * (g - less[j] - v * z[j]);
    }
}

KERN_CLONES static void
put_gradient (int64_t rows, int64_t wide, const float *x, const float *d,
              struct line l, const float *less, const float *z, float *d_x)
{
  BY_WIDTH (gradient_rows, GATE_NONE, x, d, l, less, z, d_x);
}

KERN_CLONES static void
put_gradient_relu (int64_t rows, int64_t wide, const float *x, const float *d,
                   struct line l, const float *less, const float *z, float *d_x)
{
  BY_WIDTH (gradient_rows, GATE_RELU, x, d, l, less, z, d_x);
}

static struct line
line_of (const struct room *r, int64_t at)
{
  return (struct line){r->near + at, r->slope + at, r->shift + at};
}

/* -- sums of a unit -------------------------------------------------------- */

/* n single sums go into the double ones, and begin again. */
static void
settle (int64_t n, float *single, double *sum)
{
  for (int64_t j = 0; j < n; j++) {
    sum[j] += (double)single[j];
    single[j] = 0;
  }
}

/* What a pass that adds up reads. */
struct reads {
  const float *x;
  const struct kern_fused_in *in; /* NULL: statistics */
};

static void
add_piece (const struct kern_fused *f, const struct reads *s, struct piece p,
           struct line l, float *sum)
{
  const int64_t wide = f->v.wide;
  const float *x = s->x + p.at;
  float *along = sum + wide;
  if (s->in == NULL) {
    add_distances (p.rows, wide, x, l.near, sum, along);
    return;
  }
  const struct kern_fused_in *in = s->in;
  const bool sum_behind = in->dst != NULL, two = sum_behind && in->more != NULL;
  const struct grads g = {in->d_dst + p.at, two ? in->more + p.at : NULL,
                          sum_behind ? in->dst + p.at : NULL,
                          sum_behind ? in->g + p.at : NULL};
  (two          ? add_slopes_two
   : sum_behind ? add_slopes_sum
   : in->relu   ? add_slopes_relu
                : add_slopes) (p.rows, wide, x, g, l, sum, along);
}

/* Sums go into double where many rows of a channel were added: of long images
 * on the way through each, of short ones behind some of all groups. */
static void
add_unit (const struct kern_fused *f, const struct room *r,
          const struct reads *s, int64_t i)
{
  const int64_t wide = f->v.wide;
  struct walk w = walk_of (f, i);
  struct piece p;
  const int64_t part = i / f->blocks, rows = w.rows - w.first_row;
  const int64_t at = 2 * wide * (part * f->v.groups + w.first_group);
  const int64_t n = 2 * wide * (w.groups - w.first_group);
  const bool is_long = rows >= SINGLE;
  double *sum = r->sum + at;
  float *single = r->single + at;
  int64_t pending = 0;
  memset (sum, 0, (size_t)n * sizeof *sum);
  memset (single, 0, (size_t)n * sizeof *single);
  while (next_piece (f, &w, &p)) {
    const int64_t here = 2 * wide * (p.group - w.first_group);
    add_piece (f, s, p, line_of (r, p.group * wide), single + here);
    pending += is_long ? p.rows : 0;
    if (is_long && (pending >= SINGLE || w.row == w.first_row)) {
      settle (2 * wide, single + here, sum + here);
      pending = 0;
    }
    if (is_long || w.group != w.first_group || w.row != w.first_row)
      continue;
    pending += rows; /* of one more image */
    if (pending >= SINGLE || w.image == w.images) {
      settle (n, single, sum);
      pending = 0;
    }
  }
}

/* Both sums of channel c over all parts, in their order. */
static void
totals (const struct kern_fused *f, const struct room *r, int64_t c,
        double total[2])
{
  const int64_t wide = f->v.wide, group = c / wide;
  total[0] = total[1] = 0;
  for (int64_t u = 0; u < f->parts; u++) {
    const double *sum =
        r->sum + 2 * (u * f->v.groups + group) * wide + c % wide;
    total[0] += sum[0];
    total[1] += sum[wide];
  }
}

static double
count_of (const struct kern_fused *f)
{
  return (double)(f->v.n * f->v.h * f->v.w);
}

/* -- forward --------------------------------------------------------------- */

/* A number near the mean of every channel: the mean of the first rows. */
static void
look_near (const struct kern_fused *f, const float *src, float *near)
{
  const int64_t wide = f->v.wide, rows = f->v.h * f->v.w;
  const int64_t some = rows < NEAR ? rows : NEAR;
  for (int64_t g = 0; g < f->v.groups; g++) {
    float *m = near + g * wide;
    memset (m, 0, (size_t)wide * sizeof *m);
    for (int64_t r = 0; r < some; r++)
      for (int64_t j = 0; j < wide; j++)
        m[j] += src[(g * rows + r) * wide + j];
    for (int64_t j = 0; j < wide; j++)
      m[j] /= (float)some;
  }
}

static void
find_moments (const struct kern_fused *f, const struct room *r, struct turn u,
              float *mean, float *var)
{
  const double n = count_of (f);
  int64_t c, end;
  for (turn_channels (f, u, &c, &end); c < least (end, f->v.c); c++) {
    double t[2];
    totals (f, r, c, t);
    const double v = (t[1] - t[0] * t[0] / n) / n;
    mean[c] = (float)((double)r->near[c] + t[0] / n);
    var[c] = (float)(v < 0 ? 0 : v);
  }
}

/* A channel whose statistics are not finite comes out as NaN throughout. */
static double
rstd_of (const struct kern_fused *f, float mean, float var)
{
  const bool fine = isfinite (mean) && isfinite (var);
  return fine ? 1 / sqrt ((double)var + (double)f->eps) : (double)NAN;
}

/* Numbers of each channel; 0 in padding. */
static void
set_lines (const struct kern_fused *f, struct room *r, struct turn t,
           const float *scale, const float *shift, const float *mean,
           const float *var)
{
  int64_t c, end;
  for (turn_channels (f, t, &c, &end); c < end; c++) {
    const bool real = c < f->v.c;
    r->near[c] = real ? mean[c] : 0;
    r->slope[c] = real ? (float)(scale[c] * rstd_of (f, mean[c], var[c])) : 0;
    r->shift[c] = real ? shift[c] : 0;
  }
}

static void
put_unit (const struct kern_fused *f, const struct room *r, const float *src,
          const struct kern_fused_out *out, int64_t i)
{
  const int64_t wide = f->v.wide;
  struct walk w = walk_of (f, i);
  struct piece p;
  while (next_piece (f, &w, &p)) {
    const struct line l = line_of (r, p.group * wide);
    const float *x = src + p.at;
    float *y = out->dst + p.at;
    if (out->side != NULL)
      put_sum_relu (p.rows, wide, x, l, out->side + p.at, y);
    else if (out->relu)
      put_relu (p.rows, wide, x, l, y);
    else
      put_normal (p.rows, wide, x, l, y);
  }
}

void
kern_fused_forward (const struct kern_fused *f, void *room, const float *src,
                    const float *scale, const float *shift, float *mean,
                    float *var, const struct kern_fused_out *out)
{
  struct room r = room_in (f, room);
  const struct reads s = {src, NULL};
  look_near (f, src, r.near);
#pragma omp parallel num_threads(f->threads) if (is_large(f))
  for (struct turn t = {0}; next_turn (f, &t);) {
    int64_t first, end;
    my_units (f, t, &first, &end);
    for (int64_t j = first; j < end; j++)
      add_unit (f, &r, &s, unit_of (f, t, j));
#pragma omp barrier
#pragma omp single
    {
      find_moments (f, &r, t, mean, var);
      set_lines (f, &r, t, scale, shift, mean, var);
    }
    for (int64_t j = end - 1; j >= first; j--)
      put_unit (f, &r, src, out, unit_of (f, t, j));
  }
}

void
kern_fused_infer (const struct kern_fused *f, void *room, const float *src,
                  const float *scale, const float *shift, const float *mean,
                  const float *var, const struct kern_fused_out *out)
{
  struct room r = room_in (f, room);
  set_lines (f, &r, (struct turn){0, f->blocks}, scale, shift, mean, var);
#pragma omp parallel for schedule(static) \
    num_threads(f->threads) if (is_large(f))
  for (int64_t i = 0; i < f->parts * f->blocks; i++)
    put_unit (f, &r, src, out, i);
}

/* -- backward -------------------------------------------------------------- */

/* With z = (x - mean) rstd and g the gradient behind the ReLU:
 *   d_x = scale rstd (g - mean of g - z mean of (g z)) */
static void
find_slopes (const struct kern_fused *f, const struct room *r, struct turn u,
             const float *var, float *d_scale, float *d_shift)
{
  const double n = count_of (f);
  int64_t c, end;
  for (turn_channels (f, u, &c, &end); c < end; c++) {
    double t[2] = {0, 0}, rstd = 0;
    if (c < f->v.c) {
      totals (f, r, c, t);
      rstd = rstd_of (f, r->near[c], var[c]);
      d_scale[c] = (float)(t[1] * rstd);
      d_shift[c] = (float)t[0];
    }
    r->less[c] = (float)(t[0] / n);
    r->z[c] = (float)(t[1] / n * rstd * rstd);
  }
}

static void
back_unit (const struct kern_fused *f, const struct room *r,
           const struct reads *s, float *d_src, int64_t i)
{
  const int64_t wide = f->v.wide;
  const float *d = s->in->dst != NULL ? s->in->g : s->in->d_dst;
  struct walk w = walk_of (f, i);
  struct piece p;
  while (next_piece (f, &w, &p)) {
    const int64_t c = p.group * wide;
    (s->in->relu ? put_gradient_relu : put_gradient) (
        p.rows, wide, s->x + p.at, d + p.at, line_of (r, c), r->less + c,
        r->z + c, d_src + p.at);
  }
}

void
kern_fused_back (const struct kern_fused *f, void *room, const float *src,
                 const float *scale, const float *shift, const float *mean,
                 const float *var, const struct kern_fused_in *in, float *d_src,
                 float *d_scale, float *d_shift)
{
  struct room r = room_in (f, room);
  const struct reads s = {src, in};
  set_lines (f, &r, (struct turn){0, f->blocks}, scale, shift, mean, var);
#pragma omp parallel num_threads(f->threads) if (is_large(f))
  for (struct turn t = {0}; next_turn (f, &t);) {
    int64_t first, end;
    my_units (f, t, &first, &end);
    for (int64_t j = first; j < end; j++)
      add_unit (f, &r, &s, unit_of (f, t, j));
#pragma omp barrier
#pragma omp single
    find_slopes (f, &r, t, var, d_scale, d_shift);
    for (int64_t j = end - 1; j >= first; j--)
      back_unit (f, &r, &s, d_src, unit_of (f, t, j));
  }
}
