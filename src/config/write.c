/* config/write.c -- a configuration as text: for a file, for a comparison, for
 * the name of a run.
 */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

void
config_write (const struct config *c, struct text *out)
{
  const char *section = "";
  text_add (out,
            "; The resolved configuration of a run, written by interlock "
            "%s;\n; `interlock train` with this file repeats the run.\n",
            PACKAGE_VERSION);
  for (size_t i = 0; i < key_count; i++) {
    const struct key *k = &key_table[i];
    if (!key_applies (k, c))
      continue;
    if (strcmp (k->section, section) != 0)
      text_add (out, "\n[%s]\n", k->section);
    section = k->section;
    struct text value;
    text_init (&value);
    key_get (k, c, &value);
    text_add (out, "%s =%s%s\n", k->name, value.size ? " " : "", value.data);
    text_clear (&value);
  }
}

bool
config_word (const char *text, const char *name, char *out, size_t size)
{
  struct ini ini;
  ini_open (text, NULL, &ini);
  const char *value = ini_get (&ini, name);
  if (value)
    snprintf (out, size, "%s", value);
  ini_close (&ini);
  return value != NULL;
}

/* -- as others see it -------------------------------------------------------
 */

/* "all" of four stages is 4. */
static void
add_span (const struct config *c, const char *word, struct text *out)
{
  if (c->count < 1 || config_span_show (word, (int)c->count, out) != OK) {
    fail_clear (); /* the check says it */
    text_add (out, "%s", word);
  }
}

void
config_get (const struct config *c, const struct key *k, const char *value,
            struct text *out)
{
  struct config with = *c;
  struct text word;
  text_init (&word);
  if (value && key_set (k, value, &with))
    key_get (k, &with, &word);
  else if (value)
    text_add (&word, "%s", value);
  else
    key_get (k, c, &word);
  if (k->offset == offsetof (struct config, span) && k->field == FIELD_TEXT)
    add_span (c, word.data, out);
  else
    text_add (out, "%s", word.data);
  text_clear (&word);
}

void
config_canonical (const struct config *c, struct text *out)
{
  for (size_t i = 0; i < key_count; i++) {
    const struct key *k = &key_table[i];
    struct text mine, usual;
    bool dir = k->offset == offsetof (struct config, dir);
    if (!key_applies (k, c) || (dir && k->field == FIELD_TEXT))
      continue;
    text_init (&mine);
    text_init (&usual);
    config_get (c, k, NULL, &mine);
    if (k->value)
      config_get (c, k, k->value, &usual);
    if (!k->value || strcmp (mine.data, usual.data) != 0)
      text_add (out, "%s.%s=%s\n", k->section, k->name, mine.data);
    text_clear (&mine);
    text_clear (&usual);
  }
}
