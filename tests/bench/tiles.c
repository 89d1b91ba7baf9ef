/* tests/bench/tiles.c -- convolutions of 3x3 by every algorithm, of the shapes
 * that networks have.
 *
 *     tests/bench/tiles [batch=64] [rounds=15] [threads=0] [seconds=1]
 *
 * resnet20 and resnet32: 16 to 64 channels; resnet34 with the CIFAR stem: 64 to
 * 512.  Of a shape and direction all algorithms that there are take turns, for
 * `rounds` or, if that takes longer, `seconds`.  Printed is a table: the
 * shortest time of the direct one, since others who use the machine add time
 * and never take any away, and what each other takes of that.  threads=0: all
 * cores.  ONEDNN_MAX_CPU_ISA=AVX2 shows a lesser processor.
 *
 * Figures, no pass marks.
 */
#include "base/text.h"
#include "kern/kern_impl.h"
#include "tests/bench/rounds.h"

#include <stdio.h>
#include <unistd.h>

struct options {
  int64_t batch, rounds, threads;
  double seconds;
};

static const int sizes[][2] = {{16, 32},  {32, 16}, {64, 8}, {64, 32},
                               {128, 16}, {256, 8}, {512, 4}};

struct rival {
  struct kern_conv *c; /* NULL: not offered */
  float *master;
  double best;
};

struct course {
  struct kern *k;
  struct kern_conv_shape s;
  struct rival rival[KERN_ALGOS];
  float *a, *b, *out; /* two that are read, one that is written */
};

static enum status
read_options (int argc, char **argv, struct options *o)
{
  for (int i = 1; i < argc; i++) {
    char *value = strchr (argv[i], '=');
    int64_t n = 0;
    if (value == NULL || !text_to_long (value + 1, &n) || n < 0)
      return fail (E_USAGE, "\"%s\" is not NAME=NUMBER", argv[i]);
    *value = '\0';
    if (strcmp (argv[i], "batch") == 0 && n > 0)
      o->batch = n;
    else if (strcmp (argv[i], "rounds") == 0 && n > 0)
      o->rounds = n;
    else if (strcmp (argv[i], "threads") == 0)
      o->threads = n;
    else if (strcmp (argv[i], "seconds") == 0)
      o->seconds = (double)n;
    else
      return fail (E_USAGE, "no option \"%s\"", argv[i]);
  }
  if (o->threads == 0)
    o->threads = sysconf (_SC_NPROCESSORS_ONLN);
  return OK;
}

static void
course_clear (struct course *l)
{
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
    kern_conv_destroy (&l->rival[a].c);
    mem_free (&l->rival[a].master);
  }
}

/* All algorithms of a direction but the plain loops. */
static enum status
course_make (struct course *l, enum kern_direction d)
{
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
    enum kern_algo algo[3] = {KERN_DIRECT, KERN_DIRECT, KERN_DIRECT};
    struct rival *v = &l->rival[a];
    algo[d] = (enum kern_algo)a;
    v->best = 1e30;
    if (a == KERN_OWN)
      continue;
    enum status s = kern_conv_create_as (l->k, &l->s, algo, 1u << d, &v->c);
    if (s == E_UNSUPPORTED) {
      fail_clear ();
      continue;
    }
    TRY (s);
    const size_t n = kern_conv_weight_bytes (v->c) / sizeof (float);
    TRY (MEM_NEW (n, &v->master, "weights"));
    bench_fill (n, 3, v->master);
  }
  TRY (kern_seal (l->k));
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (l->rival[a].c != NULL)
      TRY (kern_conv_refresh (l->rival[a].c, l->rival[a].master));
  return OK;
}

static enum status
run_once (const struct course *l, struct rival *v, enum kern_direction d)
{
  if (d == KERN_FORWARD)
    return kern_conv_forward (v->c, l->a, v->master, NULL, l->out);
  if (d == KERN_BACK_DATA)
    return kern_conv_back_data (v->c, l->b, v->master, l->out);
  return kern_conv_back_weights (v->c, l->a, l->b, 1, false, v->master, NULL);
}

static enum status
race (struct course *l, const struct options *o, enum kern_direction d)
{
  const double end = clock_now_s () + o->seconds;
  for (int64_t r = 0; r < o->rounds || clock_now_s () < end; r++)
    for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
      struct rival *v = &l->rival[a];
      if (v->c == NULL)
        continue;
      const double start = clock_now_s ();
      TRY (run_once (l, v, d));
      const double took = clock_now_s () - start;
      v->best = took < v->best ? took : v->best;
    }
  return OK;
}

static void
show (const struct course *l, enum kern_direction d)
{
  const struct rival *v = l->rival;
  printf ("| %d, %d x %d | %s | %.2f | %.0f |", (int)l->s.c, (int)l->s.h,
          (int)l->s.w, kern_direction_name (d), v[KERN_DIRECT].best * 1e3,
          kern_conv_flops (&l->s) / v[KERN_DIRECT].best * 1e-9);
  for (int a = KERN_DIRECT + 1; a < KERN_ALGOS; a++)
    if (a != KERN_OWN && a != KERN_OTHER) {
      if (v[a].c == NULL)
        printf (" - |");
      else
        printf (" %.2f |", v[a].best / v[KERN_DIRECT].best);
    }
  printf ("\n");
  fflush (stdout);
}

static enum status
bench_shape (struct kern *k, const struct options *o, int c, int size)
{
  struct course l = {.k = k,
                     .s = {o->batch, c, size, size, c, 3, 1, 1, false,
                           KERN_BLOCKED, KERN_BLOCKED}};
  const size_t n = kern_bytes (k, (struct kern_dims){o->batch, c, size, size},
                               KERN_BLOCKED) /
                   sizeof (float);
  enum status s = MEM_NEW (n, &l.a, "images");
  if (s == OK)
    s = MEM_NEW (n, &l.b, "images");
  if (s == OK)
    s = MEM_NEW (n, &l.out, "images");
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && s == OK; d++) {
    bench_fill (n, 1, l.a);
    bench_fill (n, 2, l.b);
    s = course_make (&l, (enum kern_direction)d);
    if (s == OK)
      s = race (&l, o, (enum kern_direction)d);
    if (s == OK)
      show (&l, (enum kern_direction)d);
    course_clear (&l);
  }
  mem_free (&l.a);
  mem_free (&l.b);
  mem_free (&l.out);
  return s;
}

int
main (int argc, char **argv)
{
  struct options o = {.batch = 64, .rounds = 15, .seconds = 1};
  struct kern *k = NULL;
  enum status s = read_options (argc, argv, &o);
  if (s == OK)
    s = kern_open ((int)o.threads, &k);
  if (s == OK) {
    printf ("%s, %d threads, batch %d\n\n", kern_describe (k), kern_threads (k),
            (int)o.batch);
    printf ("| channels, image | direction | direct, ms | GFLOP/s | winograd | "
            "auto | winograd2x2 | winograd4x4 |\n");
    printf ("|---|---|---:|---:|---:|---:|---:|---:|\n");
  }
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes && s == OK; i++)
    s = bench_shape (k, &o, sizes[i][0], sizes[i][1]);
  kern_close (&k);
  if (s != OK)
    fprintf (stderr, "tiles: %s\n", fail_message ());
  return s == OK ? 0 : 1;
}
