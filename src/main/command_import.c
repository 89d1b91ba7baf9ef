/* main/command_import.c -- the command `import`. */
#include "main/main.h"

#include "base/memory.h"
#include "import/import.h"
#include "wire/wire.h"
#include <string.h>

struct options {
  struct given given;
  const char *tokenizer, *vocab, *model;
  bool force, skip_bad;
};

/* clang-format off */
static const struct flag flags[] = {
  { "output", 'o', "FILE", "the file to write", INTO_TEXT (given.output) },
  { "tokenizer", 0, "NAME", "of text: bytes (default) or sentencepiece",
    INTO_TEXT (tokenizer) },
  { "vocab", 0, "N",
    "sentencepiece: pieces to find, default 8192; tokens: how many there are",
    INTO_TEXT (vocab) },
  { "model", 0, "FILE",
    "sentencepiece: use this model instead of making one",
    INTO_TEXT (model) },
  { "force", 0, NULL, "replace a file that is there under the name of -o",
    INTO_BOOL (force) },
  { "skip-bad", 0, NULL,
    "of folder: go on without images that do not decode, which are named",
    INTO_BOOL (skip_bad) },
  { 0 }
};
/* clang-format on */

static void
check (void *options, struct text *wrong)
{
  struct options *o = options;
  if (!o->given.output)
    text_add (wrong, "import wants -o FILE\n");
}

/* Options of a kind are words of it too. */
static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  const struct given *g = &o->given;
  const char *const option[][2] = {{"tokenizer", o->tokenizer},
                                   {"vocab", o->vocab},
                                   {"model", o->model},
                                   {"force", o->force ? "yes" : NULL},
                                   {"skip-bad", o->skip_bad ? "yes" : NULL}};
  enum { N = sizeof option / sizeof *option };
  struct text text[N];
  const char **words = NULL;
  int n = 0;
  TRY (wire_agree (w, MEM_NEW ((size_t)(N + g->n_words), &words, "words")));
  for (int i = 0; i < N; i++) {
    text_init (&text[i]);
    if (!option[i][1])
      continue;
    text_add (&text[i], "%s=%s", option[i][0], option[i][1]);
    words[n++] = text[i].data;
  }
  memcpy (words + n, g->words, (size_t)g->n_words * sizeof *words);
  enum status s = import_run (g->names[0], g->n_names - 1, g->names + 1,
                              n + g->n_words, words, g->output);
  for (int i = 0; i < N; i++)
    text_clear (&text[i]);
  mem_free (&words);
  return wire_agree (w, s);
}

const struct command command_import = {
    .name = "import",
    .usage = "import KIND [INPUT...] [key=value ...] -o FILE",
    .summary = "make a data set file",
    .detail = "Reads a data set in its official form and writes one file. A "
              "word key=value sets an option of the kind.",
    .flags = flags,
    .size = sizeof (struct options),
    .needs = NEEDS_STDOUT,
    .least = 1,
    .wants = "a kind: `interlock import --help` lists them",
    .names_first = 1,
    .kinds = import_help,
    .check = check,
    .work = work,
};
