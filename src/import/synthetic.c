/* import/synthetic.c -- procedurally drawn images: which shape is above which?
 *
 * There are five shapes: ring, cross, square, triangle, bars.  An image holds
 * two different ones, one above the other, and the class is the ordered pair
 * (upper, lower).  Classes come in couples with the two shapes exchanged, so
 * that knowing which shapes are there decides the class only up to a couple,
 * and knowing one shape and its place leaves two classes or more: shapes have
 * to be found and then put together.
 *
 *   class      0              1              2               3          ...
 *   upper     ring          cross          cross           square
 *   lower     cross         ring           square          cross
 *
 * Nothing else tells: place, size, slight rotation, colour and the sign of the
 * contrast are drawn independently of the class, for each shape anew, on a
 * background of four blended corner colours with strokes as clutter; then
 * noise. Shapes are their own mirror images, so that flipping keeps the class.
 * A linear model on pixels stays near chance (tests/import/synthetic.c holds it
 * below 60 %).
 *
 * Same bits everywhere: integers only.  A canvas is 2048 x 2048 units whatever
 * the size in pixels; a pixel is covered in sixteenths, by 4 x 4 points.  Every
 * number is drawn from (seed, split, sample).
 */
#include "import/import_impl.h"

#include "base/log.h"
#include "base/random.h"
#include <string.h>

#define CANVAS 2048
#define SHAPES 5
#define CLASSES_MOST (SHAPES * (SHAPES - 1))

/* What makes it hard; 64 units are one pixel of a 32 x 32 image. */
enum {
  RADIUS_LEAST = 288,
  RADIUS_MOST = 400,
  GAP_LEAST = 640, /* between the centres, downwards */
  GAP_MOST = 1152,
  CONTRAST_LEAST = 60, /* of the strongest channel, in 0..255 */
  CONTRAST_MOST = 120,
  STROKES = 3,
  STROKE_CONTRAST = 40,
  NOISE = 14 /* half the width of each of two uniform parts */
};

static const char *const shape_names[SHAPES] = {"ring", "cross", "square",
                                                "triangle", "bars"};

/* -- dice ------------------------------------------------------------------ */

struct dice {
  struct random_key key;
  uint64_t next;
};

/* From lo to hi, both included. */
static int
roll (struct dice *d, int lo, int hi)
{
  return lo + (int)random_below (&d->key, d->next++, (uint64_t)(hi - lo + 1));
}

/* -- shapes ---------------------------------------------------------------- */

/* Is (u, v) inside?  The shape fills about -256 .. 256 in both; v downwards. */
static bool
inside (int shape, int u, int v)
{
  int au = u < 0 ? -u : u, av = v < 0 ? -v : v;
  int rho = u * u + v * v, far = au > av ? au : av;
  switch (shape) {
  case 0:
    return rho <= 256 * 256 && rho >= 150 * 150;
  case 1:
    return far <= 256 && (au <= 72 || av <= 72);
  case 2:
    return far <= 232 && far >= 116;
  case 3:
    return v >= -256 && v <= 200 && 16 * au <= 10 * (v + 256);
  default:
    return au <= 244 && av <= 232 && av >= 88;
  }
}

/* 1024 times cosine and sine of 0, 3, 6, 9, 12 degrees. */
static const int turn_cos[5] = {1024, 1023, 1018, 1011, 1002};
static const int turn_sin[5] = {0, 54, 107, 160, 213};

struct glyph {
  int shape, x, y, radius, turn; /* turn: -4 .. 4, in 3 degrees */
  int add[3];                    /* on each channel, full coverage */
};

static bool
covers (const struct glyph *g, int x, int y)
{
  int turn = g->turn < 0 ? -g->turn : g->turn;
  int c = turn_cos[turn], s = g->turn < 0 ? -turn_sin[turn] : turn_sin[turn];
  int dx = x - g->x, dy = y - g->y;
  int u = (c * dx + s * dy) / 4, v = (c * dy - s * dx) / 4;
  return inside (g->shape, u / g->radius, v / g->radius);
}

/* -- the canvas ------------------------------------------------------------ */

/* Colours in 0..255 with room outside until the end; [3, size, size]. */
struct canvas {
  int size;
  int *value;
};

/* Add to the pixels of the box that g covers, in sixteenths. */
static void
draw_glyph (struct canvas *k, const struct glyph *g)
{
  int pixel = CANVAS / k->size, point = pixel / 4;
  int reach = g->radius * 3 / 2;
  for (int y = 0; y < k->size; y++)
    for (int x = 0; x < k->size; x++) {
      int left = x * pixel + point / 2, top = y * pixel + point / 2;
      if (left > g->x + reach || left + pixel < g->x - reach ||
          top > g->y + reach || top + pixel < g->y - reach)
        continue;
      int n = 0;
      for (int i = 0; i < 16; i++)
        n += covers (g, left + i % 4 * point, top + i / 4 * point);
      for (int c = 0; c < 3; c++)
        k->value[(c * k->size + y) * k->size + x] += g->add[c] * n / 16;
    }
}

/* Four corner colours, blended bilinearly. */
static void
draw_background (struct canvas *k, struct dice *d)
{
  int n = k->size;
  for (int c = 0; c < 3; c++) {
    int corner[4];
    for (int i = 0; i < 4; i++)
      corner[i] = roll (d, 64, 191);
    for (int y = 0; y < n; y++)
      for (int x = 0; x < n; x++)
        k->value[(c * n + y) * n + x] =
            ((corner[0] * (n - x) + corner[1] * x) * (n - y) +
             (corner[2] * (n - x) + corner[3] * x) * y) /
            (n * n);
  }
}

/* A straight stroke, thin and faint, anywhere; points along it are covered. */
static void
draw_stroke (struct canvas *k, struct dice *d)
{
  int x0 = roll (d, 0, CANVAS - 1), y0 = roll (d, 0, CANVAS - 1);
  int x1 = x0 + roll (d, -500, 500), y1 = y0 + roll (d, -500, 500);
  int add[3], pixel = CANVAS / k->size, last = -1;
  for (int c = 0; c < 3; c++)
    add[c] = roll (d, -STROKE_CONTRAST, STROKE_CONTRAST);
  for (int i = 0; i <= 64; i++) {
    int x = x0 + (x1 - x0) * i / 64, y = y0 + (y1 - y0) * i / 64;
    if (x < 0 || y < 0 || x >= CANVAS || y >= CANVAS)
      continue;
    int at = y / pixel * k->size + x / pixel;
    for (int c = 0; at != last && c < 3; c++)
      k->value[c * k->size * k->size + at] += add[c];
    last = at;
  }
}

/* Noise of triangular distribution, then cut to bytes. */
static void
finish (const struct canvas *k, const struct random_key *key,
        unsigned char *out)
{
  int n = 3 * k->size * k->size;
  uint32_t word[4];
  for (int i = 0; i < n; i++) {
    if (i % 4 == 0)
      random_block (key, ((uint64_t)1 << 32) + (uint64_t)i / 4, word);
    int a = (int)((word[i % 4] >> 16) * (2 * NOISE + 1) >> 16) - NOISE;
    int b = (int)((word[i % 4] & 0xffff) * (2 * NOISE + 1) >> 16) - NOISE;
    int v = k->value[i] + a + b;
    out[i] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
  }
}

/* -- an image -------------------------------------------------------------- */

/* A class is a pair of shapes, one above the other.  Even classes: neighbours
 * in the ring of shapes, then those two apart.  An odd class has the two of the
 * one before it exchanged, so a network must see which is above. */
static void
class_shapes (int label, int *upper, int *lower)
{
  int couple = label / 2, apart = couple < SHAPES ? 1 : 2;
  int a = couple % SHAPES, b = (a + apart) % SHAPES;
  *upper = label % 2 == 0 ? a : b;
  *lower = label % 2 == 0 ? b : a;
}

static void
roll_glyph (struct dice *d, int shape, struct glyph *g)
{
  *g = (struct glyph){.shape = shape};
  g->radius = roll (d, RADIUS_LEAST, RADIUS_MOST);
  g->turn = roll (d, -4, 4);
  g->x = roll (d, g->radius, CANVAS - 1 - g->radius);
  int sign = roll (d, 0, 1) ? 1 : -1;
  int contrast = roll (d, CONTRAST_LEAST, CONTRAST_MOST);
  for (int c = 0; c < 3; c++)
    g->add[c] = sign * contrast * roll (d, 2, 8) / 8;
}

/* The order of the rolls is part of the format: another one would draw other
 * images from the same seed. */
void
import_synthetic_draw (uint64_t seed, enum data_split split, int64_t sample,
                       int label, int size, unsigned char *out)
{
  int value[3 * 128 * 128];
  CHECK (size >= 8 && size <= 128 && CANVAS % size == 0, "size %d", size);
  struct canvas k = {size, value};
  struct dice d = {.key = {.seed = seed,
                           .purpose = RANDOM_SYNTHETIC,
                           .a = (uint64_t)split,
                           .b = (uint64_t)sample}};
  struct glyph up, low;
  int upper, lower;
  class_shapes (label, &upper, &lower);
  roll_glyph (&d, upper, &up);
  roll_glyph (&d, lower, &low);
  int room = CANVAS - 1 - up.radius - low.radius;
  int gap = roll (&d, GAP_LEAST, room < GAP_MOST ? room : GAP_MOST);
  if (gap < up.radius + low.radius)
    gap = up.radius + low.radius;
  up.y = roll (&d, up.radius, CANVAS - 1 - low.radius - gap);
  low.y = up.y + gap;
  draw_background (&k, &d);
  for (int i = 0; i < STROKES; i++)
    draw_stroke (&k, &d);
  draw_glyph (&k, &up);
  draw_glyph (&k, &low);
  finish (&k, &d.key, out);
}

/* -- the importer ---------------------------------------------------------- */

static enum status
draw_split (struct import_images *m, uint64_t seed, enum data_split which,
            int64_t n)
{
  struct import_images_split *split = &m->split[which];
  size_t bytes = (size_t)3 * (size_t)m->height * (size_t)m->width;
  TRY (import_images_room (m, which, n));
  for (int64_t i = 0; i < n; i++) {
    int label = (int)(i % m->n_classes);
    split->labels[i] = (unsigned char)label;
    import_synthetic_draw (seed, which, i, label, m->height,
                           split->pixels + (size_t)i * bytes);
    if (i % 1000 == 0)
      log_live ("drawing %s %lld of %lld", data_split_name (which),
                (long long)i, (long long)n);
  }
  split->n = n;
  return OK;
}

enum status
import_synthetic (const struct import_job *job, struct import_images *m)
{
  struct import_option o[] = {
      {"seed", 1, 0, INT64_MAX, NULL},
      {"train", 20000, 1, 1000000, NULL},
      {"valid", 2000, 0, 1000000, NULL},
      {"test", 2000, 0, 1000000, NULL},
      {"classes", 10, 2, CLASSES_MOST, NULL},
      {"size", 32, 8, 128, NULL},
  };
  TRY (import_options_parse (job->kind, job->n_options, job->options, o, 6));
  int size = (int)o[5].value;
  if (CANVAS % size != 0)
    return fail (E_CONFIG,
                 "import synthetic: size=%d: expected 8, 16, 32, 64 "
                 "or 128",
                 size);
  if (job->n_inputs > 0)
    return fail (E_USAGE, "import synthetic: takes no input, got \"%s\"",
                 job->inputs[0]);
  m->name = "synthetic";
  m->n_classes = (int)o[4].value;
  m->channels = 3;
  m->height = m->width = size;
  text_add (&m->origin, "drawn, seed %lld, revision 1", (long long)o[0].value);
  for (int i = 0; i < m->n_classes; i++) {
    int upper, lower;
    class_shapes (i, &upper, &lower);
    text_add (&m->classes, "%s%s above %s", i ? "\n" : "", shape_names[upper],
              shape_names[lower]);
  }
  for (int i = 0; i < DATA_SPLITS; i++)
    TRY (draw_split (m, (uint64_t)o[0].value, (enum data_split)i,
                     o[1 + i].value));
  return OK;
}
