/* weights/import.c -- a parameter file of ours out of a file of tensors.
 *
 * Whose names these are follows from the tensors: of the tables the one is
 * taken that has a place for most of them, and then it has to have one for all,
 * but for what models carry beside their parameters.
 */
#include "weights/weights_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of tensors that are parameters: how many have a place, and the first that has
 * none, or -1. */
static int
places (const struct weights_names *t, const struct weights_file *f,
        int *first_without)
{
  char name[TENSOR_NAME];
  unsigned how;
  int n = 0;
  *first_without = -1;
  for (int i = 0; i < f->n; i++) {
    bool has = weights_name_is_head (f->tensor[i].name) ||
               weights_name_in (t, f->tensor[i].name, name, &how);
    n += has;
    if (!has && !weights_name_is_extra (f->tensor[i].name) &&
        *first_without < 0)
      *first_without = i;
  }
  return n;
}

static enum status
choose (const struct weights_file *f, const char *names,
        const struct weights_names **out)
{
  const struct weights_names *t;
  int most = 0, without = -1;
  *out = NULL;
  for (int i = 0; (t = weights_names_at (i)); i++) {
    int first, n = places (t, f, &first);
    if ((names && strcmp (weights_names_word (t), names) != 0) || n <= most)
      continue;
    most = n;
    without = first;
    *out = t;
  }
  if (!*out)
    return fail (E_CHECKPOINT,
                 "%s: %s: none of its tensors has a place in a model of %s",
                 f->path, f->tensor[0].name, names ? names : WEIGHTS_NAMES);
  if (without >= 0)
    return fail (E_CHECKPOINT,
                 "%s: %s: of a model that is not here: %s has no such tensor",
                 f->path, f->tensor[without].name, weights_names_model (*out));
  return OK;
}

/* Conv1D's matrices are [in, out]; other programs keep GPT-2's as Linear does.
 * c_attn, which is never square, tells. */
static enum status
find_turned (const struct weights_file *f, bool *turned)
{
  static const char end[] = ".attn.c_attn.weight";
  int n[2] = {0, 0};
  for (int i = 0; i < f->n; i++) {
    const struct weights_tensor *t = &f->tensor[i];
    size_t length = strlen (t->name), m = strlen (end);
    if (length > m && strcmp (t->name + length - m, end) == 0 && t->n_dims == 2)
      n[t->dims[0] < t->dims[1]]++;
  }
  *turned = n[1] > 0;
  return n[0] > 0 && n[1] > 0
             ? fail (E_CHECKPOINT,
                     "%s: some matrices of attn.c_attn.weight are [out, in] "
                     "and some [in, out]",
                     f->path)
             : OK;
}

/* One tensor of the file into e, from outside to our layout. */
static enum status
take (const struct weights_names *t, const struct weights_file *f, int i,
      bool turned, struct weights_entry *e)
{
  const struct weights_tensor *from = &f->tensor[i];
  unsigned how = 0;
  if (weights_name_is_head (from->name))
    snprintf (e->name, sizeof e->name, "%s", from->name);
  else if (!weights_name_in (t, from->name, e->name, &how))
    return fail (E_CHECKPOINT, "%s: %s: a name too long", f->path, from->name);
  if (from->type == WEIGHTS_OTHER)
    return fail (E_CHECKPOINT,
                 "%s: %s: numbers of type %s; F64, F32, F16 and BF16 are read",
                 f->path, from->name, from->word);
  e->from = i;
  e->n_dims = from->n_dims;
  memcpy (e->dims, from->dims, sizeof e->dims);
  if ((how & WEIGHTS_TURNED) && e->n_dims != 2)
    return fail (E_CHECKPOINT, "%s: %s: %d dims; a matrix has 2", f->path,
                 from->name, e->n_dims);
  if ((how & WEIGHTS_TURNED) && turned) {
    e->turned = true;
    e->dims[0] = from->dims[1];
    e->dims[1] = from->dims[0];
  }
  if ((how & WEIGHTS_POINT) && e->n_dims == 4 && e->dims[2] == 1 &&
      e->dims[3] == 1)
    e->n_dims = 2;
  return OK;
}

static enum status
take_all (const struct weights_names *t, const struct weights_file *f,
          struct weights_entry *e, int *n, struct text *unused)
{
  char name[TENSOR_NAME];
  unsigned how;
  bool turned = false;
  TRY (find_turned (f, &turned));
  for (int i = 0; i < f->n; i++) {
    const char *theirs = f->tensor[i].name;
    if (!weights_name_is_head (theirs) &&
        !weights_name_in (t, theirs, name, &how)) {
      text_add (unused, "%s%s", unused->size ? ", " : "", theirs);
      continue;
    }
    TRY (take (t, f, i, turned, &e[*n]));
    for (int k = 0; k < *n; k++)
      if (strcmp (e[k].name, e[*n].name) == 0)
        return fail (E_CHECKPOINT, "%s: %s and %s are the same tensor", f->path,
                     f->tensor[e[k].from].name, theirs);
    ++*n;
  }
  return OK;
}

/* So that the file does not tell in which order another one was. */
static int
by_name (const void *a, const void *b)
{
  const struct weights_entry *x = a, *y = b;
  return strcmp (x->name, y->name);
}

enum status
weights_import (const char *input, const char *names, const char *output)
{
  const struct weights_names *t = NULL;
  struct weights_file f;
  struct weights_entry *e = NULL;
  struct text unused;
  int n = 0;
  TRY (weights_open (input, true, &f));
  text_init (&unused);
  enum status s = choose (&f, names, &t);
  if (s == OK)
    s = MEM_NEW ((size_t)f.n, &e, "list of tensors");
  if (s == OK)
    s = take_all (t, &f, e, &n, &unused);
  if (s == OK)
    qsort (e, (size_t)n, sizeof *e, by_name);
  if (s == OK)
    s = weights_write (&f, e, n, WEIGHTS_HDF5, output);
  if (s == OK && unused.size > 0)
    say (LOG_INFO, "%s: not used: %s", input, unused.data);
  if (s == OK)
    say (LOG_INFO,
         "written: %s, %d tensors of %s; train.init = %s begins with "
         "them",
         output, n, weights_names_model (t), output);
  mem_free (&e);
  text_clear (&unused);
  weights_close (&f);
  return s;
}
