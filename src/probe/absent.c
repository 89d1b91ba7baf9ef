/* probe/absent.c -- stands in for scalapack.c where the library was not there
 * when the program was built: no grid can be opened, so nothing else is called.
 */
#include "probe/probe_impl.h"

#ifndef HAVE_SCALAPACK

const char *
matrix_library (void)
{
  return NULL;
}

const char *
matrix_arithmetic (void)
{
  return "";
}

enum status
grid_open (struct wire *w, int n_rows, int n_cols, int block, struct grid *g)
{
  (void)w, (void)n_rows, (void)n_cols, (void)block;
  *g = (struct grid){0};
  return fail (E_UNSUPPORTED,
               "this interlock was built without ScaLAPACK, which probe needs: "
               "install it (Debian: libscalapack-openmpi-dev or, for MPICH, "
               "libscalapack-mpich-dev; Spack: netlib-scalapack), then "
               "configure and build again");
}

void
grid_close (struct grid *g)
{
  (void)g;
}

void
grid_threads (int n)
{
  (void)n;
}

#define ABSENT CHECK (false, "without ScaLAPACK there is no grid")

void
part_product (struct part a, bool a_transposed, struct part b,
              bool b_transposed, struct part c)
{
  (void)a, (void)a_transposed, (void)b, (void)b_transposed, (void)c;
  ABSENT;
}

void
part_gram (struct part a, bool over_samples, struct matrix *c)
{
  (void)a, (void)over_samples, (void)c;
  ABSENT;
}

void
part_symmetric_product (struct matrix *s, struct part b, struct part c)
{
  (void)s, (void)b, (void)c;
  ABSENT;
}

void
matrix_factor (struct matrix *a, int n, int *bad)
{
  (void)a, (void)n, (void)bad;
  ABSENT;
}

void
matrix_solve (struct matrix *a, int n, struct matrix *b)
{
  (void)a, (void)n, (void)b;
  ABSENT;
}

double
matrix_eigen_bytes (const struct grid *g, int n, bool wide)
{
  (void)g, (void)n, (void)wide;
  return 0;
}

enum status
matrix_eigenvalues (struct matrix *a, int n, double *values)
{
  (void)a, (void)n, (void)values;
  ABSENT;
  return E_UNSUPPORTED;
}
#endif
