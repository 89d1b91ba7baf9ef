/* main/commands.c -- what each command does with its words before it hands over
 * to run or store.
 *
 * A file is read by the root rank alone; its text, or the reason why there is
 * none, goes to all, and every rank resolves the same configuration from it.
 */
#include "main/main.h"

#include "base/log.h"
#include "base/memory.h"
#include "data/data.h"
#include "import/import.h"
#include "store/checkpoint.h"
#include "store/h5.h"
#include "store/run.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- configuration ----------------------------------------------------------
 */

/* Resolve; text NULL: words only.  Collective on world. */
static enum status
resolve (const struct options *o, struct wire *w, const char *name,
         const char *text, enum config_use use, struct config *c)
{
  struct config_source source = {
      .name = name, .text = text, .n_words = o->n_words, .words = o->words};
  enum status s = run_configure (&source, use, c);
  if (s == OK) {
    wire_patience (w, c->patience);
    options_config (o, c);
    if (o->dump && strlen (o->dump) >= sizeof c->dump)
      s = fail (E_USAGE, "--dump: more than %zu characters",
                sizeof c->dump - 1);
    else if (o->dump)
      snprintf (c->dump, sizeof c->dump, "%s", o->dump);
  }
  return wire_agree (w, s);
}

/* The configuration of train and plan.  Collective on world. */
static enum status
configure (const struct options *o, struct wire *w, enum config_use use,
           struct config *c)
{
  char *text = NULL;
  if (o->path)
    TRY (file_share (w, o->path, &text));
  enum status s = resolve (o, w, o->path, text, use, c);
  mem_free (&text);
  return s;
}

enum status
command_train (const struct options *o, struct wire *w)
{
  struct config c;
  TRY (configure (o, w, CONFIG_TRAIN, &c));
  return train_run (w, &c);
}

static enum status
plan_or_map (const struct options *o, struct config *c,
             struct run_plan_options *p)
{
  struct text out;
  if (o->map.wanted)
    return map_make (o, c, p);
  if (p->ranks == 0)
    p->ranks = (int)(c->count * c->replicas);
  text_init (&out);
  enum status s = run_plan (c, p, &out);
  if (s == OK)
    file_print (&out);
  text_clear (&out);
  return s;
}

enum status
command_plan (const struct options *o, struct wire *w)
{
  struct config c;
  struct run_costs costs = {0};
  TRY (configure (o, w, CONFIG_PLAN, &c));
  if (o->map.calibrate)
    return map_calibrate (o, &c, w);
  struct run_plan_options p = {.ranks = o->ranks,
                               .columns = o->columns,
                               .unit_costs = o->unit,
                               .measure = o->measure,
                               .list = o->list,
                               .latency_s = o->map.latency_s,
                               .bytes_per_s = o->map.bytes_per_s};
  if (o->map.costs) {
    TRY (wire_agree (w, costs_read (o->map.costs, &costs)));
    p.costs = &costs;
    if (p.latency_s < 0)
      p.latency_s = costs.link.latency_s;
    if (p.bytes_per_s <= 0) /* activations and gradients cross */
      p.bytes_per_s = costs.link.both_bytes_per_s;
  }
  enum status s = plan_or_map (o, &c, &p);
  run_costs_close (&costs);
  return wire_agree (w, s);
}

/* -- eval -------------------------------------------------------------------
 */

/* The newest checkpoint where path is a run directory, else path. */
static enum status
find_checkpoint (const char *path, struct text *out)
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
  enum status s = find_checkpoint (path, &name);
  if (s == OK)
    s = read_checkpoint_config (name.data, config);
  if (s == OK)
    s = mem_text (name.data, found);
  text_clear (&name);
  return s;
}

/* Root: a checkpoint is often asked where its run was not started, or on
 * another machine. */
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
configure_as (const struct options *o, struct wire *w, char **path,
              struct config *c)
{
  char *config = NULL;
  const char **words = NULL;
  struct options with = *o;
  enum status s = OK;
  if (wire_rank (w) == 0)
    s = open_checkpoint (o->path, path, &config);
  s = file_verdict (w, s);
  if (s == OK)
    s = wire_broadcast_text (w, path, 0);
  if (s == OK)
    s = wire_broadcast_text (w, &config, 0);
  if (s == OK)
    s = wire_agree (w, MEM_NEW ((size_t)o->n_words + 1, &words, "words"));
  if (s == OK) {
    /* Replicas share the work of training; a word may ask for them here. */
    words[0] = "run.replicas=1";
    memcpy (words + 1, o->words, (size_t)o->n_words * sizeof *words);
    with.words = words;
    with.n_words++;
    s = resolve (&with, w, *path, config, CONFIG_EVAL, c);
  }
  if (s == OK)
    s = file_verdict (w, wire_rank (w) == 0 ? find_data (*path, c) : OK);
  mem_free (&words);
  mem_free (&config);
  return s;
}

enum status
command_eval (const struct options *o, struct wire *w)
{
  char *path = NULL;
  struct config c;
  enum status s = configure_as (o, w, &path, &c);
  if (s == OK)
    s = run_eval (w, &c, path, o->split ? o->split : "valid");
  mem_free (&path);
  return s;
}

enum status
command_generate (const struct options *o, struct wire *w)
{
  char *path = NULL;
  struct config c;
  enum status s = configure_as (o, w, &path, &c);
  if (s == OK)
    s = run_generate (w, &c, path, &o->generate);
  mem_free (&path);
  return s;
}

/* -- the others -------------------------------------------------------------
 */

enum status
command_verify (const struct options *o, struct wire *w)
{
  struct config c;
  if (!o->path && o->n_words == 0)
    return verify_run (w, o->kind ? o->kind : "");
  if (o->kind)
    return wire_agree (w, fail (E_USAGE,
                                "verify %s has a configuration of its own; "
                                "verify CONFIG.ini takes words",
                                o->kind));
  TRY (configure (o, w, CONFIG_TRAIN, &c));
  return verify_kernels (w, &c);
}

enum status
command_import (const struct options *o, struct wire *w)
{
  return wire_agree (w, import_run (o->kind, o->n_inputs, o->inputs, o->n_words,
                                    o->words, o->output));
}

/* What happened in a run directory, and its newest whole checkpoint. */
static enum status
print_run (const char *dir, bool check, struct text *out)
{
  struct text path;
  text_init (&path);
  enum status told = store_run_print (dir, out);
  if (told == E_MISSING)
    fail_clear (); /* checkpoints alone are worth showing */
  enum status s = told == OK || told == E_MISSING
                      ? store_checkpoint_newest (dir, &path)
                      : told;
  if (s == OK && path.size > 0) {
    text_add (out, "%snewest whole checkpoint:\n", told == OK ? "\n" : "");
    s = store_checkpoint_print (path.data, check, out);
  } else if (s == OK && told == OK)
    text_add (out, "\nno whole checkpoint\n");
  else if (s == OK)
    s = fail (E_MISSING,
              "%s: neither checkpoints nor events: not a run directory", dir);
  text_clear (&path);
  return s;
}

static enum status
print_path (const char *path, bool check, struct text *out)
{
  char kind[16];
  if (file_is_directory (path))
    return print_run (path, check, out);
  TRY (store_file_kind (path, kind));
  if (strcmp (kind, "dataset") == 0)
    return data_print (path, check, out);
  if (strcmp (kind, "checkpoint") == 0)
    return store_checkpoint_print (path, check, out);
  return fail (E_DATA, "%s: neither a data set nor a checkpoint", path);
}

enum status
command_info (const struct options *o, struct wire *w)
{
  struct text out;
  text_init (&out);
  enum status s = print_path (o->path, o->check, &out);
  if (s == OK)
    file_print (&out);
  text_clear (&out);
  return wire_agree (w, s);
}
