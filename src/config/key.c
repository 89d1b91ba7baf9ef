/* config/key.c -- one key: what it wants, how it is set and shown, which name
 * was meant. */
#include "config/config_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- choices ----------------------------------------------------------------
 */

/* The words of a bool that may be said; the first two are written. */
static const char *const yes_no[] = {"no", "yes", "false", "true", "off", "on"};

int
key_choice (const struct key *k, const char *word)
{
  for (int i = 0; i < k->n_words; i++)
    if (strcmp (k->words[i], word) == 0)
      return i;
  return -1;
}

bool
key_is_later (const struct key *k, const char *word)
{
  return k->later && strcmp (k->later, word) == 0;
}

const char *
key_nearest (const struct key *k, const char *word)
{
  static const char *const plain[] = {"yes", "no"};
  if (k->kind == KEY_BOOL)
    return text_nearest (word, plain, 2);
  int empty = !k->words[0][0];
  return text_nearest (word, k->words + empty, (size_t)(k->n_words - empty));
}

static void
join_words (const struct key *k, struct text *out)
{
  for (int i = !k->words[0][0]; i < k->n_words; i++)
    text_add (out, "%s%s", k->words[i],
              i + 2 == k->n_words   ? " or "
              : i + 1 == k->n_words ? ""
                                    : ", ");
}

/* -- finding ----------------------------------------------------------------
 */

const struct key *
key_find (const char *section, const char *name)
{
  for (size_t i = 0; i < key_count; i++)
    if (strcmp (key_table[i].section, section) == 0 &&
        strcmp (key_table[i].name, name) == 0)
      return &key_table[i];
  return NULL;
}

const struct key *
key_named (const char *full)
{
  for (size_t i = 0; i < key_count; i++)
    if (strcmp (key_table[i].full, full) == 0)
      return &key_table[i];
  return NULL;
}

const struct key *
key_at (size_t offset)
{
  for (size_t i = 0; i < key_count; i++)
    if (key_table[i].offset == offset)
      return &key_table[i];
  CHECK (false, "no key sets the field at %zu", offset);
  return NULL;
}

/* What a section is about says it of keys that are not known here. */
enum key_resume
key_resume (const char *full)
{
  const struct key *k = key_named (full);
  size_t n = strcspn (full, ".");
  if (k)
    return k->resume;
  if (n == 5 && memcmp (full, "model", n) == 0)
    return KEY_RESUME_OTHER_RUN;
  if ((n == 3 && memcmp (full, "run", n) == 0) ||
      (n == 10 && memcmp (full, "checkpoint", n) == 0))
    return KEY_RESUME_SAME_RUN;
  return KEY_RESUME_OTHER_BITS;
}

bool
key_section_known (const char *section)
{
  for (size_t i = 0; i < key_count; i++)
    if (strcmp (key_table[i].section, section) == 0)
      return true;
  return false;
}

void
key_suggest_section (const char *section, struct text *out)
{
  const char *names[16];
  size_t n = 0;
  for (size_t i = 0; i < key_count; i++)
    if (i == 0 || strcmp (key_table[i].section, key_table[i - 1].section) != 0)
      names[n++] = key_table[i].section;
  const char *near = text_nearest (section, names, n);
  if (near)
    text_add (out, "; did you mean [%s]?", near);
}

void
key_suggest (const char *section, const char *name, struct text *out)
{
  const char *names[64];
  size_t n = 0;
  /* The right name in the wrong section is likelier than a slip. */
  for (size_t i = 0; i < key_count; i++)
    if (strcmp (key_table[i].name, name) == 0) {
      text_add (out, "; did you mean %s.%s?", key_table[i].section, name);
      return;
    }
  for (size_t i = 0; i < key_count; i++)
    if (strcmp (key_table[i].section, section) == 0 && n < 64)
      names[n++] = key_table[i].name;
  const char *near = text_nearest (name, names, n);
  if (near)
    text_add (out, "; did you mean %s.%s?", section, near);
}

void
key_suggest_for (const char *full, struct text *out)
{
  char section[CONFIG_WORD];
  const char *dot = strchr (full, '.');
  size_t n = dot ? (size_t)(dot - full) : 0;
  snprintf (section, sizeof section, "%.*s", (int)n, full);
  if (n == 0 || n >= sizeof section)
    key_suggest ("", full, out);
  else if (!key_section_known (section))
    key_suggest_section (section, out);
  else
    key_suggest (section, dot + 1, out);
}

bool
key_of_family (const struct key *k, const struct config *c)
{
  return !k->of || (k->of >> c->family & 1u);
}

bool
key_applies (const struct key *k, const struct config *c)
{
  return key_of_family (k, c) && !(k->in_route && c->route[0]) &&
         !(k->in_dial && c->dial[0]);
}

/* -- saying what is wanted --------------------------------------------------
 */

const char *
key_kind_name (enum key_kind kind)
{
  static const char *const names[] = {"integer", "real", "choice",
                                      "text",    "list", "bool"};
  return names[kind];
}

/* A limit that only keeps products from overflowing is not worth naming. */
#define WORTH_NAMING 1e9

static void
range_words (const struct key *k, struct text *out)
{
  if (k->high < WORTH_NAMING)
    text_add (out, ", %s %.10g %s %.10g", k->open ? "above" : "from", k->low,
              k->open ? "and at most" : "to", k->high);
  else if (k->open)
    text_add (out, " above %.10g", k->low);
  else
    text_add (out, ", %.10g or more", k->low);
}

void
key_wanted (const struct key *k, struct text *out)
{
  switch (k->kind) {
  case KEY_INTEGER:
    text_add (out, "an integer");
    range_words (k, out);
    break;
  case KEY_REAL:
    text_add (out, "a number");
    range_words (k, out);
    break;
  case KEY_CHOICE:
    join_words (k, out);
    if (k->or_number)
      text_add (out, ", or an integer, 1 or more");
    if (k->or_list)
      text_add (out, "; or one of these for each stage, with commas between");
    break;
  case KEY_BOOL:
    text_add (out, "yes or no");
    break;
  case KEY_LIST:
    if (k->field == FIELD_PAIR) {
      text_add (out, "two numbers");
      range_words (k, out);
      text_add (out, ", with a comma between");
      break;
    }
    text_add (out, "words with commas between");
    break;
  case KEY_TEXT:
    text_add (out, "a text");
    break;
  }
  if (k->field == FIELD_TEXT && k->kind != KEY_CHOICE)
    text_add (out, " of at most %zu characters", k->size - 1);
}

/* -- setting ----------------------------------------------------------------
 */

static bool
in_range (const struct key *k, double v)
{
  return (k->open ? v > k->low : v >= k->low) && v <= k->high;
}

static bool
set_integer (const struct key *k, const char *value, void *field)
{
  int64_t n;
  if (!text_to_long (value, &n) || !in_range (k, (double)n))
    return false;
  *(int64_t *)field = n;
  return true;
}

static bool
set_real (const struct key *k, const char *value, void *field)
{
  double v;
  if (!text_to_double (value, &v) || !in_range (k, v))
    return false;
  *(double *)field = v;
  return true;
}

static bool
set_bool (const char *value, void *field)
{
  for (size_t i = 0; i < sizeof yes_no / sizeof *yes_no; i++)
    if (strcmp (yes_no[i], value) == 0) {
      *(bool *)field = i % 2 == 1;
      return true;
    }
  return false;
}

static bool
set_text (const struct key *k, const char *value, void *field)
{
  if (strlen (value) >= k->size)
    return false;
  memset (field, 0, k->size);
  memcpy (field, value, strlen (value));
  return true;
}

static bool
is_one (const struct key *k, const char *word)
{
  int64_t n;
  return key_choice (k, word) >= 0 ||
         (k->or_number && text_to_long (word, &n) && n >= 1);
}

/* Two words or more of the choice, with commas between. */
static bool
is_list (const struct key *k, const char *value)
{
  char word[CONFIG_WORD];
  size_t n;
  for (const char *at = value;; at += n + 1) {
    n = strcspn (at, ",");
    snprintf (word, sizeof word, "%.*s", (int)n, at);
    if (n >= sizeof word || !is_one (k, word))
      return false;
    if (at[n] == '\0')
      return at > value;
  }
}

static bool
set_choice (const struct key *k, const char *value, void *field)
{
  int i = key_choice (k, value);
  if (!is_one (k, value) && !(k->or_list && is_list (k, value)))
    return false;
  if (k->field == FIELD_TEXT)
    return set_text (k, value, field);
  if (k->field == FIELD_BOOL)
    *(bool *)field = i == 1;
  if (k->field == FIELD_ENUM)
    *(int *)field = i;
  return true;
}

static bool
set_pair (const struct key *k, const char *value, void *field)
{
  double pair[2];
  char copy[CONFIG_WORD];
  size_t comma = strcspn (value, ",");
  if (value[comma] == '\0' || strlen (value) >= sizeof copy)
    return false;
  memcpy (copy, value, strlen (value) + 1);
  copy[comma] = '\0';
  const char *second = copy + comma + 1;
  second += strspn (second, " ");
  copy[strcspn (copy, " ")] = '\0';
  if (!text_to_double (copy, &pair[0]) || !text_to_double (second, &pair[1]) ||
      !in_range (k, pair[0]) || !in_range (k, pair[1]))
    return false;
  memcpy (field, pair, sizeof pair);
  return true;
}

bool
key_set (const struct key *k, const char *value, struct config *c)
{
  void *field = (char *)c + k->offset;
  switch (k->kind) {
  case KEY_INTEGER:
    return set_integer (k, value, field);
  case KEY_REAL:
    return set_real (k, value, field);
  case KEY_CHOICE:
    return set_choice (k, value, field);
  case KEY_BOOL:
    return set_bool (value, field);
  case KEY_LIST:
    if (k->field == FIELD_PAIR)
      return set_pair (k, value, field);
    return set_text (k, value, field);
  case KEY_TEXT:
    return set_text (k, value, field);
  }
  return false;
}

/* -- showing ----------------------------------------------------------------
 */

const char *
key_word (const struct key *k, const struct config *c)
{
  const void *field = (const char *)c + k->offset;
  const char *const *words = k->words ? k->words : yes_no;
  if (k->field == FIELD_TEXT)
    return field;
  return words[k->field == FIELD_BOOL ? *(const bool *)field
                                      : *(const int *)field];
}

void
key_get (const struct key *k, const struct config *c, struct text *out)
{
  const void *field = (const char *)c + k->offset;
  switch (k->field) {
  case FIELD_TEXT:
  case FIELD_BOOL:
  case FIELD_ENUM:
    text_add (out, "%s", key_word (k, c));
    break;
  case FIELD_INT64:
    text_add (out, "%lld", (long long)*(const int64_t *)field);
    break;
  case FIELD_REAL:
    text_add_real (out, *(const double *)field);
    break;
  case FIELD_PAIR:
    text_add_real (out, ((const double *)field)[0]);
    text_add (out, ",");
    text_add_real (out, ((const double *)field)[1]);
    break;
  }
}
