/* kern/tile.c -- products of small matrices, one thread.
 *
 * The library's products cost more around the arithmetic than it takes itself
 * where matrices are as small as a tile of attention.
 */
#include "kern/tile_impl.h"

#include <math.h>
#include <string.h>

/* What is left of the columns from j0 on, and all of them where there are no
 * vectors. */
static void
plain (const struct kern_tile *t, int64_t j0)
{
  for (int64_t i = 0; i < t->m; i++)
    for (int64_t j = j0; j < t->n; j++) {
      const float *a = t->a + i * t->a_row, *b = t->b + j;
      float *c = t->c + i * t->c_row + j, sum = 0;
      for (int64_t l = 0; l < t->inner; l++)
        sum = fmaf (a[l * t->a_in], b[l * t->b_row], sum);
      *c = t->add ? *c + t->alpha * sum : t->alpha * sum;
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define NAME(x) half_##x
#define TARGET "avx2,fma"
#define LANES 8
#define WIDE 2
#define VEC __m256
#define LOAD(p) _mm256_loadu_ps (p)
#define STORE(p, x) _mm256_storeu_ps (p, x)
#define SPREAD(x) _mm256_set1_ps (x)
#define FMA(a, b, c) _mm256_fmadd_ps (a, b, c)
#define MUL(a, b) _mm256_mul_ps (a, b)
#define ADD(a, b) _mm256_add_ps (a, b)
#include "kern/tile_body.h"

#define NAME(x) whole_##x
#define TARGET "avx512f"
#define LANES 16
#define WIDE 4
#define VEC __m512
#define LOAD(p) _mm512_loadu_ps (p)
#define STORE(p, x) _mm512_storeu_ps (p, x)
#define SPREAD(x) _mm512_set1_ps (x)
#define FMA(a, b, c) _mm512_fmadd_ps (a, b, c)
#define MUL(a, b) _mm512_mul_ps (a, b)
#define ADD(a, b) _mm512_add_ps (a, b)
#include "kern/tile_body.h"

/* What the processor has; for the test that compares levels, one of them. */
#ifdef KERN_LEVEL
#define WANTED(level) (strcmp (KERN_LEVEL, level) == 0)
#elif defined(KERN_NO_CLONES)
#define WANTED(level) false
#else
#define WANTED(level) true
#endif

static int64_t
vectors (const struct kern_tile *t)
{
  if (WANTED ("avx512f") && __builtin_cpu_supports ("avx512f"))
    return whole_strips (t);
  if ((WANTED ("avx2")) && __builtin_cpu_supports ("avx2") &&
      __builtin_cpu_supports ("fma"))
    return half_strips (t);
  return 0;
}
#else
static int64_t
vectors (const struct kern_tile *t)
{
  (void)t;
  return 0;
}
#endif

void
kern_tile (const struct kern_tile *t)
{
  const int64_t done = vectors (t);
  if (done < t->n)
    plain (t, done);
}
