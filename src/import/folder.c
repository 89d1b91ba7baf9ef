/* import/folder.c -- `interlock import folder`: images by class. */
#include "import/folder_impl.h"
#include "import/import_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "store/file.h"
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
read_answer (const char *key, const char *word, bool *out)
{
  *out = strcmp (word, "yes") == 0;
  if (!*out && strcmp (word, "no") != 0)
    return fail (E_CONFIG, "import folder: %s=%s: expected yes or no", key,
                 word);
  return OK;
}

static enum status
read_options (const struct import_job *job, struct import_folder_draw *draw,
              struct import_folder_spec *spec)
{
  const char *valid = NULL, *test = NULL;
  const char *raw = "no", *orient = "no", *skip = "no";
  struct import_option o[] = {
      {"valid", 0, 0, 0, &valid},      {"test", 0, 0, 0, &test},
      {"seed", 1, 0, INT64_MAX, NULL}, {"size", 224, 8, 1024, NULL},
      {"raw", 0, 0, 0, &raw},          {"orient", 0, 0, 0, &orient},
      {"skip-bad", 0, 0, 0, &skip},
  };
  TRY (import_options_parse (job->kind, job->n_options, job->options, o, 7));
  TRY (read_answer ("raw", raw, &spec->raw));
  TRY (read_answer ("orient", orient, &spec->orient));
  TRY (read_answer ("skip-bad", skip, &spec->skip_bad));
  draw->share[DATA_VALID] = draw->share[DATA_TEST] = -1;
  TRY (read_share ("valid", valid, &draw->share[DATA_VALID]));
  TRY (read_share ("test", test, &draw->share[DATA_TEST]));
  draw->seed = (uint64_t)o[2].value;
  spec->size = (int)o[3].value;
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
make_origin (const struct import_folder *f,
             const struct import_folder_draw *draw, bool orient,
             struct text *out)
{
  text_add (out, "folder of images");
  for (int i = DATA_VALID; i < DATA_SPLITS; i++)
    if (draw->share[i] >= 0)
      text_add (out, ", %s=%g", data_split_name ((enum data_split)i),
                draw->share[i]);
  text_add (out,
            f->split_by_folder ? ", splits by folder"
                               : ", splits drawn from seed %llu",
            (unsigned long long)draw->seed);
  if (orient)
    text_add (out, ", turned as EXIF says");
}

/* Which folders have become which splits, and what lies beside them. */
static void
say_layout (const struct import_folder *f)
{
  for (int i = 0; i < f->n_dirs && f->split_by_folder; i++)
    for (int k = 0; k < DATA_SPLITS; k++) {
      const char *name = f->tops[i].name[k];
      const char *split = data_split_name ((enum data_split)k);
      /* By another name it may have been meant to be a class. */
      bool usual = strcmp (name, split) == 0 || strcmp (name, "val") == 0;
      if (name[0])
        say (usual ? LOG_INFO : LOG_WARN, "%s/%s is taken as %s", f->dirs[i],
             name, split);
    }
  if (f->beside > 0)
    say (LOG_WARN, "left out folders beside the splits: %s, such as %s",
         text_count (f->beside), f->beside_example.data);
  if (f->flat > 0)
    say (LOG_WARN,
         "left out images that lie in no folder of a class: %s, such as %s",
         text_count (f->flat), f->flat_example.data);
}

static void
say_done (const struct import_folder *f, const struct import_folder_spec *spec,
          const char *output, const struct import_folder_done *done)
{
  log_live_done ();
  if (f->others > 0)
    say (LOG_INFO,
         "left out files that are neither JPEG nor PNG by their names: %s, "
         "such as %s",
         text_count (f->others), f->example.data);
  if (done->bad > 0)
    say (LOG_WARN, "left out images that do not decode: %s of %s",
         text_count (done->bad), text_count (f->n + done->bad));
  if (done->held > 0 && spec->orient)
    say (LOG_INFO, "images turned as their EXIF says%s: %s, such as %s",
         spec->raw ? "" : " and encoded as JPEG, quality 95",
         text_count (done->held), done->held_example.data);
  else if (done->held > 0)
    say (LOG_INFO,
         "images whose EXIF asks to turn them: %s, such as %s; they are kept "
         "as they lie (orient=yes turns them)",
         text_count (done->held), done->held_example.data);
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
       output, spec->name, f->n_classes, (long long)f->count[DATA_TRAIN],
       (long long)f->count[DATA_VALID], (long long)f->count[DATA_TEST],
       text_bytes ((double)done->bytes), spec->size, spec->size);
}

static enum status
import_all (const struct import_job *job, const struct import_folder_draw *draw,
            struct import_folder_spec *spec, struct import_folder *f)
{
  struct import_folder_done done = {0};
  struct text name, origin;
  text_init (&name);
  text_init (&origin);
  text_init (&done.warning);
  text_init (&done.held_example);
  enum status s = import_folder_read (f, job->n_inputs, job->inputs, draw);
  if (s == OK) {
    make_name (job->inputs[0], &name);
    make_origin (f, draw, spec->orient, &origin);
    say_layout (f);
    spec->name = name.data;
    spec->origin = origin.data;
    s = import_folder_write (f, spec, job->output, &done);
  }
  if (s == OK)
    say_done (f, spec, job->output, &done);
  text_clear (&done.warning);
  text_clear (&done.held_example);
  text_clear (&origin);
  text_clear (&name);
  return s;
}

enum status
import_folder (const struct import_job *job)
{
  struct import_folder_draw draw = {0};
  struct import_folder_spec spec = {0};
  struct import_folder f;
  TRY (read_options (job, &draw, &spec));
  import_folder_init (&f);
  enum status s = import_all (job, &draw, &spec, &f);
  import_folder_clear (&f);
  return s;
}
