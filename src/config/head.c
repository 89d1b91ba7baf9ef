/* config/head.c -- which heads a text of stages.head gives to stages. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

bool
config_head_is_auto (const char *words)
{
  const size_t n = strlen ("auto");
  return strncmp (words, "auto", n) == 0 && (!words[n] || words[n] == '+');
}

const char *
config_head_suffix (const char *words)
{
  const char *at = strchr (words, '+');
  return at ? at : "";
}

bool
config_head_is_list (const char *words)
{
  return strchr (words, ',') != NULL;
}

enum status
config_head_parse (const char *words, int K, int k, char grammar[CONFIG_TEXT])
{
  const char *at = words;
  int n = 1;
  for (const char *s = words; *s; s++)
    n += *s == ',';
  if (n != 1 && n != K - 1)
    return fail (E_CONFIG,
                 "%s = %s has %d grammars where %d stages are in front of the "
                 "last: one, or one for each of them",
                 KEY_NAME (head), words, n, K - 1);
  for (int i = 0; i < k && n > 1; i++)
    at += strcspn (at, ",") + 1;
  at += strspn (at, " ");
  size_t size = strcspn (at, ",");
  while (size > 0 && at[size - 1] == ' ')
    size--;
  if (size >= CONFIG_TEXT)
    return fail (E_CONFIG, "%s: \"%.80s...\" is too long", KEY_NAME (head), at);
  snprintf (grammar, CONFIG_TEXT, "%.*s", (int)size, at);
  return OK;
}

bool
config_head_same (const char *a, const char *b, int K)
{
  char x[CONFIG_TEXT], y[CONFIG_TEXT];
  bool same = true;
  for (int k = 0; k < K - 1 && same; k++)
    same = config_head_parse (a, K, k, x) == OK &&
           config_head_parse (b, K, k, y) == OK && strcmp (x, y) == 0;
  fail_clear ();
  return same;
}
