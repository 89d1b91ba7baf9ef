/* kern/rope.c -- rotary positions: heads turned by an angle that grows with the
 * position (Su, Lu, Pan, Murtadha, Wen, Liu: "RoFormer", 2021).
 *
 * Number j of a head is turned with number j + width / 2, as Hugging Face lays
 * out Llama.  Cosines and sines of all positions are made once, in double, and
 * kept by the kern: all layers of a network turn alike.
 */
#include "kern/kern_impl.h"

#include <math.h>

#define BASE 10000.0

struct kern_angles {
  int64_t t, width;
  struct kern_angles *next; /* owned */
  float table[];            /* t x width */
};

/* Of each position the cosines, then the sines, of width / 2 angles. */
static void
fill (struct kern_angles *a)
{
  const int64_t half = a->width / 2;
  for (int64_t j = 0; j < half; j++) {
    const double speed = pow (BASE, -2.0 * (double)j / (double)a->width);
    for (int64_t i = 0; i < a->t; i++) {
      a->table[i * a->width + j] = (float)cos ((double)i * speed);
      a->table[i * a->width + half + j] = (float)sin ((double)i * speed);
    }
  }
}

enum status
kern_rope_angles (struct kern *k, int64_t t, int64_t width, const float **out)
{
  struct kern_angles *a = k->angles;
  while (a != NULL && (a->t != t || a->width != width))
    a = a->next;
  if (a == NULL) {
    CHECK (width % 2 == 0, "heads of %lld numbers", (long long)width);
    TRY (mem_new (sizeof *a + (size_t)(t * width) * sizeof (float), 1, "angles",
                  (void **)&a));
    a->t = t;
    a->width = width;
    a->next = k->angles;
    k->angles = a;
    fill (a);
  }
  *out = a->table;
  return OK;
}

void
kern_angles_clear (struct kern *k)
{
  while (k->angles != NULL) {
    struct kern_angles *next = k->angles->next;
    mem_free (&k->angles);
    k->angles = next;
  }
}

KERN_CLONES static void
turn (int64_t half, const float *angle, float sign, const float *x, float *y)
{
#pragma omp simd
  for (int64_t j = 0; j < half; j++) {
    const float c = angle[j], s = sign * angle[half + j];
    const float a = x[j], b = x[half + j];
    y[j] = a * c - b * s;
    y[half + j] = b * c + a * s;
  }
}

void
kern_rope (struct kern *k, const struct kern_rope *r, const float *angles,
           bool back, const float *x, float *y)
{
  const float sign = back ? -1.0f : 1.0f;
#pragma omp parallel for schedule(static) \
    num_threads(k->threads) if (r->n * r->ld > KERN_ALONE)
  for (int64_t i = 0; i < r->n; i++) {
    const float *angle = angles + (r->first + i) % r->t * r->width;
    for (int64_t h = 0; h < r->heads; h++) {
      const int64_t at = i * r->ld + h * r->width;
      turn (r->width / 2, angle, sign, x + at, y + at);
    }
  }
}
