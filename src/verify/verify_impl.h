/* verify/verify_impl.h -- what the parts of the self-check share. */
#ifndef VERIFY_VERIFY_IMPL_H
#define VERIFY_VERIFY_IMPL_H

#include "run/session.h"
#include "train/train.h"
#include "verify/verify.h"

/* Largest relative error, over stages, of the gradient along a direction
 * (itself and something random) against the central difference of sum_h
 * route[k][h] L_h; *stage: whose, K for that of a matrix that stages share,
 * which is left out where the mix is a mean, and a tied embedding is the matrix
 * of heads as well.  The configuration must have lr 0, weight_decay 0, dropout
 * 0, head_tokens 1, heads all, one batch that repeats, and as many steps:
 * CHECK_STEPS per stage. Collective on world. */
#define CHECK_WIDTHS 4
#define CHECK_STEPS (2 + 4 * CHECK_WIDTHS)
enum status
check_gradients (struct session *s, double *worst, int *stage);

#endif
