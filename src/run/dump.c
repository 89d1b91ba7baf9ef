/* run/dump.c -- `--dump step,stage,what`: one tensor of one step as a .npy file
 * (NumPy format 1.0), to compare with other programs.
 *
 * Taken just before the update of that step, from replica 0.  what: output (of
 * the stage, inner layout), logits (of its head; of tokens computed anew, as in
 * evaluation), or the name of a parameter, whose gradient is written.
 */
#include "run/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dump {
  int64_t step, stage;
  char what[TENSOR_NAME];
};

static enum status
write_npy (const char *path, const float *data, int n_dims, const int64_t *dims)
{
  char head[256], shape[128] = "";
  size_t n = 1, used = 0;
  for (int i = 0; i < n_dims; i++) {
    used += (size_t)snprintf (shape + used, sizeof shape - used, "%lld,",
                              (long long)dims[i]);
    n *= (size_t)dims[i];
  }
  int length = snprintf (head + 10, sizeof head - 10,
                         "{'descr': '<f4', 'fortran_order': False, 'shape': "
                         "(%s), }",
                         shape);
  size_t total = (size_t)(10 + length + 1 + 63) / 64 * 64;
  memset (head + 10 + length, ' ', total - 10 - (size_t)length);
  head[total - 1] = '\n';
  memcpy (head, "\x93NUMPY\x01\x00", 8);
  head[8] = (char)(total - 10);
  head[9] = 0;
  FILE *f = fopen (path, "wb");
  if (!f)
    return fail (E_IO, "%s: cannot write the dump", path);
  bool good = fwrite (head, 1, total, f) == total &&
              fwrite (data, sizeof *data, n, f) == n;
  if (fclose (f) != 0 || !good)
    return fail (E_IO, "%s: writing the dump failed", path);
  return OK;
}

static enum status
dump_gradient (struct local_stage *l, const char *name, const char *path)
{
  struct tensor_info info;
  bool head, statistic;
  for (int i = 0; i < stage_tensors (l->stage); i++) {
    stage_tensor (l->stage, i, &info, &head, &statistic);
    if (strcmp (info.name, name) != 0 || statistic)
      continue;
    float *plain = NULL;
    TRY (MEM_NEW ((size_t)tensor_info_count (&info), &plain, "dump"));
    enum status e = stage_tensor_out (l->stage, i, STAGE_GRAD, plain);
    if (e == OK)
      e = write_npy (path, plain, info.n_dims, info.dims);
    mem_free (&plain);
    return e;
  }
  return fail (E_CONFIG, "--dump: stage %d has no parameter \"%s\"", l->k,
               name);
}

static enum status
dump_logits (struct session *s, struct local_stage *l, const char *path)
{
  const struct design *d = s->design;
  const int64_t n = d->n_samples, T = d->length, words = d->info.classes;
  const int64_t dims[] = {n, T, words};
  float *logits = NULL;
  if (!stage_has_head (l->stage))
    return fail (E_CONFIG, "--dump: stage %d has no head", l->k);
  if (!network_family (s->design->net)->rows)
    return write_npy (path, stage_logits (l->stage, 0), 2,
                      (const int64_t[]){n, words});
  TRY (MEM_NEW ((size_t)(n * T * words), &logits, "dump"));
  enum status e = stage_token_logits (l->stage, 0, 0, n * T, logits);
  if (e == OK)
    e = write_npy (path, logits, 3, dims);
  mem_free (&logits);
  return e;
}

static enum status
dump_one (struct session *s, struct local_stage *l, const struct dump *d)
{
  char path[CONFIG_PATH + 256];
  snprintf (path, sizeof path, "%s/dump-%lld-%lld-%s.npy",
            s->design->config.dir, (long long)d->step, (long long)d->stage,
            d->what);
  if (strcmp (d->what, "logits") == 0)
    return dump_logits (s, l, path);
  if (strcmp (d->what, "output") == 0) {
    struct tensor t;
    stage_output (l->stage, 0, &t);
    int64_t n = (int64_t)(t.bytes / tensor_bytes (t.form.type, 1));
    return write_npy (path, t.data, 1, &n);
  }
  return dump_gradient (l, d->what, path);
}

static void
on_gradients (struct session *s, struct local_stage *l, int64_t step,
              void *context)
{
  const struct dump *d = context;
  if (step != d->step || l->k != d->stage || wire_replica (s->wire) != 0)
    return;
  mem_open ();
  if (dump_one (s, l, d) != OK)
    tell (LOG_WARN, "%s", fail_message ());
  fail_clear ();
  mem_close ();
}

static enum status
parse (const char *text, int K, struct dump *d)
{
  char step[32], stage[32];
  if (sscanf (text, "%31[^,],%31[^,],%127s", step, stage, d->what) != 3 ||
      !text_to_long (step, &d->step) || !text_to_long (stage, &d->stage) ||
      d->stage < 0 || d->stage >= K)
    return fail (E_USAGE,
                 "--dump %s: wanted step,stage,what with a stage "
                 "below %d",
                 text, K);
  return OK;
}

enum status
dump_open (struct session *s)
{
  if (!s->design->config.dump[0])
    return OK;
  struct dump *d = NULL;
  enum status e = MEM_NEW (1, &d, "dump");
  if (e == OK)
    e = parse (s->design->config.dump, s->design->K, d);
  if (e != OK)
    mem_free (&d);
  s->on_gradients = d ? on_gradients : NULL;
  s->on_gradients_context = d;
  return wire_agree (s->wire, e);
}

void
dump_close (struct session *s, int64_t from, int64_t to)
{
  const struct dump *d = s->on_gradients_context;
  if (s->on_gradients == on_gradients && (d->step < from || d->step >= to))
    say (LOG_WARN,
         "--dump %s: nothing was written: this start took steps %lld to %lld, "
         "counted from 0",
         s->design->config.dump, (long long)from, (long long)to - 1);
  if (s->on_gradients == on_gradients)
    mem_free (&s->on_gradients_context);
  s->on_gradients = NULL;
}
