/* store/import_folder.c -- `interlock import folder`: images by class. */
#include "store/folder_impl.h"
#include "store/import_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "store/file_impl.h"
#include <string.h>

/* valid=0.05 */
static enum status
read_share (const char *key, const char *word, double *out)
{
  if (word && (!text_to_double (word, out) || *out < 0 || *out >= 1))
    return fail (E_CONFIG,
                 "import folder: %s=%s: expected a share from 0 to below 1",
                 key, word);
  return OK;
}

static enum status
read_options (const struct store_import *job, struct store_folder_draw *draw,
              struct store_folder_how *how)
{
  const char *valid = NULL, *test = NULL, *raw = "no";
  struct store_option o[] = {
      {"valid", 0, 0, 0, &valid},      {"test", 0, 0, 0, &test},
      {"seed", 1, 0, INT64_MAX, NULL}, {"size", 224, 8, 1024, NULL},
      {"raw", 0, 0, 0, &raw},
  };
  TRY (store_options_parse (job->kind, job->n_options, job->options, o, 5));
  if (strcmp (raw, "yes") != 0 && strcmp (raw, "no") != 0)
    return fail (E_CONFIG, "import folder: raw=%s: expected yes or no", raw);
  draw->share[STORE_VALID] = draw->share[STORE_TEST] = -1;
  TRY (read_share ("valid", valid, &draw->share[STORE_VALID]));
  TRY (read_share ("test", test, &draw->share[STORE_TEST]));
  draw->seed = (uint64_t)o[2].value;
  how->size = (int)o[3].value;
  how->raw = strcmp (raw, "yes") == 0;
  if (job->n_inputs == 0)
    return fail (E_USAGE, "import folder: no input: give a folder of folders, "
                          "one for each class");
  return OK;
}

/* The last part of a path that is a name. */
static void
make_name (const char *path, struct text *out)
{
  size_t n = strlen (path);
  while (n > 0 && path[n - 1] == '/')
    n--;
  size_t from = n;
  while (from > 0 && path[from - 1] != '/')
    from--;
  if (n == from || path[from] == '.')
    text_add (out, "folder");
  else
    text_add (out, "%.*s", (int)(n - from), path + from);
}

static void
make_origin (const struct store_folder *f, const struct store_folder_draw *draw,
             struct text *out)
{
  text_add (out, "folder of images");
  for (int i = STORE_VALID; i < STORE_SPLITS; i++)
    if (draw->share[i] >= 0)
      text_add (out, ", %s=%g", store_split_name ((enum store_split)i),
                draw->share[i]);
  text_add (out,
            f->split_by_folder ? ", splits by folder"
                               : ", splits drawn from seed %llu",
            (unsigned long long)draw->seed);
}

static void
say_done (const struct store_folder *f, const struct store_folder_how *how,
          const char *output, const struct store_folder_done *done)
{
  log_live_done ();
  if (f->others > 0)
    say (LOG_INFO,
         "left out files that are neither JPEG nor PNG by their names: %s, "
         "such as %s",
         text_count (f->others), f->example.data);
  if (done->encoded > 0)
    say (LOG_INFO,
         "PNG images encoded as JPEG, quality 95: %s (raw=yes keeps pixels)",
         text_count (done->encoded));
  if (done->warned > 0)
    say (LOG_WARN, "images that decode with a warning: %s, such as %s",
         text_count (done->warned), done->warning.data);
  say (LOG_INFO,
       "wrote %s: %s, %d classes, %lld train, %lld valid, %lld test "
       "images, %s, seen as %d x %d",
       output, how->name, f->n_classes, (long long)f->count[STORE_TRAIN],
       (long long)f->count[STORE_VALID], (long long)f->count[STORE_TEST],
       text_bytes ((double)done->bytes), how->size, how->size);
}

static enum status
import_all (const struct store_import *job,
            const struct store_folder_draw *draw, struct store_folder_how *how,
            struct store_folder *f)
{
  struct store_folder_done done = {0};
  struct text name, origin;
  text_init (&name);
  text_init (&origin);
  text_init (&done.warning);
  enum status s = store_folder_read (f, job->n_inputs, job->inputs, draw);
  if (s == OK) {
    make_name (job->inputs[0], &name);
    make_origin (f, draw, &origin);
    how->name = name.data;
    how->origin = origin.data;
    s = store_folder_write (f, how, job->output, &done);
  }
  if (s == OK)
    say_done (f, how, job->output, &done);
  text_clear (&done.warning);
  text_clear (&origin);
  text_clear (&name);
  return s;
}

enum status
store_import_folder (const struct store_import *job)
{
  struct store_folder_draw draw = {0};
  struct store_folder_how how = {0};
  struct store_folder f;
  TRY (read_options (job, &draw, &how));
  store_folder_init (&f);
  enum status s = import_all (job, &draw, &how, &f);
  store_folder_clear (&f);
  return s;
}
