/* tests/model/twin.h -- the same networks again, slowly, in double.
 *
 * Nothing here knows layouts, slots or layers: plain loops over plain arrays,
 * written from the definitions.  Parameters are looked up by their file names.
 * Every parameter has a direction, so that a loss can be differentiated by a
 * central difference that double precision makes sharp.
 */
#ifndef TESTS_MODEL_TWIN_H
#define TESTS_MODEL_TWIN_H

#include "base/memory.h"
#include "base/random.h"
#include "model/stage.h"
#include "tests/rounding.h"
#include "tests/tap.h"
#include <stdlib.h>

#define TWIN_TENSORS 256
struct twin_tensor {
  char name[TENSOR_NAME + 16]; /* with heads/H/ in front */
  struct tensor_info info;
  bool statistic;
  int64_t n;
  double *v, *dir;
};
struct twin {
  const struct model_spec *spec;
  int n;
  struct twin_tensor t[TWIN_TENSORS];
  bool train;  /* batch statistics ... */
  bool frozen; /* ... in the output alone, which is a head */
  double eps;  /* of BatchNorm; planted faults change it */
  int after;   /* the unit that heads stand behind */
};
struct act {
  int64_t n, c, h, w;
  double *v;
};

static inline void *
twin_new (size_t n, size_t size)
{
  void *p;
  enum status s = mem_new (n, size, "twin", &p);
  CHECK (s == OK, "no memory for the twin");
  return p;
}

static inline struct act
act_new (int64_t n, int64_t c, int64_t h, int64_t w)
{
  struct act a = {n, c, h, w, NULL};
  a.v = twin_new ((size_t)(n * c * h * w), sizeof (double));
  return a;
}

static inline double *
act_at (const struct act *a, int64_t n, int64_t c, int64_t h, int64_t w)
{
  return &a->v[((n * a->c + c) * a->h + h) * a->w + w];
}

/* -- parameters ------------------------------------------------------------ */

/* Take over the values of a stage whose heads are named heads/k/. */
static inline void
twin_load (struct twin *t, struct stage *s, int k)
{
  for (int i = 0; i < stage_tensors (s); i++) {
    struct twin_tensor *q = &t->t[t->n++];
    struct tensor_info info;
    bool head;
    CHECK (t->n <= TWIN_TENSORS, "too many tensors for the twin");
    stage_tensor (s, i, &info, &head, &q->statistic);
    q->info = info;
    if (head)
      snprintf (q->name, sizeof q->name, "heads/%d/%s", k, info.name);
    else
      snprintf (q->name, sizeof q->name, "%s", info.name);
    q->n = tensor_info_count (&q->info);
    q->v = twin_new ((size_t)q->n, sizeof (double));
    q->dir = twin_new ((size_t)q->n, sizeof (double));
    float *plain = twin_new ((size_t)q->n, sizeof (float));
    CHECK (stage_tensor_out (s, i, STAGE_VALUE, plain) == OK, "tensor out");
    for (int64_t j = 0; j < q->n; j++)
      q->v[j] = plain[j];
    mem_free (&plain);
  }
}

static inline void
twin_clear (struct twin *t)
{
  for (int i = 0; i < t->n; i++) {
    mem_free (&t->t[i].v);
    mem_free (&t->t[i].dir);
  }
  t->n = 0;
}

static inline struct twin_tensor *
twin_find (struct twin *t, const char *name, const char *part)
{
  char full[TENSOR_NAME + 16];
  snprintf (full, sizeof full, "%s%s", name, part);
  for (int i = 0; i < t->n; i++)
    if (strcmp (t->t[i].name, full) == 0)
      return &t->t[i];
  return NULL;
}

static inline const double *
twin_value (struct twin *t, const char *name, const char *part)
{
  struct twin_tensor *q = twin_find (t, name, part);
  CHECK (q, "the stage has no tensor %s%s", name, part);
  return q->v;
}

/* -- limits ---------------------------------------------------------------- */

/* The square of how far the results of a stage may be off, over their size:
 * layers do not know of each other's roundings, so their squares add.  Each
 * result is a sum of as many terms as a weight has columns. */
static inline double
twin_squares (const struct stage *s)
{
  double sum = 0;
  for (int i = 0; i < stage_tensors (s); i++) {
    struct tensor_info info;
    bool head, statistic;
    stage_tensor (s, i, &info, &head, &statistic);
    if (info.n_dims > 1)
      sum += pow (rounding_of_result (
                      (double)(tensor_info_count (&info) / info.dims[0])),
                  2);
  }
  return sum;
}

/* The passes through a stage that a result has behind it: forward, or forward,
 * data and weights. */
enum { TWIN_FORWARD = 1, TWIN_GRADIENT = 3 };

static inline double
twin_reach (const struct stage *s, int passes)
{
  return sqrt (passes * twin_squares (s));
}

/* -- layers; each frees its input ------------------------------------------ */

static inline struct act
twin_conv (struct twin *t, struct act x, const char *name, int kernel,
           int stride, bool keep)
{
  struct twin_tensor *wt = twin_find (t, name, ".weight");
  CHECK (wt && wt->info.dims[1] == x.c && wt->info.dims[2] == kernel,
         "weight of %s", name);
  struct twin_tensor *bias = twin_find (t, name, ".bias");
  int64_t o = wt->info.dims[0], pad = kernel / 2;
  struct act y = act_new (x.n, o, (x.h + 2 * pad - kernel) / stride + 1,
                          (x.w + 2 * pad - kernel) / stride + 1);
  for (int64_t n = 0; n < y.n; n++)
    for (int64_t c = 0; c < o; c++)
      for (int64_t h = 0; h < y.h; h++)
        for (int64_t w = 0; w < y.w; w++) {
          double sum = bias ? bias->v[c] : 0.0;
          for (int64_t d = 0; d < x.c; d++)
            for (int64_t i = 0; i < kernel; i++)
              for (int64_t j = 0; j < kernel; j++) {
                int64_t a = h * stride - pad + i, b = w * stride - pad + j;
                if (a >= 0 && a < x.h && b >= 0 && b < x.w)
                  sum += *act_at (&x, n, d, a, b) *
                         wt->v[((c * x.c + d) * kernel + i) * kernel + j];
              }
          *act_at (&y, n, c, h, w) = sum;
        }
  if (!keep)
    mem_free (&x.v);
  return y;
}

/* How near any ReLU came to its kink since this was set. */
static double twin_kink __attribute__ ((unused)) = INFINITY;

static inline void
twin_relu (struct act *x)
{
  for (int64_t i = 0; i < x->n * x->c * x->h * x->w; i++)
    twin_kink = fmin (twin_kink, fabs (x->v[i]));
  for (int64_t i = 0; i < x->n * x->c * x->h * x->w; i++)
    x->v[i] = x->v[i] > 0.0 ? x->v[i] : 0.0;
}

static inline void
twin_moments (const struct act *x, int64_t c, double *mean, double *var)
{
  double count = (double)(x->n * x->h * x->w), sum = 0.0, squares = 0.0;
  for (int64_t n = 0; n < x->n; n++)
    for (int64_t i = 0; i < x->h * x->w; i++)
      sum += act_at (x, n, c, 0, 0)[i];
  *mean = sum / count;
  for (int64_t n = 0; n < x->n; n++)
    for (int64_t i = 0; i < x->h * x->w; i++) {
      double d = act_at (x, n, c, 0, 0)[i] - *mean;
      squares += d * d;
    }
  *var = squares / count;
}

static inline void
twin_bn (struct twin *t, struct act *x, const char *name)
{
  const double *scale = twin_value (t, name, ".weight");
  const double *shift = twin_value (t, name, ".bias");
  for (int64_t c = 0; c < x->c; c++) {
    double mean = twin_value (t, name, ".running_mean")[c];
    double var = twin_value (t, name, ".running_var")[c];
    if (t->train)
      twin_moments (x, c, &mean, &var);
    double f = scale[c] / sqrt (var + t->eps);
    for (int64_t n = 0; n < x->n; n++)
      for (int64_t i = 0; i < x->h * x->w; i++) {
        double *v = act_at (x, n, c, 0, 0) + i;
        *v = (*v - mean) * f + shift[c];
      }
  }
}

static inline struct act
twin_maxpool (struct act x)
{
  struct act y = act_new (x.n, x.c, (x.h - 1) / 2 + 1, (x.w - 1) / 2 + 1);
  for (int64_t p = 0; p < x.n * x.c; p++)
    for (int64_t h = 0; h < y.h; h++)
      for (int64_t w = 0; w < y.w; w++) {
        double most = -1e300;
        for (int64_t i = 2 * h - 1; i <= 2 * h + 1; i++)
          for (int64_t j = 2 * w - 1; j <= 2 * w + 1; j++)
            if (i >= 0 && i < x.h && j >= 0 && j < x.w &&
                x.v[(p * x.h + i) * x.w + j] > most)
              most = x.v[(p * x.h + i) * x.w + j];
        y.v[(p * y.h + h) * y.w + w] = most;
      }
  mem_free (&x.v);
  return y;
}

static inline struct act
twin_gap (struct act x)
{
  struct act y = act_new (x.n, x.c, 1, 1);
  for (int64_t p = 0; p < x.n * x.c; p++) {
    for (int64_t i = 0; i < x.h * x.w; i++)
      y.v[p] += x.v[p * x.h * x.w + i];
    y.v[p] /= (double)(x.h * x.w);
  }
  mem_free (&x.v);
  return y;
}

/* Place (i, j) of n x n: the mean over rows floor (i h / n) up to
 * ceil ((i + 1) h / n), and columns likewise. */
static inline struct act
twin_pool (struct act x, int64_t n)
{
  struct act y = act_new (x.n, x.c, n, n);
  for (int64_t p = 0; p < x.n * x.c; p++)
    for (int64_t o = 0; o < n * n; o++) {
      double count = 0, *to = &y.v[p * n * n + o];
      for (int64_t i = o / n * x.h / n; i * n < (o / n + 1) * x.h; i++)
        for (int64_t j = o % n * x.w / n; j * n < (o % n + 1) * x.w; j++) {
          *to += x.v[(p * x.h + i) * x.w + j];
          count++;
        }
      *to /= count;
    }
  mem_free (&x.v);
  return y;
}

/* An image is normalised over its channels and pixels. */
static inline void
twin_normal (struct act *x, bool centred)
{
  const int64_t m = x->c * x->h * x->w;
  for (int64_t i = 0; i < x->n; i++) {
    double *v = x->v + i * m, mean = 0, var = 0;
    for (int64_t j = 0; j < m && centred; j++)
      mean += v[j] / (double)m;
    for (int64_t j = 0; j < m; j++)
      var += pow (v[j] - mean, 2) / (double)m;
    for (int64_t j = 0; j < m; j++)
      v[j] = (v[j] - mean) / sqrt (var + 1e-5);
  }
}

/* Images are rows of all their numbers. */
static inline struct act
twin_linear (struct twin *t, struct act x, const char *name)
{
  struct twin_tensor *w = twin_find (t, name, ".weight");
  x.c *= x.h * x.w;
  CHECK (w && w->info.n_dims == 2 && w->info.dims[1] == x.c, "weight of %s",
         name);
  const double *b = twin_value (t, name, ".bias");
  struct act y = act_new (x.n, w->info.dims[0], 1, 1);
  for (int64_t n = 0; n < x.n; n++)
    for (int64_t o = 0; o < y.c; o++) {
      double sum = b[o];
      for (int64_t i = 0; i < x.c; i++)
        sum += w->v[o * x.c + i] * x.v[n * x.c + i];
      y.v[n * y.c + o] = sum;
    }
  mem_free (&x.v);
  return y;
}

/* -- units and heads ------------------------------------------------------- */

static inline struct act
twin_copy (const struct act *x)
{
  struct act y = act_new (x->n, x->c, x->h, x->w);
  memcpy (y.v, x->v, (size_t)(x->n * x->c * x->h * x->w) * sizeof *y.v);
  return y;
}

/* y + side; frees side. */
static inline void
twin_add (struct act *y, struct act side, const char *name)
{
  CHECK (side.c == y->c && side.h == y->h && side.w == y->w, "shortcut of %s",
         name);
  for (int64_t i = 0; i < y->n * y->c * y->h * y->w; i++)
    y->v[i] += side.v[i];
  mem_free (&side.v);
}

/* He et al. 2016, "Identity mappings": BN, ReLU, convolution, two or three
 * times; a projection sees what the first BN and ReLU give, an identity what
 * they are given. */
static inline struct act
twin_block_pre (struct twin *t, struct act x, const char *name, int stride)
{
  const bool basic = t->spec->block == MODEL_BASIC;
  char part[96], shortcut[96];
  snprintf (shortcut, sizeof shortcut, "%s.downsample.0", name);
  struct act side = twin_copy (&x);
  for (int i = 1; i <= (basic ? 2 : 3); i++) {
    snprintf (part, sizeof part, "%s.bn%d", name, i);
    twin_bn (t, &x, part);
    twin_relu (&x);
    if (i == 1 && twin_find (t, shortcut, ".weight")) {
      mem_free (&side.v);
      side = twin_conv (t, x, shortcut, 1, stride, true);
    }
    snprintf (part, sizeof part, "%s.conv%d", name, i);
    x = twin_conv (t, x, part, basic || i == 2 ? 3 : 1,
                   i == (basic ? 1 : 2) ? stride : 1, false);
  }
  twin_add (&x, side, name);
  return x;
}

static inline struct act
twin_block_post (struct twin *t, struct act x, const char *name, int stride)
{
  const bool basic = t->spec->block == MODEL_BASIC;
  char part[96];
  struct act y = x, side = x;
  const int n = basic ? 2 : 3;
  for (int i = 1; i <= n; i++) {
    int kernel = basic || i == 2 ? 3 : 1;
    int s = i == (basic ? 1 : 2) ? stride : 1;
    snprintf (part, sizeof part, "%s.conv%d", name, i);
    y = twin_conv (t, y, part, kernel, s, i == 1);
    snprintf (part, sizeof part, "%s.bn%d", name, i);
    twin_bn (t, &y, part);
    if (i < n)
      twin_relu (&y);
  }
  snprintf (part, sizeof part, "%s.downsample.0", name);
  if (twin_find (t, part, ".weight")) {
    side = twin_conv (t, x, part, 1, stride, false);
    snprintf (part, sizeof part, "%s.downsample.1", name);
    twin_bn (t, &side, part);
  }
  twin_add (&y, side, name);
  twin_relu (&y);
  return y;
}

static inline struct act
twin_block (struct twin *t, struct act x, const char *name, int stride)
{
  return t->spec->order == MODEL_PRE ? twin_block_pre (t, x, name, stride)
                                     : twin_block_post (t, x, name, stride);
}

static inline struct act
twin_unit (struct twin *t, struct act x, int unit)
{
  const struct model_spec *s = t->spec;
  const bool pre = s->order == MODEL_PRE;
  if (unit == 0) {
    bool big = s->stem == MODEL_STEM_IMAGENET;
    x = twin_conv (t, x, "conv1", big ? 7 : 3, big ? 2 : 1, false);
    if (!pre) {
      twin_bn (t, &x, "bn1");
      twin_relu (&x);
    }
    return big ? twin_maxpool (x) : x;
  }
  unit--;
  for (int g = 0; g < s->n_groups; unit -= s->blocks[g++])
    if (unit < s->blocks[g]) {
      char name[64];
      snprintf (name, sizeof name, "layer%d.%d", g + 1, unit);
      return twin_block (t, x, name, g > 0 && unit == 0 ? 2 : 1);
    }
  if (pre) {
    const bool train = t->train;
    t->train = train || t->frozen;
    twin_bn (t, &x, "bn");
    t->train = train;
    twin_relu (&x);
  }
  return twin_linear (t, twin_gap (x), "fc");
}

/* The group of unit u; of the stem the first. */
static inline int
twin_group (const struct model_spec *s, int u)
{
  int g = 0;
  for (int left = u - 1; g < s->n_groups - 1 && left >= s->blocks[g]; g++)
    left -= s->blocks[g];
  return g;
}

/* AugLocal's blocks behind unit t->after: evenly over the units that follow, of
 * their width, a halving for every group that was entered, one at a time. */
static inline struct act
twin_like (struct twin *t, struct act x, int k, int depth)
{
  const struct model_spec *s = t->spec;
  int units = 0, halvings = 0, group = twin_group (s, t->after);
  for (int g = 0; g < s->n_groups; g++)
    units += s->blocks[g];
  const int rest = units - t->after, n = depth < rest ? depth : rest;
  for (int i = 1; i <= n; i++) {
    const int u = (int)rint (t->after + (double)rest / n * i);
    char name[64];
    halvings += twin_group (s, u) - group;
    group = twin_group (s, u);
    snprintf (name, sizeof name, "heads/%d/0.%d", k, i - 1);
    x = twin_block (t, x, name, halvings > 0 ? 2 : 1);
    CHECK (x.c == s->width[group] * (s->block == MODEL_BASIC ? 1 : 4),
           "channels of %s", name);
    halvings -= halvings > 0;
  }
  return x;
}

/* Words of the grammar one after the other; knows nothing but good heads. */
static inline struct act
twin_head (struct twin *t, struct act x, int k, const char *grammar)
{
  char copy[128], words[128], *word, *rest = copy;
  int blocks = 0, used = 0;
  snprintf (words, sizeof words, "%.*s", (int)strcspn (grammar, "+"), grammar);
  grammar = words;
  if (sscanf (grammar, "like-%d%n", &blocks, &used) == 1)
    x = twin_like (t, x, k, blocks);
  if (blocks > 0)
    grammar = grammar[used]                 ? grammar + used + 1
              : t->spec->order == MODEL_PRE ? "bn-gap-fc"
                                            : "gap-fc";
  snprintf (copy, sizeof copy, "%s", grammar);
  for (int i = blocks > 0; (word = strsep (&rest, "-")); i++) {
    char name[64];
    snprintf (name, sizeof name, "heads/%d/%d", k, i);
    if (strncmp (word, "conv", 4) == 0) {
      char *s = strchr (word, 's');
      x = twin_conv (t, x, name, word[5] == 'x' ? 1 : 3, s ? atoi (s + 1) : 1,
                     false);
      if (!rest || strncmp (rest, "bn", 2) != 0)
        twin_relu (&x);
    } else if (strcmp (word, "bn") == 0) {
      twin_bn (t, &x, name);
      if (i > 0)
        twin_relu (&x);
    } else if (strcmp (word, "gap") == 0)
      x = twin_gap (x);
    else if (strcmp (word, "ln") == 0)
      twin_normal (&x, true);
    else if (strncmp (word, "pool", 4) == 0)
      x = twin_pool (x, atoi (word + 4));
    else {
      x = twin_linear (t, x, name);
      if (word[2] && strncmp (rest, "bn", 2) != 0)
        twin_relu (&x);
    }
  }
  return x;
}

/* Planted: interpolation does not align corners. */
static bool twin_corners __attribute__ ((unused)) = true;

/* Where place i of a side of `to` lies on one of `from`. */
static inline double
twin_place (int64_t i, int64_t from, int64_t to)
{
  if (!twin_corners)
    return fmin (fmax (((double)i + 0.5) * (double)from / (double)to - 0.5, 0),
                 (double)(from - 1));
  return to > 1 ? (double)i * (double)(from - 1) / (double)(to - 1) : 0;
}

/* To h x w; each place is a mean of those that are less than one away. */
static inline struct act
twin_bilinear (struct act x, int64_t h, int64_t w)
{
  struct act y = act_new (x.n, x.c, h, w);
  for (int64_t n = 0; n < x.n; n++)
    for (int64_t c = 0; c < x.c; c++)
      for (int64_t i = 0; i < h * w; i++)
        for (int64_t j = 0; j < x.h * x.w; j++) {
          const double v =
              fabs (twin_place (i / w, x.h, h) - (double)(j / x.w));
          const double u =
              fabs (twin_place (i % w, x.w, w) - (double)(j % x.w));
          if (v < 1 && u < 1)
            act_at (&y, n, c, 0, 0)[i] +=
                (1 - v) * (1 - u) * act_at (&x, n, c, 0, 0)[j];
        }
  mem_free (&x.v);
  return y;
}

/* The decoder of head k on x, which it frees: the sum over samples of the mean
 * over channels and pixels of the cross-entropy with the images, whose values
 * were normalised by mean and std. */
static inline double
twin_rebuilt (struct twin *t, struct act x, int k, const float *images,
              const double *mean, const double *std)
{
  char name[3][64];
  double sum = 0;
  for (int i = 0; i < 3; i++)
    snprintf (name[i], sizeof name[i], "heads/%d/rec.%d", k, i + (i == 2));
  x = twin_bilinear (x, t->spec->height, t->spec->width_px);
  x = twin_conv (t, x, name[0], 3, 1, false);
  twin_bn (t, &x, name[1]);
  twin_relu (&x);
  x = twin_conv (t, x, name[2], 3, 1, false);
  const int64_t pixels = x.h * x.w;
  for (int64_t i = 0; i < x.n * x.c * pixels; i++) {
    const int64_t c = i / pixels % x.c;
    const double v = images[i] * std[c] + mean[c];
    const double target = fmin (fmax (v, 0), 1), z = x.v[i];
    sum += fmax (z, 0) - z * target + log1p (exp (-fabs (z)));
  }
  sum /= (double)(x.c * pixels);
  mem_free (&x.v);
  return sum;
}

/* Of labels: the target is 1 - e at the label and e / classes everywhere. */
static double twin_smoothing __attribute__ ((unused));

/* Sum of the cross-entropies; frees the logits. */
static inline double
twin_loss (struct act logits, const int32_t *labels)
{
  const double e = twin_smoothing;
  double sum = 0.0;
  for (int64_t n = 0; n < logits.n; n++) {
    const double *z = &logits.v[n * logits.c];
    double most = z[0], total = 0.0;
    for (int64_t i = 1; i < logits.c; i++)
      most = z[i] > most ? z[i] : most;
    for (int64_t i = 0; i < logits.c; i++)
      total += exp (z[i] - most);
    for (int64_t i = 0; i < logits.c && labels[n] >= 0; i++)
      sum += ((1 - e) * (i == labels[n]) + e / (double)logits.c) *
             (log (total) + most - z[i]);
  }
  mem_free (&logits.v);
  return sum;
}

#endif
