/* main/command_export.c -- the command `export`. */
#include "main/main.h"

#include "base/memory.h"
#include "store/checkpoint.h"
#include "weights/weights.h"
#include "wire/wire.h"
#include <string.h>
#include <sys/stat.h>

struct options {
  struct given given;
  const char *format, *names;
  bool heads;
};

/* clang-format off */
static const struct flag flags[] = {
  { "output", 'o', "FILE", "the file to write", INTO_TEXT (given.output) },
  { "format", 0, "NAME",
    "safetensors or hdf5; default: hdf5 where FILE ends in .h5 or .hdf5",
    INTO_TEXT (format), .words = WEIGHTS_FORMS,
    .wanted = "safetensors or hdf5" },
  { "names", 0, "NAME",
    "whose tensors' names: torchvision, timm, hf-gpt2 or hf-llama; default: "
    "those that such a model has",
    INTO_TEXT (names), .words = WEIGHTS_NAMES,
    .wanted = "torchvision, timm, hf-gpt2 or hf-llama" },
  { "heads", 0, NULL,
    "the heads of inner stages, too, as heads.STAGE.WORD.NAME",
    INTO_BOOL (heads) },
  { 0 }
};
/* clang-format on */

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  if (!o->given.output)
    text_add (wrong, "export wants -o FILE\n");
}

static bool
ends (const char *name, const char *end)
{
  size_t n = strlen (name), m = strlen (end);
  return n >= m && strcmp (name + n - m, end) == 0;
}

static enum weights_form
form_of (const struct options *o)
{
  const char *file = o->given.output;
  bool h5 = o->format ? strcmp (o->format, "hdf5") == 0
                      : ends (file, ".h5") || ends (file, ".hdf5");
  return h5 ? WEIGHTS_HDF5 : WEIGHTS_SAFETENSORS;
}

/* By whatever names. */
static bool
same_file (const char *a, const char *b)
{
  struct stat x, y;
  return stat (a, &x) == 0 && stat (b, &y) == 0 && x.st_dev == y.st_dev &&
         x.st_ino == y.st_ino;
}

static int64_t
number (const char *config, const char *key)
{
  char word[CONFIG_WORD] = "";
  int64_t n = 0;
  return config_word (config, key, word, sizeof word) && text_to_long (word, &n)
             ? n
             : 0;
}

static enum status
export_file (const struct options *o, const char *path)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  char border[CONFIG_WORD] = "";
  if (same_file (path, o->given.output))
    return fail (E_USAGE, "export: -o %s is the file to read from",
                 o->given.output);
  TRY (store_checkpoint_open (path, &file));
  store_checkpoint_attributes (file, &a);
  const char *config = a.config ? a.config : "";
  (void)config_word (config, KEY_NAME (border), border, sizeof border);
  const struct weights_export spec = {
      .checkpoint = path,
      .output = o->given.output,
      .form = form_of (o),
      .names = o->names,
      .heads = o->heads,
      .step = a.step,
      .border = border,
      .heads_of_attention = number (config, KEY_NAME (heads)),
      .context = number (config, KEY_NAME (context)),
  };
  store_checkpoint_close (&file);
  return weights_export (&spec);
}

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct text path;
  text_init (&path);
  enum status s = configure_find (o->given.names[0], &path);
  if (s == OK)
    s = export_file (o, path.data);
  text_clear (&path);
  return wire_agree (w, s);
}

const struct command command_export = {
    .name = "export",
    .usage = "export RUN|CHECKPOINT -o FILE [options]",
    .summary = "a model's weights for other programs",
    .detail =
        "Writes the model of a checkpoint, or of the newest of a run, under "
        "the names and in the layouts of another program's models. What such "
        "a model cannot be is refused, with the tensor or the key that says "
        "so. Heads of inner stages are left out.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_STDOUT,
    .least = 1,
    .most = 1,
    .wants = "a run or a checkpoint",
    .names_first = 1,
    .check = check,
    .work = work,
};
