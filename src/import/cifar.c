/* import/cifar.c -- CIFAR-10 and CIFAR-100 in their binary records.
 *
 * A record is one label byte (CIFAR-100: coarse, then fine) and 3,072 pixel
 * bytes: red, green, blue planes of 32 x 32.  See datasets/cifar10.md.
 */
#include "import/import_impl.h"

#include "base/log.h"
#include "import/packed_impl.h"
#include "store/file.h"
#include <string.h>

#define PIXELS 3072
#define SAMPLES_MOST 1000000

struct layout {
  const char *name;
  const char *folder; /* as the official archive unpacks */
  int label_bytes;    /* the last one is the label */
  int classes;
  const char *names_file; /* one class name a line */
  const char *files[7];   /* NULL at the end; the last one is the test set */
};

static const struct layout cifar10 = {
    "CIFAR-10",
    "cifar-10-batches-bin",
    1,
    10,
    "batches.meta.txt",
    {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
     "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin", NULL},
};
static const struct layout cifar100 = {
    "CIFAR-100", "cifar-100-binary",     2,
    100,         "fine_label_names.txt", {"train.bin", "test.bin", NULL},
};

/* As many records as limit= may ask for, of the longer kind. */
static uint64_t
most_of_records (const unsigned char *head, size_t n)
{
  (void)head, (void)n;
  return (uint64_t)SAMPLES_MOST * (PIXELS + 2);
}

static uint64_t
most_of_names (const unsigned char *head, size_t n)
{
  (void)head, (void)n;
  return 1 << 20;
}

/* -- class names ----------------------------------------------------------- */

/* Lines that are not blank, as many as there are classes; else numbers. */
static void
read_names (const struct layout *l, const char *folder, struct import_images *m)
{
  struct import_input in = {0};
  struct text path;
  int n = 0;
  bool good = true; /* no control bytes, which are no names */
  text_init (&path);
  if (import_input_find (folder, l->names_file, &path) &&
      import_input_read (path.data, most_of_names, &in) == OK) {
    for (size_t i = 0; i < in.size;) {
      size_t to = i;
      while (to < in.size && in.data[to] != '\n' && in.data[to] != '\r') {
        good = good && in.data[to] >= ' ' && in.data[to] != 127;
        to++;
      }
      if (to > i)
        text_add (&m->classes, "%s%.*s", n++ ? "\n" : "", (int)(to - i),
                  (const char *)in.data + i);
      i = to + 1;
    }
  }
  fail_clear ();
  import_input_clear (&in);
  text_clear (&path);
  if (good && n == l->classes)
    return;
  if (n > 0)
    say (LOG_WARN, "%s/%s: %s: the classes get numbers for names", folder,
         l->names_file,
         good ? "not a name on a line for each class" : "no text");
  text_clear (&m->classes);
  text_init (&m->classes);
  for (int i = 0; i < l->classes; i++)
    text_add (&m->classes, "%s%d", i ? "\n" : "", i);
}

/* -- records --------------------------------------------------------------- */

static enum status
check_size (const struct layout *l, const char *path, size_t size)
{
  size_t record = (size_t)l->label_bytes + PIXELS;
  size_t n = size / record;
  if (n == 0 || size % record != 0)
    return fail (E_DATA,
                 "%s: %zu bytes, expected a multiple of %zu (%d label, %d "
                 "pixel bytes); record %zu has only %zu",
                 path, size, record, l->label_bytes, PIXELS, n, size % record);
  return OK;
}

static enum status
add_records (const struct layout *l, const char *path,
             const struct import_input *in, int64_t limit,
             struct import_images *m, enum data_split which)
{
  struct import_images_split *split = &m->split[which];
  size_t record = (size_t)l->label_bytes + PIXELS;
  int64_t n = (int64_t)(in->size / record);
  if (limit > 0 && split->n + n > limit)
    n = limit - split->n;
  TRY (import_images_room (m, which, n));
  for (int64_t i = 0; i < n; i++) {
    const unsigned char *r = in->data + (size_t)i * record;
    int label = r[l->label_bytes - 1];
    if (label >= l->classes)
      return fail (E_DATA, "%s: record %lld: label %d, expected 0 to %d", path,
                   (long long)i, label, l->classes - 1);
    split->labels[split->n + i] = (unsigned char)label;
    memcpy (split->pixels + (size_t)(split->n + i) * PIXELS, r + l->label_bytes,
            PIXELS);
  }
  split->n += n;
  return OK;
}

static enum status
add_file (const struct layout *l, const char *path, int64_t limit,
          struct import_images *m)
{
  bool test = strncmp (store_file_name (path), "test", 4) == 0;
  struct import_input in = {0};
  log_live ("reading %s", path);
  enum status s = import_input_read (path, most_of_records, &in);
  if (s == OK)
    s = check_size (l, path, in.size);
  if (s == OK)
    s = add_records (l, path, &in, limit, m, test ? DATA_TEST : DATA_TRAIN);
  import_input_clear (&in);
  return s;
}

static enum status
add_folder (const struct layout *l, const char *folder, int64_t limit,
            struct import_images *m)
{
  for (int i = 0; l->files[i]; i++) {
    struct text path;
    enum status s = OK;
    text_init (&path);
    if (!import_input_find (folder, l->files[i], &path))
      s = fail (E_MISSING, "%s: no %s in it (nor .xz, .gz, .bz2, .zst)", folder,
                l->files[i]);
    if (s == OK)
      s = add_file (l, path.data, limit, m);
    text_clear (&path);
    TRY (s);
  }
  return OK;
}

/* The folder itself, or the one in it that the official archive makes. */
static void
choose_folder (const struct layout *l, const char *given, struct text *out)
{
  struct text inner;
  text_init (&inner);
  text_add (&inner, "%s/%s", given, l->folder);
  text_add (out, "%s", import_file_is_folder (inner.data) ? inner.data : given);
  text_clear (&inner);
}

static enum status
import_cifar (const struct layout *l, const struct import_job *job,
              struct import_images *m)
{
  struct import_option options[] = {{"valid", -1, 0, SAMPLES_MOST, NULL},
                                    {"limit", 0, 1, SAMPLES_MOST, NULL}};
  TRY (import_options_parse (job->kind, job->n_options, job->options, options,
                             2));
  if (job->n_inputs == 0)
    return fail (E_USAGE, "import %s: no input: give the folder %s", job->kind,
                 l->folder);
  m->name = l->name;
  m->n_classes = l->classes;
  m->channels = 3;
  m->height = m->width = 32;
  text_add (&m->origin, "%s binary records", l->name);
  struct text folder;
  text_init (&folder);
  enum status s = OK;
  int64_t limit = options[1].value;
  if (job->n_inputs == 1 && import_file_is_folder (job->inputs[0])) {
    choose_folder (l, job->inputs[0], &folder);
    s = add_folder (l, folder.data, limit, m);
  } else {
    store_file_directory (job->inputs[0], &folder);
    for (int i = 0; s == OK && i < job->n_inputs; i++)
      s = add_file (l, job->inputs[i], limit, m);
  }
  if (s == OK)
    read_names (l, folder.data, m);
  text_clear (&folder);
  return s == OK ? import_images_hold_out (m, options[0].value) : s;
}

enum status
import_cifar10 (const struct import_job *job, struct import_images *m)
{
  return import_cifar (&cifar10, job, m);
}

enum status
import_cifar100 (const struct import_job *job, struct import_images *m)
{
  return import_cifar (&cifar100, job, m);
}
