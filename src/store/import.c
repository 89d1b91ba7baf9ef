/* store/import.c -- `interlock import`: which importer, and its options. */
#include "store/import_impl.h"

#include "base/log.h"
#include <string.h>

struct importer {
  const char *kind;
  enum status (*read) (const struct store_import *, struct store_images *);
  const char *help;
};

static const struct importer importers[] = {
    {"cifar10", store_import_cifar10,
     "folder with data_batch_1.bin .. 5 and test_batch.bin, or such files"},
    {"cifar100", store_import_cifar100,
     "folder with train.bin and test.bin, or such files (fine labels)"},
    {"idx", store_import_idx,
     "folder of MNIST's four files, or: train-images train-labels "
     "[test-images test-labels]"},
    {"synthetic", store_import_synthetic,
     "no input; draws pairs of shapes (options seed, train, valid, test, "
     "classes, size)"},
};
#define N_IMPORTERS ((int)(sizeof importers / sizeof importers[0]))

void
store_import_help (struct text *out)
{
  for (int i = 0; i < N_IMPORTERS; i++)
    text_add (out, "  %-10s %s\n", importers[i].kind, importers[i].help);
  text_add (out,
            "  Files may be plain, .gz or .xz.  Options: valid=N samples held "
            "out from the\n  end of train (default: a tenth), limit=N use the "
            "first N of each split.\n");
}

enum status
store_options_parse (const char *kind, int n_options,
                     const char *const *options, struct store_option *known,
                     int n_known)
{
  const char *names[16];
  CHECK (n_known <= 16, "%d options", n_known);
  for (int k = 0; k < n_known; k++)
    names[k] = known[k].key;
  for (int i = 0; i < n_options; i++) {
    char key[64];
    const char *equals = strchr (options[i], '=');
    int length = equals ? (int)(equals - options[i]) : (int)strlen (options[i]);
    snprintf (key, sizeof key, "%.*s", length, options[i]);
    struct store_option *o = NULL;
    for (int k = 0; k < n_known; k++)
      if (strcmp (known[k].key, key) == 0)
        o = &known[k];
    if (!o) {
      const char *near = text_nearest (key, names, (size_t)n_known);
      return fail (E_CONFIG, "import %s: unknown option \"%s\"%s%s%s", kind,
                   key, near ? "; did you mean \"" : "", near ? near : "",
                   near ? "\"?" : "");
    }
    int64_t value = 0;
    if (!equals || !text_to_long (equals + 1, &value) || value < o->least ||
        value > o->most)
      return fail (E_CONFIG,
                   "import %s: \"%s\": expected %s=N, N from %lld "
                   "to %lld",
                   kind, options[i], key, (long long)o->least,
                   (long long)o->most);
    o->value = value;
  }
  return OK;
}

enum status
store_import (const char *kind, int n_inputs, const char *const *inputs,
              int n_options, const char *const *options, const char *output)
{
  struct store_import job = {kind, n_inputs, inputs, n_options, options};
  const struct importer *found = NULL;
  struct text list;
  text_init (&list);
  for (int i = 0; i < N_IMPORTERS; i++) {
    text_add (&list, "%s%s", i ? ", " : "", importers[i].kind);
    if (strcmp (importers[i].kind, kind) == 0)
      found = &importers[i];
  }
  enum status s = OK;
  struct store_images m;
  store_images_init (&m);
  if (!found)
    s = fail (E_CONFIG, "import: unknown kind \"%s\"; there are: %s", kind,
              list.data);
  else if (!output || !output[0])
    s = fail (E_USAGE, "import %s: no output file", kind);
  if (s == OK)
    s = found->read (&job, &m);
  if (s == OK)
    s = store_images_write (&m, output);
  log_live_done ();
  if (s == OK)
    say (LOG_INFO, "wrote %s: %s, %lld train, %lld valid, %lld test samples",
         output, m.name, (long long)m.split[STORE_TRAIN].n,
         (long long)m.split[STORE_VALID].n, (long long)m.split[STORE_TEST].n);
  store_images_clear (&m);
  text_clear (&list);
  return s;
}
