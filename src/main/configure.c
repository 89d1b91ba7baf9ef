/* main/configure.c -- from words, files and checkpoints to the configuration of
 * a command.
 *
 * A file is read by the root rank alone; its text, or the reason why there is
 * none, goes to all, and every rank resolves the same configuration from it.
 */
#include "main/main.h"

#include "base/memory.h"
#include "design/ask.h"
#include "store/checkpoint.h"
#include "wire/wire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert(CONFIG_WORD == 64, "what --fresh wants says 63");

bool
configure_fresh (void *start, const char *name)
{
  struct start *s = start;
  s->fresh = true;
  s->fresh_by = name;
  return !name ||
         (name[0] && strlen (name) < CONFIG_WORD && !strpbrk (name, "\n\r"));
}

enum status
configure_start (const struct start *s, struct config *c)
{
  c->threads = s->threads;
  c->force_threads = s->threads > 0;
  c->fresh = s->fresh;
  snprintf (c->fresh_by, sizeof c->fresh_by, "%s",
            s->fresh_by ? s->fresh_by : "");
  if (s->dump && strlen (s->dump) >= sizeof c->dump)
    return fail (E_USAGE, "--dump: more than %zu characters",
                 sizeof c->dump - 1);
  snprintf (c->dump, sizeof c->dump, "%s", s->dump ? s->dump : "");
  return OK;
}

static enum status
share (void *reader, const char *path, char **text)
{
  return file_share (reader, path, text);
}

/* Collective on world. */
static enum status
resolve (struct config_source *source, const struct start *start,
         enum config_use use, struct wire *w, struct config *c)
{
  source->read = share;
  source->reader = w;
  enum status s = design_configure (source, use, c);
  if (s == OK) {
    wire_patience (w, c->patience);
    s = configure_start (start, c);
  }
  return wire_agree (w, s);
}

enum status
configure_file (const char *path, const struct given *g, const struct start *s,
                enum config_use use, struct wire *w, struct config *c)
{
  char *text = NULL;
  if (path)
    TRY (file_share (w, path, &text));
  struct config_source source = {
      .name = path, .text = text, .n_words = g->n_words, .words = g->words};
  enum status e = resolve (&source, s, use, w, c);
  mem_free (&text);
  return e;
}

/* -- of a checkpoint --------------------------------------------------------
 */

enum status
configure_find (const char *path, struct text *out)
{
  if (!file_is_directory (path)) {
    text_add (out, "%s", path);
    return OK;
  }
  TRY (store_checkpoint_newest (path, out));
  if (out->size == 0)
    return fail (E_MISSING, "%s: no checkpoint in this directory", path);
  return OK;
}

static enum status
read_checkpoint_config (const char *path, char **out)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  TRY (store_checkpoint_open (path, &file));
  store_checkpoint_attributes (file, &a);
  enum status s = store_checkpoint_agrees (file);
  if (s == OK && (!a.config || a.config[0] == '\0'))
    s = fail (E_CHECKPOINT,
              "%s: it has no configuration (a bare parameter "
              "file?)",
              path);
  if (s == OK)
    s = mem_text (a.config, out);
  store_checkpoint_close (&file);
  return s;
}

/* Root: path and configuration of the checkpoint that o names. */
static enum status
open_checkpoint (const char *path, char **found, char **config)
{
  struct text name;
  text_init (&name);
  enum status s = configure_find (path, &name);
  if (s == OK)
    s = read_checkpoint_config (name.data, config);
  if (s == OK)
    s = mem_text (name.data, found);
  text_clear (&name);
  return s;
}

/* Root: says how to name the data set, if it is not where the checkpoint says:
 * it is often read in another directory or on another machine. */
static enum status
find_data (const char *checkpoint, const struct config *c)
{
  if (access (c->file, F_OK) == 0 || errno != ENOENT)
    return OK; /* opening tells */
  return fail (
      E_MISSING,
      "%s: no such file; it is the data set of %s: give data.file=PATH "
      "where it lies elsewhere now",
      c->file, checkpoint);
}

enum status
configure_checkpoint (const char *name, const struct given *g,
                      const struct start *start, struct wire *w, char **path,
                      struct config *c)
{
  char *config = NULL;
  char one[CONFIG_WORD];
  const char **words = NULL;
  enum status s = OK;
  if (wire_rank (w) == 0)
    s = open_checkpoint (name, path, &config);
  s = file_verdict (w, s);
  if (s == OK)
    s = wire_broadcast_text (w, path, 0);
  if (s == OK)
    s = wire_broadcast_text (w, &config, 0);
  if (s == OK)
    s = wire_agree (w, MEM_NEW ((size_t)g->n_words + 1, &words, "words"));
  if (s == OK) {
    /* Replicas share the work of training; a word may ask for them here. */
    snprintf (one, sizeof one, "%s=1", KEY_NAME (replicas));
    words[0] = one;
    memcpy (words + 1, g->words, (size_t)g->n_words * sizeof *words);
    struct config_source source = {.name = *path,
                                   .text = config,
                                   .n_words = g->n_words + 1,
                                   .words = words};
    s = resolve (&source, start, CONFIG_EVAL, w, c);
  }
  if (s == OK)
    s = file_verdict (w, wire_rank (w) == 0 ? find_data (*path, c) : OK);
  mem_free (&words);
  mem_free (&config);
  return s;
}
