/* ranks: 0 */
/* tests/import/synthetic.c -- the drawn set: same bits for the same seed,
 * nothing in averages, out of reach of a linear model.
 */
#include "import/import_impl.h"
#include "data/data.h"
#include "import/import.h"
#include "tests/scratch.h"
#include "tests/tap.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

enum { D = 3072, CLASSES = 10, TRAIN = 2000, TEST = 500, EPOCHS = 3 };

static unsigned char *images; /* TRAIN + TEST of D */

static int
label_of (int i)
{
  return i % CLASSES;
}

static void
draw_all (void)
{
  for (int i = 0; i < TRAIN + TEST; i++)
    import_synthetic_draw (1, i < TRAIN ? DATA_TRAIN : DATA_TEST, i,
                           label_of (i), 32, images + (size_t)i * D);
}

/* -- bits ------------------------------------------------------------------ */

static bool
draws_equal (uint64_t seed, enum data_split split, int64_t sample, int label)
{
  static unsigned char one[D], other[D];
  import_synthetic_draw (1, DATA_TRAIN, 5, 3, 32, one);
  import_synthetic_draw (seed, split, sample, label, 32, other);
  return memcmp (one, other, D) == 0;
}

static void
test_bits (void)
{
  tap_ok (draws_equal (1, DATA_TRAIN, 5, 3), "the same again");
  tap_ok (!draws_equal (2, DATA_TRAIN, 5, 3), "another seed");
  tap_ok (!draws_equal (1, DATA_VALID, 5, 3), "another split");
  tap_ok (!draws_equal (1, DATA_TRAIN, 6, 3), "another sample");
  tap_ok (!draws_equal (1, DATA_TRAIN, 5, 4), "another class");
  /* Not a judgement but a seal: another machine or compiler that draws anything
   * else breaks it.  Whoever changes the drawing changes `revision` too. */
  tap_ok (hash_bytes (images, (size_t)100 * D, 0) == 0x3ad03e9cac876427ull,
          "the seal on the first hundred (%016llx)",
          (unsigned long long)hash_bytes (images, (size_t)100 * D, 0));
}

static void
test_file (void)
{
  const char *options[4] = {"train=20", "valid=10", "test=0", "seed=1"};
  char one[512], two[512];
  snprintf (one, sizeof one, "%s", scratch ("one.h5"));
  snprintf (two, sizeof two, "%s", scratch ("two.h5"));
  bool good = import_run ("synthetic", 0, NULL, 4, options, one) == OK &&
              import_run ("synthetic", 0, NULL, 4, options, two) == OK &&
              scratch_bytes (one) > 30 * D;
  FILE *f = fopen (one, "rb"), *g = fopen (two, "rb");
  int c = 0;
  while (good && f && g && c != EOF) {
    c = fgetc (f);
    good = c == fgetc (g);
  }
  if (f)
    fclose (f);
  if (g)
    fclose (g);
  tap_ok (good, "two imports, the same file, byte for byte");
  struct data_set *d = NULL;
  struct data_info info = {.classes = 0};
  good = data_open (one, &d) == OK;
  if (good)
    data_info (d, &info);
  tap_ok (good && info.classes == CLASSES && info.samples[DATA_TRAIN] == 20 &&
              info.samples[DATA_VALID] == 10 && info.samples[DATA_TEST] == 0 &&
              info.height == 32,
          "its header");
  data_close (&d);
  options[2] = "size=64";
  options[3] = "classes=20";
  tap_ok (import_run ("synthetic", 0, NULL, 4, options, scratch ("large.h5")) ==
              OK,
          "larger images, all classes %s", fail_message ());
}

/* -- averages -------------------------------------------------------------- */

static void
test_averages (void)
{
  double sum[CLASSES] = {0}, lowest = 255, highest = 0, total = 0;
  int n[CLASSES] = {0};
  for (int i = 0; i < TRAIN; i++) {
    double s = 0;
    for (int k = 0; k < D; k++)
      s += images[(size_t)i * D + k];
    sum[label_of (i)] += s / D;
    n[label_of (i)]++;
    total += s / D;
  }
  for (int c = 0; c < CLASSES; c++) {
    double mean = sum[c] / n[c];
    lowest = mean < lowest ? mean : lowest;
    highest = mean > highest ? mean : highest;
  }
  /* 200 images of a deviation near 20 each: 1.4 of standard error. */
  tap_ok (highest - lowest < 8, "brightness does not tell the class (%.2f)",
          highest - lowest);
  tap_near (total / TRAIN, 127.5, 4, "middle grey on average");
}

/* -- a linear model -------------------------------------------------------- */

static float weights[D + 1][16]; /* of them CLASSES; 16 is good for vectors */

static void
scores (const float *x, double out[CLASSES])
{
  float s[16];
  memcpy (s, weights[D], sizeof s);
  for (int k = 0; k < D; k++)
    for (int c = 0; c < 16; c++)
      s[c] += weights[k][c] * x[k];
  for (int c = 0; c < CLASSES; c++)
    out[c] = (double)s[c];
}

/* One image as floats around 0; the planted variant has its label in a corner:
 * what a linear model can see, the trainer must find. */
static void
floats_of (int i, bool planted, float *x)
{
  for (int k = 0; k < D; k++)
    x[k] = ((float)images[(size_t)i * D + k] - 127.5f) / 64.0f;
  for (int c = 0; planted && c < CLASSES; c++)
    x[c] += c == label_of (i) ? 3.0f : 0.0f;
}

static void
learn (int i, bool planted, float rate)
{
  static float x[D];
  double p[CLASSES], most = -1e30, sum = 0;
  floats_of (i, planted, x);
  scores (x, p);
  for (int c = 0; c < CLASSES; c++)
    most = p[c] > most ? p[c] : most;
  for (int c = 0; c < CLASSES; c++)
    sum += p[c] = exp (p[c] - most);
  float g[16] = {0};
  for (int c = 0; c < CLASSES; c++)
    g[c] = rate * (float)(p[c] / sum - (c == label_of (i)));
  for (int k = 0; k < D; k++)
    for (int c = 0; c < 16; c++)
      weights[k][c] -= g[c] * x[k];
  for (int c = 0; c < CLASSES; c++)
    weights[D][c] -= g[c];
}

/* Softmax regression on pixels by stochastic gradient descent; accuracy on
 * images it has not seen. */
static double
linear_accuracy (bool planted)
{
  static float x[D];
  int right = 0;
  memset (weights, 0, sizeof weights);
  for (int e = 0; e < EPOCHS; e++)
    for (int i = 0; i < TRAIN; i++)
      learn (i * 7 % TRAIN, planted, 1e-3f / (float)(1 + e));
  for (int i = TRAIN; i < TRAIN + TEST; i++) {
    double s[CLASSES];
    int best = 0;
    floats_of (i, planted, x);
    scores (x, s);
    for (int c = 1; c < CLASSES; c++)
      best = s[c] > s[best] ? c : best;
    right += best == label_of (i);
  }
  return (double)right / TEST;
}

int
main (void)
{
  if (!scratch_open () ||
      mem_new (TRAIN + TEST, D, "images", (void **)&images) != OK)
    tap_bail ("no scratch folder, or no memory");
  log_level_set (LOG_WARN);
  draw_all ();
  test_bits ();
  test_file ();
  test_averages ();
  double real = linear_accuracy (false), easy = linear_accuracy (true);
  tap_ok (easy > 0.9, "the linear trainer finds a planted label (%.3f)", easy);
  tap_ok (real < 0.6, "a linear model on pixels stays low (%.3f)", real);
  mem_free (&images);
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}
