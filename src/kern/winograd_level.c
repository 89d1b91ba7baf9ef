/* kern/winograd_level.c -- Winograd's loops for each instruction set.
 *
 * The one in use goes by the library's level, so that ranks under a common
 * limit (kern_isa_limit) compute alike: with AVX2 and with AVX-512 the same
 * bits, products and sums rounded once; without them rounded twice.
 */
#include "kern/kern_impl.h"
#include "kern/winograd_impl.h"

#define UNROLL _Pragma ("GCC unroll 16")

#define UP_TO_4(m, run) \
  if (m == 4)           \
    run (4);            \
  else if (m == 3)      \
    run (3);            \
  else if (m == 2)      \
    run (2);            \
  else                  \
    run (1);
#define UP_TO_6(m, run) \
  if (m == 6)           \
    run (6);            \
  else if (m == 5)      \
    run (5);            \
  else                  \
    UP_TO_4 (m, run)
#define UP_TO_12(m, run) \
  if (m == 12)           \
    run (12);            \
  else if (m == 11)      \
    run (11);            \
  else if (m == 10)      \
    run (10);            \
  else if (m == 9)       \
    run (9);             \
  else if (m == 8)       \
    run (8);             \
  else if (m == 7)       \
    run (7);             \
  else                   \
    UP_TO_6 (m, run)

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>

#define VEC __m512
#define LANES 16
#define ROWS 12
#define CASES UP_TO_12
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define ALL _mm512_set1_ps
#define FMA _mm512_fmadd_ps
#define FNMA _mm512_fnmadd_ps
#define TARGET __attribute__ ((target ("avx512f")))
#define NAME(x) avx512_##x
#include "kern/winograd_loops_impl.h"

#define VEC __m256
#define LANES 8
#define ROWS 6
#define CASES UP_TO_6
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define ALL _mm256_set1_ps
#define FMA _mm256_fmadd_ps
#define FNMA _mm256_fnmadd_ps
#define TARGET __attribute__ ((target ("avx2,fma")))
#define NAME(x) avx2_##x
#include "kern/winograd_loops_impl.h"
#endif

typedef float four __attribute__ ((vector_size (16)));
typedef float four_at __attribute__ ((vector_size (16), aligned (4)));

#define VEC four
#define LANES 4
#define ROWS 4
#define CASES UP_TO_4
#define LOAD(p) (*(const four_at *)(const void *)(p))
#define STORE(p, x) (*(four_at *)(void *)(p) = (x))
#define ALL(x) ((four){(x), (x), (x), (x)})
#define FMA(a, b, c) ((a) * (b) + (c))
#define FNMA(a, b, c) ((c) - (a) * (b))
#define TARGET
#define NAME(x) plain_##x
#include "kern/winograd_loops_impl.h"

const struct kern_wino_level *
kern_wino_level (const struct kern *k)
{
#if defined(__x86_64__) && defined(__GNUC__)
  if (kern_isa_includes (k->isa, "avx512_core"))
    return &avx512_level;
  if (kern_isa_includes (k->isa, "avx2") && __builtin_cpu_supports ("fma"))
    return &avx2_level;
#endif
  (void)k;
  return &plain_level;
}
