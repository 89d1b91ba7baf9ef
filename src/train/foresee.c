/* train/foresee.c -- what a start would be refused for, found without one. */
#include "train/train_impl.h"

#include "store/h5.h"
#include <string.h>

/* As train_resume would say it of the checkpoint to go on from. */
static enum status
compare_checkpoint (const struct config *c, const char *path)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  struct text refused, bits;
  struct ini was;
  TRY (store_checkpoint_open (path, &file));
  text_init (&refused);
  text_init (&bits);
  store_checkpoint_attributes (file, &a);
  ini_open (a.config, NULL, &was);
  changes_find (&was, c, &refused, &bits);
  ini_close (&was);
  enum status e = OK;
  if (refused.size)
    e = fail (E_CONFIG,
              "%s goes on from %s, but with %s: that would be another run",
              c->dir, path, refused.data);
  text_clear (&refused);
  text_clear (&bits);
  store_checkpoint_close (&file);
  return e;
}

static enum status
check_directory (const struct config *c)
{
  struct origin o;
  enum status e = origin_peek (&o, c);
  if (e == OK && !o.done && o.path)
    e = compare_checkpoint (c, o.path);
  origin_close (&o);
  return e;
}

static enum status
check_file (const struct key *k, const char *path)
{
  char *text = NULL;
  char kind[16];
  if (k == KEY_OF (init))
    return store_file_kind (path, kind);
  enum status e = store_run_get ("", path, &text);
  mem_free (&text);
  return e == OK ? OK : fail (E_MISSING, "%s: cannot read %s", k->full, path);
}

static enum status
check_files (const struct config *c)
{
  size_t n = strlen (c->dir);
  bool own = strncmp (c->tune, c->dir, n) == 0 && c->tune[n] == '/';
  if (c->init[0])
    TRY (check_file (KEY_OF (init), c->init));
  if (strcmp (c->tune, "yes") != 0 && strcmp (c->tune, "no") != 0 && !own)
    TRY (check_file (KEY_OF (tune), c->tune));
  return OK;
}

enum status
train_foresee (const struct config *c, int ranks)
{
  TRY (design_check_ranks (c, ranks));
  TRY (check_files (c));
  return check_directory (c);
}
