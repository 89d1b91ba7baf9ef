/* probe/probe.c -- open, study, close. */
#include "probe/probe_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/place.h"

const char *
probe_describe (void)
{
  const char *name = matrix_library ();
  return name ? name : "without ScaLAPACK (no probe)";
}

/* The matrix library chooses its kernels by itself, whatever run.isa says.
 * Where ranks differ in that, results are as good, but not the same bits. */
static enum status
tell_unlike (struct wire *w)
{
  struct text groups;
  int n;
  text_init (&groups);
  enum status s = wire_groups (w, matrix_arithmetic (), &n, &groups);
  if (s == OK && n > 1)
    say (LOG_WARN,
         "the matrix library is not the same on all ranks: last bits of the "
         "results depend on which rank has what (%s); one "
         "OPENBLAS_CORETYPE on all makes them alike",
         groups.data);
  text_clear (&groups);
  return wire_agree (w, s);
}

static enum status
check_spec (struct wire *w, const struct probe_spec *spec)
{
  if (spec->grid_rows > 0 && spec->grid_rows * spec->grid_cols != wire_size (w))
    return fail (E_CONFIG, "--grid %dx%d is for %d ranks, and there are %d",
                 spec->grid_rows, spec->grid_cols,
                 spec->grid_rows * spec->grid_cols, wire_size (w));
  if (!matrix_library ()) {
    struct grid none;
    return grid_open (w, 1, 1, 1, &none);
  }
  return OK;
}

enum status
probe_open (struct wire *w, const struct probe_spec *spec, struct probe **out)
{
  struct probe *p = NULL;
  TRY (wire_agree (w, check_spec (w, spec)));
  TRY (tell_unlike (w));
  TRY (wire_agree (w, MEM_NEW (1, &p, "the probe")));
  p->wire = w;
  p->spec = *spec;
  p->panel = 2048;
  *out = p;
  return OK;
}

void
probe_close (struct probe **out)
{
  struct probe *p = *out;
  if (!p)
    return;
  for (int i = 0; i < p->n_views; i++)
    matrix_clear (&p->view[i].x);
  mem_free (&p->view);
  mem_free (&p->row);
  mem_free (&p->label);
  mem_free (&p->within);
  mem_free (&p->entry);
  mem_free (&p->pending);
  if (p->open)
    grid_close (&p->grid);
  mem_free (out);
}

/* -- study ------------------------------------------------------------------
 */

static enum status
make_result (int n, struct probe_result **out)
{
  struct probe_result *r = NULL;
  TRY (MEM_NEW (1, &r, "results"));
  r->n_views = n;
  *out = r;
  TRY (MEM_NEW ((size_t)n, &r->ridge, "results"));
  TRY (MEM_NEW ((size_t)n, &r->spectrum, "results"));
  return MEM_NEW ((size_t)(n * n), &r->cka, "results");
}

void
probe_result_destroy (struct probe_result **out)
{
  struct probe_result *r = *out;
  if (!r)
    return;
  for (int i = 0; r->spectrum && i < r->n_views; i++)
    mem_free (&r->spectrum[i].value);
  mem_free (&r->ridge);
  mem_free (&r->spectrum);
  mem_free (&r->cka);
  mem_free (out);
}

static enum status
study_all (struct probe *p, struct probe_result *r)
{
  double start = clock_now_s ();
  for (int i = 0; i < p->n_views; i++) {
    place_set (-1, i, "fitting a classifier");
    log_progress ("linear classifiers: stage %d of %d", i, p->n_views);
    TRY (ridge_study (p, &p->view[i], &r->ridge[i]));
  }
  double ridge = clock_now_s ();
  for (int i = 0; i < p->n_views; i++) {
    place_set (-1, i, "eigenvalues");
    log_progress ("spectra: stage %d of %d", i, p->n_views);
    TRY (spectrum_study (p, &p->view[i], &r->spectrum[i]));
  }
  double spectrum = clock_now_s ();
  place_set (-1, -1, "comparing stages");
  TRY (similarity_study (p, r->cka));
  r->ridge_s = ridge - start;
  r->spectrum_s = spectrum - ridge;
  r->similarity_s = clock_now_s () - spectrum;
  return OK;
}

enum status
probe_study (struct probe *p, struct probe_result **out)
{
  struct probe_result *r = NULL;
  CHECK (p->n_views > 0, "probe_study before probe_end");
  enum status e = wire_agree (p->wire, make_result (p->n_views, &r));
  if (e == OK)
    e = wire_agree (p->wire, study_all (p, r));
  if (e == OK)
    *out = r;
  else
    probe_result_destroy (&r);
  return e;
}
