/* main/sweep_words.c -- words beside `sweep run`: for this start only.
 *
 * They may say how the run is done, for how long, and where the same data lie.
 * What makes another experiment belongs into the sweep file: otherwise the name
 * of the directory and the row of the table would not be true.
 */
#include "main/sweep_impl.h"

#include "base/memory.h"
#include "train/train.h"
#include "store/file.h"
#include <string.h>

static bool
is_swept (const struct sweep *s, const struct key *k)
{
  for (int i = 0; i < s->n_axes; i++)
    if (strcmp (s->axis[i].key, k->full) == 0)
      return true;
  return false;
}

static enum status
data_digest (const char *path, uint64_t *out)
{
  struct data_set *d = NULL;
  struct data_info info;
  TRY (data_open (path, &d));
  data_info (d, &info);
  data_close (&d);
  *out = info.digest;
  return OK;
}

/* A copy of what the set names is the same; one that cannot be looked at is not
 * known to be. */
static bool
same_content (const struct key *k, const struct config *set,
              const struct config *now)
{
  uint64_t a = 0, b = 1;
  char x[33] = "", y[33] = "";
  bool same = false;
  if (k == KEY_OF (file))
    same = data_digest (set->file, &a) == OK &&
           data_digest (now->file, &b) == OK && a == b;
  else if (k == KEY_OF (init))
    same = store_file_digest (set->init, x) == OK &&
           store_file_digest (now->init, y) == OK && strcmp (x, y) == 0;
  fail_clear ();
  return same;
}

static bool
may_differ (const struct sweep *s, const struct key *k,
            const struct config *set, const struct config *now)
{
  bool none = k == KEY_OF (file) && !set->file[0];
  if (k->resume == KEY_RESUME_CONTENT)
    return none || same_content (k, set, now);
  return !is_swept (s, k) && k != KEY_OF (dir) &&
         (k->resume == KEY_RESUME_SAME_RUN || k->resume == KEY_RESUME_LENGTH);
}

static void
check_word (const struct sweep *s, int i, const char *word,
            const struct config *set, const struct config *now,
            struct text *out)
{
  char name[2 * CONFIG_WORD];
  snprintf (name, sizeof name, "%.*s", (int)strcspn (word, "="), word);
  const struct key *k = key_named (name);
  struct text is, was;
  if (!k) /* said with the configuration */
    return;
  text_init (&is);
  text_init (&was);
  config_get (now, k, NULL, &is);
  config_get (set, k, NULL, &was);
  if (strcmp (is.size ? is.data : "", was.size ? was.data : "") != 0 &&
      !may_differ (s, k, set, now))
    text_add (out, "%s%s = %s, but run %d has %s", out->size ? "; " : "", name,
              is.size ? is.data : "(none)", i + 1,
              was.size ? was.data : "(none)");
  text_clear (&is);
  text_clear (&was);
}

enum status
sweep_set_words (const struct sweep *s, int i, const struct config *set,
                 const struct config *now, const struct given *g)
{
  struct text wrong;
  enum status e = OK;
  text_init (&wrong);
  for (int j = 0; j < g->n_words; j++)
    check_word (s, i, g->words[j], set, now, &wrong);
  if (wrong.size)
    e = fail (E_CONFIG,
              "%s: %s, and that belongs to the set: words beside `sweep run` "
              "are for this start only; change the file, or use `train` with a "
              "run.dir of its own",
              s->file, wrong.data);
  text_clear (&wrong);
  return e;
}
