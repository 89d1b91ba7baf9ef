/* ranks: 0 */
/* No kernel of the library is believed unseen: narrow strided convolutions,
 * whose kernels write beyond their memory; planted wrong verdicts, which others
 * take the place of; our own kernels against the twin; what is kept. */
#include "base/fault.h"
#include "tests/kern/twin.h"

static struct kern *k;

static void
open_with (const char *fault)
{
  fault_plant (fault);
  MUST (kern_open (1, &k));
}

/* Of which terms a result is the sum: each is rounded at most twice. */
static double
bound_of (double terms)
{
  return 2 * (terms + 1) * 0x1p-24;
}

struct
try {
  struct kern_conv_shape s;
  struct kern_conv *c;
  float *x, *w, *d_y, *bias; /* plain */
  float *src, *d_dst, *master;
  size_t n_master;
};

static void
try_open (struct try *t, const struct kern_conv_shape *s)
{
  *t = (struct try){.s = *s};
  MUST (kern_conv_create (k, s, NULL, &t->c));
  MUST (kern_seal (k));
  t->n_master = kern_conv_weight_bytes (t->c) / sizeof (float);
  t->x = noise (count (twin_src (s)), 1);
  t->w = noise (twin_weights (s), 2);
  t->d_y = noise (count (twin_dst (s)), 3);
  t->bias = noise ((size_t)s->out_c, 4);
  t->src = laid_out (k, twin_src (s), s->src, t->x);
  t->d_dst = laid_out (k, twin_dst (s), s->dst, t->d_y);
  t->master = floats (t->n_master);
  MUST (kern_conv_weights_in (t->c, t->w, t->master));
  MUST (kern_conv_refresh (t->c, t->master));
}

static void
try_close (struct try *t)
{
  kern_conv_destroy (&t->c);
  mem_free (&t->x);
  mem_free (&t->w);
  mem_free (&t->d_y);
  mem_free (&t->bias);
  mem_free (&t->src);
  mem_free (&t->d_dst);
  mem_free (&t->master);
}

static bool
good_forward (const struct try *t, enum twin_fault fault)
{
  const struct kern_dims d = twin_dst (&t->s);
  double *y = doubles (count (d)), *size = doubles (count (d));
  float *dst = noise (kern_bytes (k, d, t->s.dst) / 4, 5);
  const float *bias = t->s.bias ? t->bias : NULL;
  MUST (kern_conv_forward (t->c, t->src, t->master, bias, dst));
  float *got = plain_of (k, d, t->s.dst, dst);
  twin_forward (&t->s, t->x, t->w, bias, fault, y, size);
  double terms = (double)(t->s.c * t->s.kernel * t->s.kernel);
  bool good = close_to (count (d), got, y, size, bound_of (terms)) &&
              padding_is_zero (k, d, t->s.dst, dst);
  mem_free (&y);
  mem_free (&size);
  mem_free (&dst);
  mem_free (&got);
  return good;
}

static bool
good_data (const struct try *t, enum twin_fault fault)
{
  const struct kern_dims d = twin_src (&t->s);
  double *y = doubles (count (d)), *size = doubles (count (d));
  float *d_src = noise (kern_bytes (k, d, t->s.src) / 4, 6);
  MUST (kern_conv_back_data (t->c, t->d_dst, t->master, d_src));
  float *got = plain_of (k, d, t->s.src, d_src);
  twin_back_data (&t->s, t->d_y, t->w, fault, y, size);
  double terms = (double)(t->s.out_c * t->s.kernel * t->s.kernel);
  bool good = close_to (count (d), got, y, size, bound_of (terms)) &&
              padding_is_zero (k, d, t->s.src, d_src);
  mem_free (&y);
  mem_free (&size);
  mem_free (&d_src);
  mem_free (&got);
  return good;
}

static bool
good_weights (const struct try *t, enum twin_fault fault)
{
  const size_t n = twin_weights (&t->s);
  const struct kern_dims d = twin_dst (&t->s);
  double *y = doubles (n), *size = doubles (n);
  float *grad = floats (t->n_master), *again = floats (t->n_master);
  float *got = floats (n), *d_bias = floats ((size_t)t->s.out_c);
  float *to = t->s.bias ? d_bias : NULL;
  for (int i = 0; i < 2; i++)
    MUST (kern_conv_back_weights (t->c, t->src, t->d_dst, 1, false,
                                  i == 0 ? grad : again, to));
  MUST (kern_conv_weights_out (t->c, grad, got));
  twin_back_weights (&t->s, t->x, t->d_y, fault, y, size);
  bool good =
      close_to (n, got, y, size, bound_of ((double)(d.n * d.h * d.w))) &&
      memcmp (grad, again, t->n_master * sizeof *grad) == 0;
  if (to) {
    twin_back_bias (&t->s, t->d_y, y, size);
    good = good && close_to ((size_t)t->s.out_c, d_bias, y, size,
                             bound_of ((double)(d.n * d.h * d.w)));
  }
  mem_free (&y);
  mem_free (&size);
  mem_free (&grad);
  mem_free (&again);
  mem_free (&got);
  mem_free (&d_bias);
  return good;
}

static bool
is_library (const struct try *t, enum kern_direction d, const char *name)
{
  return strstr (kern_conv_impl (t->c, d), name) != NULL;
}

/* Image sizes at which the fault shows: on AVX2 small ones do, on AVX-512 what
 * small ones write beyond stays inside a slack. */
static void
test_narrow (void)
{
  static const int channels[] = {1, 4, 7, 8, 12, 15, 16};
  for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
    for (int size = 16; size <= 64; size += 48) {
      const int c = channels[i];
      struct kern_conv_shape s = {4, c, size,  size,      16,       1,
                                  2, 0, false, KERN_LAST, KERN_LAST};
      struct try t;
      try_open (&t, &s);
      tap_ok (c >= kern_block (k) || !is_library (&t, KERN_BACK_WEIGHTS,
                                                  "jit_"
                                                  "1x1"),
              "%d channels, stride 2: not the kernel that writes beyond", c);
      tap_ok (good_forward (&t, SOUND) && good_data (&t, SOUND) &&
                  good_weights (&t, SOUND),
              "%d channels, %d pixels: right in all directions, and the same "
              "twice",
              c, size);
      try_close (&t);
    }
}

static void
test_own (void)
{
  static const struct kern_conv_shape rows[] = {
      {2, 3, 9, 7, 16, 3, 1, 1, false, KERN_PLAIN, KERN_LAST},
      {2, 3, 9, 7, 16, 7, 2, 3, true, KERN_PLAIN, KERN_BLOCKED},
      {2, 20, 9, 9, 12, 3, 2, 1, true, KERN_LAST, KERN_LAST},
      {2, 20, 9, 9, 12, 3, 2, 1, true, KERN_BLOCKED, KERN_BLOCKED},
      {3, 12, 8, 8, 5, 1, 2, 0, true, KERN_LAST, KERN_LAST},
      {2, 5, 7, 7, 20, 1, 1, 0, false, KERN_PLAIN, KERN_PLAIN}};
  kern_close (&k);
  open_with ("distrust");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct try t;
    try_open (&t, &rows[i]);
    tap_ok (is_library (&t, KERN_FORWARD, "own") &&
                is_library (&t, KERN_BACK_DATA, "own") &&
                is_library (&t, KERN_BACK_WEIGHTS, "own"),
            "row %zu: all are our own where no other is believed", i);
    tap_ok (good_forward (&t, SOUND) && good_data (&t, SOUND) &&
                good_weights (&t, SOUND),
            "row %zu: and right", i);
    tap_ok (!good_forward (&t, FORGETFUL) && !good_data (&t, FORGETFUL) &&
                !good_weights (&t, FORGETFUL),
            "row %zu: a twin that leaves out a term is noticed", i);
    try_close (&t);
  }
  kern_close (&k);
  open_with (NULL);
}

/* The i-th verdict of an object is planted wrong: that direction goes to
 * another kernel, the others stay. */
static void
test_planted (void)
{
  const struct kern_conv_shape s = {2, 16, 8,    8,         16,       3,
                                    1, 1,  true, KERN_LAST, KERN_LAST};
  char was[3][48];
  struct try t;
  kern_close (&k);
  open_with (NULL);
  try_open (&t, &s);
  for (int d = 0; d < 3; d++)
    snprintf (was[d], sizeof was[d], "%s",
              kern_conv_impl (t.c, (enum kern_direction)d));
  try_close (&t);
  for (int bad = 0; bad < 3; bad++) {
    char spec[32];
    int wrong = 0;
    snprintf (spec, sizeof spec, "verdict:%d", bad + 1);
    kern_close (&k);
    open_with (spec);
    try_open (&t, &s);
    for (int i = 0; i < kern_proof_count (k); i++)
      wrong += !kern_proof_at (k, i).right;
    tap_ok (wrong == 1 &&
                kern_conv_algo (t.c, (enum kern_direction)bad) != KERN_DIRECT &&
                kern_conv_algo (t.c, (enum kern_direction) ((bad + 1) % 3)) ==
                    KERN_DIRECT,
            "%s of %s is dropped, and no other",
            kern_direction_name ((enum kern_direction)bad), was[bad]);
    tap_ok (good_forward (&t, SOUND) && good_data (&t, SOUND) &&
                good_weights (&t, SOUND),
            "what takes its place is right");
    try_close (&t);
  }
  fault_plant (NULL);
}

/* Verdicts go through the text of a tuning, and from rank to rank. */
static void
test_kept (void)
{
  const struct kern_conv_shape s = {2, 16, 8,     8,         16,       3,
                                    1, 1,  false, KERN_LAST, KERN_LAST};
  struct kern_tuning *t = NULL;
  struct kern_conv *c = NULL;
  struct kern *other = NULL, *third = NULL;
  struct text text;
  bool news = false;
  kern_close (&k);
  open_with ("verdict:3");
  MUST (kern_conv_create (k, &s, NULL, &c));
  fault_plant (NULL);
  kern_conv_destroy (&c);
  text_init (&text);
  kern_verdicts_print (k, &text);
  MUST (kern_tuning_create (&t));
  MUST (kern_tuning_parse (text.data, "here", t));
  MUST (kern_open (1, &other));
  MUST (kern_verdicts_take (other, t));
  const int n = kern_proof_count (other);
  MUST (kern_conv_create (other, &s, NULL, &c));
  tap_ok (n == kern_proof_count (k) && kern_proof_count (other) == n &&
              kern_conv_algo (c, KERN_BACK_WEIGHTS) != KERN_DIRECT,
          "what a text says of a kernel is not asked again");
  kern_conv_destroy (&c);
  MUST (kern_open (1, &third));
  tap_ok (kern_wrong_count (k) == 1, "one kernel is wrong");
  MUST (kern_wrong_add (third, kern_wrong_at (k, 0), &news));
  MUST (kern_conv_create (third, &s, NULL, &c));
  tap_ok (news && kern_conv_algo (c, KERN_BACK_WEIGHTS) != KERN_DIRECT,
          "nor is one used that another rank found wrong");
  kern_conv_destroy (&c);
  kern_close (&third);
  kern_close (&other);
  kern_tuning_destroy (&t);
  text_clear (&text);
}

int
main (void)
{
  open_with (NULL);
  test_narrow ();
  test_own ();
  test_planted ();
  test_kept ();
  kern_close (&k);
  return tap_done ();
}
