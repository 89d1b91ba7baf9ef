/* import/import.c -- `interlock import`: which importer, and its options. */
#include "import/import_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "import/folder_impl.h"
#include "import/packed_impl.h"
#include "store/file.h"
#include <string.h>
#include <sys/stat.h>

struct importer {
  const char *kind;
  enum status (*read) (const struct import_job *, struct import_images *);
  enum status (*make) (const struct import_job *); /* where read is NULL */
  const char *help;
  /* Which files of an archive are read; NULL: an archive is no input. */
  bool (*wanted) (const char *name);
};

static bool
any (const char *name)
{
  (void)name;
  return true;
}

static const struct importer importers[] = {
    {"cifar10", import_cifar10, NULL,
     "folder with data_batch_1.bin .. 5 and test_batch.bin, or such files",
     any},
    {"cifar100", import_cifar100, NULL,
     "folder with train.bin and test.bin, or such files (fine labels)", any},
    {"idx", import_idx, NULL,
     "folder of MNIST's four files, or: train-images train-labels "
     "[test-images test-labels]",
     any},
    {"folder", NULL, import_folder,
     "folders of JPEG or PNG images: DIR/CLASS/..., or DIR/train/CLASS/... "
     "with "
     "valid, val, test, ... beside train",
     import_folder_is_image},
    {"synthetic", import_synthetic, NULL,
     "no input; draws pairs of shapes (options seed, train, valid, test, "
     "classes, size)",
     NULL},
    {"text", NULL, import_text,
     "text files; --tokenizer bytes (default) or sentencepiece with --vocab N "
     "or --model FILE",
     NULL},
    {"tokens", NULL, import_tokens,
     "ready ids: raw little-endian (format=uint16 (default), uint32, uint64, "
     "int32, int64), numbers (format=text), .npy, or of llm.c; vocab=N",
     NULL},
    {"weights", NULL, import_weights,
     "safetensors or HDF5 file of a model's parameters, under the names of "
     "torchvision, timm or Hugging Face; names=NAME where they do not tell",
     NULL},
};
#define N_IMPORTERS ((int)(sizeof importers / sizeof importers[0]))

void
import_help (struct text *out)
{
  for (int i = 0; i < N_IMPORTERS; i++)
    text_add (out, "  %-10s %s\n", importers[i].kind, importers[i].help);
  text_add (
      out,
      "  Files but those of folder may be plain, .gz or .xz, those of cifar10, "
      "cifar100 and\n  idx .bz2 or .zst as well; folders may be tar archives, "
      "also compressed, or zip\n  archives.  "
      "Options of cifar10, cifar100\n  and idx: valid=N samples held out from "
      "the end "
      "of train (default: a tenth),\n  limit=N use the first N of each "
      "split.\n"
      "  Options of text and tokens: valid=, test= a share below 1 of "
      "what the files hold\n  (valid=0.1 where neither is given), a "
      "number of bytes or tokens, or a file.  Of text:\n"
      "  documents=file, line or blank (what a separator stands "
      "between), split=order (the\n  end of the text is held out) or "
      "document (whole documents in turn).  Of tokens:\n"
      "  separator=ID.\n"
      "  Options of folder: valid=, test= a share below 1 of the images, "
      "drawn from seed=\n  and their paths (0.05 each where there is no "
      "folder train), size=224 the side of\n  the square that networks "
      "see, raw=yes stores that square in place of JPEG, orient=yes "
      "turns images as\n  their EXIF says, --skip-bad goes on without those "
      "that "
      "do not decode.\n");
}

static enum status
import_images (const struct importer *how, const struct import_job *job)
{
  struct import_images m;
  import_images_init (&m);
  enum status s = how->read (job, &m);
  if (s == OK)
    s = import_images_write (&m, job->output);
  log_live_done ();
  if (s == OK)
    say (LOG_INFO, "wrote %s: %s, %lld train, %lld valid, %lld test samples",
         job->output, m.name, (long long)m.split[DATA_TRAIN].n,
         (long long)m.split[DATA_VALID].n, (long long)m.split[DATA_TEST].n);
  import_images_clear (&m);
  return s;
}

/* Archives are folders to the importer. */
static enum status
import_by (const struct importer *how, const struct import_job *given)
{
  struct import_job job = *given;
  char **inputs = NULL;
  enum status s = OK;
  if (how->wanted) {
    s = MEM_NEW ((size_t)job.n_inputs, &inputs, "inputs");
    if (s == OK)
      s = import_packed_open (&job, how->wanted, inputs);
    job.inputs = (const char *const *)inputs;
  }
  if (s == OK)
    s = how->read ? import_images (how, &job) : how->make (&job);
  import_packed_close ();
  for (int i = 0; inputs && i < job.n_inputs; i++)
    mem_free (&inputs[i]);
  mem_free (&inputs);
  return s;
}

/* By whatever names. */
static bool
same_file (const char *a, const char *b)
{
  struct stat x, y;
  return stat (a, &x) == 0 && stat (b, &y) == 0 && x.st_dev == y.st_dev &&
         x.st_ino == y.st_ino;
}

/* Without --force a file that is there stays: making it may have taken hours.
 */
static enum status
check_there (const struct import_job *job)
{
  struct store_output o;
  bool force = false;
  for (int i = 0; i < job->n_options; i++)
    if (strncmp (job->options[i], "force=", 6) == 0) {
      force = strcmp (job->options[i] + 6, "yes") == 0;
      if (!force && strcmp (job->options[i] + 6, "no") != 0)
        return fail (E_CONFIG, "import %s: \"%s\": expected yes or no",
                     job->kind, job->options[i]);
    }
  TRY (store_output_open (job->output, &o));
  int64_t bytes = o.stream ? 0 : store_file_bytes (o.to);
  enum status s = OK;
  if (bytes > 0 && !force)
    s = fail (E_USAGE,
              "import %s: -o %s: is there already (%s); --force replaces it",
              job->kind, job->output, text_bytes ((double)bytes));
  else if (bytes > 0)
    say (LOG_INFO, "%s will be replaced when the new one is whole",
         job->output);
  store_output_clear (&o);
  return s;
}

/* Checks the output before hours of reading, and that it is not an input. */
static enum status
check_output (const struct import_job *job)
{
  if (!job->output || !job->output[0])
    return fail (E_USAGE, "import %s: no output file", job->kind);
  if (store_file_is_folder (job->output))
    return fail (E_USAGE, "import %s: -o %s: is a directory", job->kind,
                 job->output);
  for (int i = 0; i < job->n_inputs + job->n_options; i++) {
    const char *in = i < job->n_inputs
                         ? job->inputs[i]
                         : strchr (job->options[i - job->n_inputs], '=');
    if (in && same_file (in + (i >= job->n_inputs), job->output))
      return fail (E_USAGE, "import %s: -o %s is a file to read from",
                   job->kind, job->output);
  }
  return check_there (job);
}

enum status
import_run (const char *kind, int n_inputs, const char *const *inputs,
            int n_options, const char *const *options, const char *output)
{
  struct import_job job = {kind, n_inputs, inputs, n_options, options, output};
  const struct importer *found = NULL;
  struct text list;
  text_init (&list);
  for (int i = 0; i < N_IMPORTERS; i++) {
    text_add (&list, "%s%s", i ? ", " : "", importers[i].kind);
    if (strcmp (importers[i].kind, kind) == 0)
      found = &importers[i];
  }
  enum status s = OK;
  if (!found)
    s = fail (E_CONFIG, "import: unknown kind \"%s\"; there are: %s", kind,
              list.data);
  else
    s = check_output (&job);
  if (s == OK)
    s = import_by (found, &job);
  log_live_done ();
  text_clear (&list);
  return s;
}
