/* train/identity.c -- whether a run directory holds this experiment.
 *
 * Asked first of all where the run in it is finished, or has begun and left no
 * checkpoint.  A run that goes on is compared with the checkpoint that it goes
 * on from instead (resume.c).  What the run was, its config.ini says, as long
 * as it is the text that the last start wrote; otherwise its newest checkpoint.
 */
#include "train/train_impl.h"

#include "store/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct was {
  char *config;           /* owned; NULL: not known */
  char data[CONFIG_WORD]; /* digest; "": not known */
};

static const char *
last_word (const struct store_history *h, const char *name)
{
  for (int i = store_history_count (h) - 1; i >= 0; i--) {
    const char *word = store_history_word (h, i, name);
    if (word[0])
      return word;
  }
  return "";
}

static void
data_of_facts (const char *dir, struct was *was)
{
  char *text = NULL;
  if (store_run_get (dir, "facts.ini", &text) != OK ||
      !config_word (text, "facts.data", was->data, sizeof was->data))
    fail_clear ();
  mem_free (&text);
}

static enum status
of_checkpoint (const char *path, struct was *was)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  TRY (store_checkpoint_open (path, &file));
  store_checkpoint_attributes (file, &a);
  enum status e = mem_text (a.config, &was->config);
  snprintf (was->data, sizeof was->data, "%s", a.data ? a.data : "");
  store_checkpoint_close (&file);
  return e;
}

static enum status
read_was (const char *dir, const struct store_history *h, const char *newest,
          struct was *was)
{
  char digest[33];
  if (store_run_get (dir, "config.ini", &was->config) == OK) {
    hash_digest (was->config, strlen (was->config), digest);
    if (!newest || strcmp (digest, last_word (h, "config")) == 0) {
      data_of_facts (dir, was);
      return OK;
    }
    mem_free (&was->config);
  }
  fail_clear ();
  return newest ? of_checkpoint (newest, was) : OK;
}

/* -- what lies in files ------------------------------------------------------
 */

void
identity_init (const struct config *c, char out[33])
{
  out[0] = '\0';
  if (c->init[0] && store_file_digest (c->init, out) != OK)
    fail_clear ();
}

void
identity_of (const struct session *s, struct identity *out)
{
  const struct design *d = s->design;
  struct text config;
  text_init (&config);
  config_write (&d->config, &config);
  hash_digest (config.size ? config.data : "", config.size, out->config);
  text_clear (&config);
  identity_init (&d->config, out->init);
}

void
identity_compare_init (const struct config *c, const struct store_history *h,
                       const struct ini *was, struct text *out)
{
  const struct key *k = KEY_OF (init);
  const char *before = ini_get (was, k->full), *known = last_word (h, "init");
  char digest[33], inside[2 * CONFIG_WORD];
  if (!before || (!before[0] && !c->init[0]))
    return;
  identity_init (c, digest);
  bool moved = strcmp (before, c->init) != 0;
  bool both = known[0] && digest[0] && c->init[0] && before[0];
  bool other = both && strcmp (known, digest) != 0;
  snprintf (inside, sizeof inside, "what is in %s, digest", k->full);
  if (both ? other && moved : moved)
    changes_say (out, k, c->init, before);
  else if (other)
    changes_add (out, inside, digest, known);
}

/* By digest; where the set cannot be opened, by its path. */
static enum status
compare_data (const struct config *c, const struct ini *was,
              const char *was_data, struct text *out)
{
  struct data_set *d = NULL;
  struct data_info info;
  char now[17];
  const char *file = ini_get (was, KEY_NAME (file));
  bool moved = file && strcmp (file, c->file) != 0;
  enum status e = data_open (c->file, &d);
  if (e != OK && !moved) {
    fail_clear (); /* nothing will be read of it */
    return OK;
  }
  TRY (e);
  data_info (d, &info);
  data_close (&d);
  snprintf (now, sizeof now, "%016llx", (unsigned long long)info.digest);
  bool other = was_data[0] ? strcmp (was_data, now) != 0 : moved;
  if (other && moved)
    changes_say (out, KEY_OF (file), c->file, file);
  else if (other)
    changes_add (out, "the data set", now, was_data);
  return OK;
}

/* -- the verdict -------------------------------------------------------------
 */

enum status
identity_check (const struct config *c, const struct store_history *h,
                const char *newest, const char *how)
{
  struct was was = {.config = NULL};
  struct text other;
  enum status e = read_was (c->dir, h, newest, &was);
  text_init (&other);
  if (e == OK && was.config) {
    struct ini ini;
    ini_open (was.config, NULL, &ini);
    design_compare (c, &ini, &other);
    identity_compare_init (c, h, &ini, &other);
    e = compare_data (c, &ini, was.data, &other);
    ini_close (&ini);
  }
  if (e == OK && other.size)
    e = fail (E_CONFIG,
              "%s: the run here %s, but with %s: that would be another run; "
              "take another run.dir, or begin anew with --fresh, which moves "
              "the old one aside",
              c->dir, how, other.data);
  mem_free (&was.config);
  text_clear (&other);
  return e;
}
