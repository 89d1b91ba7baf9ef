/* ranks: 0 */
/* tests/model/buckets.c -- gradients are handed out while backward goes on:
 * what is handed out has the bits that it has in the end, every number once,
 * and nearly all of them before the first layer is done.
 */
#include "base/clock.h"
#include "tests/model/fixture.h"
#include <setjmp.h>

enum { M = 2, MOST = 256 };

static struct fixture f;
static int32_t label[4096], token[4096];

/* -- who takes them -------------------------------------------------------- */

static struct {
  struct {
    float *block, *copy; /* copy owned */
    size_t n;
    bool early;
  } piece[MOST];
  int n;
  bool early;        /* backward is under way */
  int pulses, first; /* since it began; when the first piece came, -1: none */
} taken;

static void
count (void *context)
{
  (void)context;
  taken.pulses++;
}

static void
back_begins (struct stage *s, bool last)
{
  stage_last_micro (s, last);
  taken.early = true;
  taken.pulses = 0;
  taken.first = -1;
}

static enum status
take (void *context, float *block, size_t n)
{
  CHECK (context == &taken && taken.n < MOST, "%d buckets", taken.n);
  float *copy = twin_new (n, sizeof *copy);
  memcpy (copy, block, n * sizeof *copy);
  if (taken.first < 0)
    taken.first = taken.pulses;
  taken.piece[taken.n].block = block;
  taken.piece[taken.n].copy = copy;
  taken.piece[taken.n].n = n;
  taken.piece[taken.n++].early = taken.early;
  return OK;
}

static void
forget (void)
{
  while (taken.n > 0)
    mem_free (&taken.piece[--taken.n].copy);
}

/* The pieces fill the part from the last number to the first. */
static bool
whole (struct stage *s, enum stage_part part, int from, int end)
{
  float *block;
  size_t n, sum = 0;
  stage_gradients (s, part, &block, &n);
  for (int i = from; i < end; i++)
    sum += taken.piece[i].n;
  bool good = sum == n;
  for (size_t j = 0; good && j < n;) { /* whose piece begins there */
    int i = from;
    while (i < end && taken.piece[i].block != block + j)
      i++;
    good = i < end;
    j += good ? taken.piece[i].n : 0;
  }
  return good;
}

static bool
unchanged (void)
{
  for (int i = 0; i < taken.n; i++)
    if (memcmp (taken.piece[i].block, taken.piece[i].copy,
                taken.piece[i].n * sizeof (float)) != 0)
      return false;
  return true;
}

/* The part of the first `end` pieces that came early. */
static double
early (int end)
{
  double n = 0, sum = 0;
  for (int i = 0; i < end; i++) {
    sum += (double)taken.piece[i].n;
    n += taken.piece[i].early ? (double)taken.piece[i].n : 0;
  }
  return sum > 0 ? n / sum : 1;
}

/* -- batches --------------------------------------------------------------- */

enum how {
  JOINED,
  APART,
  LATE,
  TOO_EARLY
}; /* LATE: weights of both
      micro-batches at the end */
static const char *const hows[] = {"joined", "apart", "late", "too early"};

static void
weights (struct stage *s, int m)
{
  back_begins (s, m == M - 1);
  must (stage_back_weights (s, m, m));
  taken.early = false;
}

static void
batch (struct stage *s, const void *x, enum how how)
{
  struct tensor in, out;
  struct stage_loss loss;
  stage_border (s, &in, &out);
  float *d_x = border_new (&in), *to = stage_is_first (s) ? NULL : d_x;
  for (int m = 0; m < M; m++) {
    stage_moment (s, m, 0, m * f.n);
    must (stage_forward (s, m, x));
    must (stage_head (s, m, label, 0.25f, false, &loss));
    must (stage_head_weights (s, m));
  }
  for (int m = 0; m < M; m++) {
    const float *d = stage_head_grad (s, m);
    back_begins (s, m == M - 1 || how == TOO_EARLY);
    if (how == JOINED || how == TOO_EARLY)
      must (stage_back_both (s, m, d, m, to));
    else
      must (stage_back_data (s, m, d, true, m, to));
    taken.early = false;
    if (how == APART)
      weights (s, m);
  }
  for (int m = 0; m < M && how == LATE; m++)
    weights (s, m);
  mem_free (&d_x);
}

static void
test_batches (struct stage *s, const void *x, double least, const char *title)
{
  const float clip[2] = {1, 1};
  size_t most;
  must (stage_buckets (s,
                       &(struct stage_taker){.take = take, .context = &taken}));
  for (int how = JOINED; how <= LATE; how++) {
    batch (s, x, (enum how)how);
    must (stage_hand_out (s, STAGE_BODY));
    const int body = taken.n;
    double part = early (body);
    const bool soon = 0 <= taken.first && taken.first < 3 * taken.pulses / 4;
    must (stage_hand_out (s, STAGE_HEAD));
    tap_ok (body == stage_bucket_count (s, STAGE_BODY, &most) &&
                whole (s, STAGE_BODY, 0, body) &&
                whole (s, STAGE_HEAD, body, taken.n),
            "%s, %s: every number once, in %d + %d buckets", title, hows[how],
            body, taken.n - body);
    tap_ok (unchanged (), "%s, %s: with the bits that it keeps", title,
            hows[how]);
    tap_ok (part >= least && soon,
            "%s, %s: %.1f %% of the body before backward ended, the first "
            "behind pulse %d of %d",
            title, hows[how], 100 * part, taken.first, taken.pulses);
    must (stage_update (s, 0.01, clip, how + 1));
    forget ();
  }
}

/* -- planted --------------------------------------------------------------- */

static jmp_buf caught;

static void catch (enum status s)
{
  (void)s;
  longjmp (caught, 1);
}

static void
test_too_early (struct stage *s, const void *x)
{
  volatile bool failed = false;
  status_abort_hook (catch);
  if (setjmp (caught) == 0)
    batch (s, x, TOO_EARLY);
  else
    failed = strstr (fail_message (), "after its sum has begun") != NULL;
  status_abort_hook (NULL);
  tap_ok (failed, "planted: a gradient that is handed out too early is noticed "
                  "when it is written again");
  fail_clear ();
  forget ();
}

/* -- networks -------------------------------------------------------------- */

static void
test_images (struct model_spec spec, enum kern_layout l, int first, int end,
             bool planted, const char *title)
{
  fixture_open (&f, spec, 4, l);
  memcpy (label, f.labels, 4 * sizeof *label);
  struct stage *s =
      fixture_stage (&f, first > 0, 3, first, end, "conv16-bn-gap-fc");
  struct tensor in, out;
  stage_border (s, &in, &out);
  float *x = border_new (&in);
  random_floats (x, in.bytes / sizeof (float), 9);
  test_batches (s, x, 0.8, title);
  if (planted)
    test_too_early (s, x);
  mem_free (&x);
  stage_destroy (&s);
  fixture_close (&f);
}

static void
test_tokens (struct model_spec spec, int first, int end, const char *title)
{
  const struct random_key key = {3, RANDOM_TEST, 4, 5};
  fixture_open (&f, spec, 3, KERN_LAST);
  for (int i = 0; i < 3 * spec.context; i++) {
    token[i] =
        (int32_t)random_below (&key, (uint64_t)i, (uint64_t)spec.classes);
    label[i] =
        (int32_t)random_below (&key, (uint64_t)i + 999, (uint64_t)spec.classes);
  }
  struct stage *s = fixture_stage (&f, first > 0, 3, first, end, "ln-fc");
  struct tensor in, out;
  stage_border (s, &in, &out);
  float *x = border_new (&in);
  random_floats (x, in.bytes / sizeof (float), 9);
  test_batches (s, first > 0 ? (const void *)x : token, 0.6, title);
  mem_free (&x);
  stage_destroy (&s);
  fixture_close (&f);
}

int
main (void)
{
  struct model_spec wide = spec_basic, pre = spec_bottle_pre;
  struct model_spec gpt = {.family = MODEL_TRANSFORMER,
                           .classes = 11,
                           .layers = 4,
                           .d_model = 48,
                           .heads = 4,
                           .context = 7,
                           .mlp_ratio = 4};
  wide.width[0] = 32;
  wide.width[1] = 64;
  pre.width[0] = 24;
  pre.width[1] = 32;
  pulse_hook (count, NULL);
  test_images (wide, KERN_BLOCKED, 0, 4, true, "basic");
  test_images (wide, KERN_LAST, 1, 3, false, "basic, inside");
  test_images (pre, KERN_LAST, 0, 4, false, "bottleneck, pre");
  test_tokens (gpt, 0, 4, "GPT");
  test_tokens (gpt, 2, 5, "GPT, inside");
  gpt.tied = true;
  test_tokens (gpt, 0, 4, "GPT, tied");
  gpt.kv_heads = 2;
  gpt.norm = MODEL_RMSNORM;
  gpt.mlp = MODEL_SWIGLU;
  gpt.positions = MODEL_ROPE;
  gpt.qk_norm = true;
  test_tokens (gpt, 1, 4, "Llama");
  return tap_done ();
}
