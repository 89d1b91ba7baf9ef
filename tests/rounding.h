/* tests/rounding.h -- how far a result in float may lie from the exact one.
 *
 * Limits of comparisons with a twin in double are made of this and of what the
 * arithmetic is: the number of terms, and their size.  They are not what one
 * processor showed: vectors of another width, fused multiply-adds, other tiles
 * and another number of threads all add in another order.
 */
#ifndef TESTS_ROUNDING_H
#define TESTS_ROUNDING_H

#include <math.h>

/* Half the distance from 1 to the next number. */
#define FLOAT_UNIT 0x1p-24
#define DOUBLE_UNIT 0x1p-53

/* The roundings of one e^t, t being given. */
#define EXP_ROUNDINGS 4

/* The error of a sum of n terms, or of n roundings one after the other, in any
 * order, over the sum of the absolute values of the terms.  At most n units;
 * and since they go up as often as down, 10 sqrt (n) units, but for a chance
 * below 2 n e^-50 (Higham, Mary: "A new approach to probabilistic rounding
 * error analysis", SIAM J. Sci. Comput. 41, 2019). */
static inline double
roundings (double n, double unit)
{
  double walk = 10 * sqrt (n);
  return (n < walk ? n : walk) * unit;
}

static inline double
rounding (double n)
{
  return roundings (n, FLOAT_UNIT);
}

/* The error over the result.  Where n terms have random signs, the sum of their
 * absolute values is sqrt (n) times what they sum up to. */
static inline double
roundings_of_result (double n, double unit)
{
  return sqrt (n) * roundings (n, unit);
}

static inline double
rounding_of_result (double n)
{
  return roundings_of_result (n, FLOAT_UNIT);
}

#endif
