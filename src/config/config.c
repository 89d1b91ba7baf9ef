/* config/config.c -- from defaults, a file and words to one resolved
 * configuration.
 *
 * Later wins: a word over the file, the file over the default.  Everything that
 * is wrong is collected with its place, so that one try shows all of it.  A
 * value that is refused leaves the default, so that nothing is reported twice.
 */
#include "config/config_impl.h"

#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define KEYS 128 /* room for key_count */

enum layer { LAYER_DEFAULT, LAYER_BASE, LAYER_FILE, LAYER_WORD };

struct parse {
  const struct config_source *source;
  const char *name; /* of the file that is being read ... */
  enum layer now;   /* ... and what it is */
  struct config *c;
  struct complaints *said;
  enum layer layer[KEYS]; /* where the value of each key comes from */
  int line[KEYS];         /* of the file */
};

static void
complain (struct complaints *said, const char *fmt, ...)
    __attribute__ ((format (printf, 2, 3)));

static void
complain (struct complaints *said, const char *fmt, ...)
{
  char line[2048];
  va_list args;
  va_start (args, fmt);
  vsnprintf (line, sizeof line, fmt, args);
  va_end (args);
  text_add (&said->lines, "%s\n", line);
  said->n++;
}

/* -- one key ----------------------------------------------------------------
 */

/* Words of a message that says where: "FILE:12: ", or "" for a word, which is
 * quoted whole. */
static const char *
place (const struct parse *p, int line, char out[CONFIG_PATH + 32])
{
  out[0] = '\0';
  if (line > 0)
    snprintf (out, CONFIG_PATH + 32, "%s:%d: ", p->name, line);
  return out;
}

/* Whether a value, written to config.ini and read again, would be another one.
 */
static bool
unwritable (const char *value)
{
  size_t n = strlen (value);
  return strpbrk (value, "\n\r\f\v") || strstr (value, " ;") ||
         strstr (value, "\t;") || value[0] == ';' ||
         (n > 0 && (value[0] == ' ' || value[n - 1] == ' ')) ||
         (n > 0 && (value[0] == '\t' || value[n - 1] == '\t'));
}

static void
refuse (struct parse *p, const struct key *k, const char *at, const char *value)
{
  struct text wanted;
  bool choice = k->kind == KEY_CHOICE || k->kind == KEY_BOOL;
  const char *near = choice ? key_nearest (k, value) : NULL;
  text_init (&wanted);
  key_wanted (k, &wanted);
  complain (p->said, "%s%s.%s = %.80s: wanted %s%s%s%s", at, k->section,
            k->name, value, wanted.data, near ? "; did you mean " : "",
            near ? near : "", near ? "?" : "");
  text_clear (&wanted);
}

/* line 0: a word. */
static void
set (struct parse *p, const struct key *k, const char *value, int line)
{
  char at[CONFIG_PATH + 32];
  size_t i = (size_t)(k - key_table);
  place (p, line, at);
  if (line > 0 && p->layer[i] == p->now)
    complain (p->said, "%s%s.%s is given twice, first in line %d", at,
              k->section, k->name, p->line[i]);
  p->layer[i] = line > 0 ? p->now : LAYER_WORD;
  p->line[i] = line;
  if (unwritable (value))
    complain (p->said,
              "%s%s.%s: a value has no line break, no blank at its ends and no "
              "blank before a semicolon",
              at, k->section, k->name);
  else if (key_is_later (k, value))
    complain (p->said, "%s%s.%s = %s is not in this version", at, k->section,
              k->name, value);
  else if (!key_set (k, value, p->c))
    refuse (p, k, at, value);
}

/* -- the file ---------------------------------------------------------------
 */

static void
read_line (struct parse *p, const struct ini_line *l)
{
  const struct key *k = l->bad ? NULL : key_find (l->section, l->name);
  char at[CONFIG_PATH + 32];
  if (k) {
    set (p, k, l->value, l->number);
    return;
  }
  place (p, l->number, at);
  if (l->bad) {
    complain (p->said, "%s%s", at, l->bad);
    return;
  }
  struct text near;
  text_init (&near);
  key_suggest (l->section, l->name, &near);
  complain (p->said, "%s[%s] has no key %s%s", at, l->section, l->name,
            near.data);
  text_clear (&near);
}

static void
read_file (struct parse *p, enum layer layer, const char *name,
           const char *text)
{
  const char *also =
      layer == LAYER_FILE && p->source->also ? p->source->also : INI_OURS;
  struct ini ini;
  p->now = layer;
  p->name = name;
  if (!text)
    return;
  ini_open (text, also, &ini);
  for (int i = 0; i < ini.n; i++)
    if (ini.line[i].bad || strcmp (ini.line[i].section, also) != 0)
      read_line (p, &ini.line[i]);
  ini_close (&ini);
}

/* -- the words --------------------------------------------------------------
 */

bool
config_is_word (const char *argument)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  size_t n = strspn (argument, letters);
  return n > 0 && argument[n] == '=';
}

static void
read_word (struct parse *p, const char *word)
{
  char left[CONFIG_WORD * 2];
  size_t n = strcspn (word, "=");
  struct text near;
  if (n >= sizeof left) {
    complain (p->said, "%.80s...: no key is that long", word);
    return;
  }
  memcpy (left, word, n);
  left[n] = '\0';
  char *name = strchr (left, '.');
  if (name)
    *name++ = '\0';
  const struct key *k = name ? key_find (left, name) : NULL;
  if (k) {
    set (p, k, word + n + 1, 0);
    return;
  }
  text_init (&near);
  if (!name) {
    key_suggest ("", left, &near);
    complain (p->said, "%.200s: a word is section.key=value%s", word,
              near.data);
  } else if (!key_section_known (left)) {
    key_suggest_section (left, &near);
    complain (p->said, "%.200s: %s is not a section%s", word, left, near.data);
  } else {
    key_suggest (left, name, &near);
    complain (p->said, "%.200s: [%s] has no key %s%s", word, left, name,
              near.data);
  }
  text_clear (&near);
}

/* -- keys that depend on each other -----------------------------------------
 */

static enum layer
layer_of (const struct parse *p, const struct key *k)
{
  return p->layer[k - key_table];
}

/* steps and epochs: the later one wins, both in one place is a contradiction.
 */
static void
resolve_length (struct parse *p)
{
  struct config *c = p->c;
  enum layer steps = layer_of (p, KEY_OF (steps));
  enum layer epochs = layer_of (p, KEY_OF (epochs));
  if (epochs == LAYER_DEFAULT && c->steps == 0)
    c->epochs = 1;
  if (c->steps == 0 || c->epochs == 0)
    return;
  if (steps == epochs)
    complain (p->said,
              "train.steps = %lld and train.epochs = %g are both "
              "given: give one of them",
              (long long)c->steps, c->epochs);
  else if (steps > epochs)
    c->epochs = 0;
  else
    c->steps = 0;
}

/* A preset, or block and groups. */
static void
resolve_network (struct parse *p)
{
  struct config *c = p->c;
  enum layer preset = layer_of (p, KEY_OF (preset));
  enum layer groups = layer_of (p, KEY_OF (groups));
  if (c->preset[0] && c->groups[0]) {
    if (preset == groups)
      complain (p->said,
                "model.preset = %s and model.groups = %s are both "
                "given: give one of them",
                c->preset, c->groups);
    else if (groups > preset)
      c->preset[0] = '\0';
    else
      c->groups[0] = '\0', c->block = CONFIG_BLOCK_NOT_GIVEN;
  }
  if (c->preset[0] && layer_of (p, KEY_OF (block)) < preset)
    c->block = CONFIG_BLOCK_NOT_GIVEN;
  bool block = c->block != CONFIG_BLOCK_NOT_GIVEN;
  if (c->preset[0] && block)
    complain (p->said,
              "model.block = %s is for model.groups; model.preset = "
              "%s has its own",
              key_word (KEY_OF (block), c), c->preset);
  else if (!c->preset[0] && !c->groups[0] && block)
    complain (p->said,
              "model.block = %s needs model.groups, as in "
              "16x5,32x5,64x5",
              key_word (KEY_OF (block), c));
  if (c->groups[0] && !block)
    c->block = CONFIG_BASIC;
  if (!c->groups[0] && !c->preset[0])
    snprintf (c->preset, sizeof c->preset, "resnet20");
}

/* What layers are made of, where nobody has said it as late as the preset. */
static void
resolve_blocks (struct parse *p, enum layer preset)
{
  struct config *c = p->c;
  const enum layer norm = layer_of (p, KEY_OF (norm));
  const enum layer mlp = layer_of (p, KEY_OF (mlp));
  const enum layer positions = layer_of (p, KEY_OF (positions));
  if (norm == LAYER_DEFAULT || norm < preset)
    c->norm = CONFIG_NORM_NOT_GIVEN;
  if (mlp == LAYER_DEFAULT || mlp < preset)
    c->mlp = CONFIG_MLP_NOT_GIVEN;
  if (positions == LAYER_DEFAULT || positions < preset)
    c->positions = CONFIG_POSITIONS_NOT_GIVEN;
}

/* Sizes in a file give way to a preset in a word, which is the later one;
 * beside a preset in the same place they count. */
static void
resolve_sizes (struct parse *p)
{
  struct config *c = p->c;
  enum layer preset = layer_of (p, KEY_OF (preset));
  if (layer_of (p, KEY_OF (layers)) < preset)
    c->layers = 0;
  if (layer_of (p, KEY_OF (d_model)) < preset)
    c->d_model = 0;
  if (layer_of (p, KEY_OF (heads)) < preset)
    c->heads = 0;
  if (layer_of (p, KEY_OF (context)) < preset)
    c->context = 0;
  if (layer_of (p, KEY_OF (mlp_ratio)) < preset)
    c->mlp_ratio = 0;
  if (layer_of (p, KEY_OF (kv_heads)) < preset ||
      layer_of (p, KEY_OF (kv_heads)) < layer_of (p, KEY_OF (heads)))
    c->kv_heads = 0;
  resolve_blocks (p, preset);
  if (!c->preset[0])
    snprintf (c->preset, sizeof c->preset, "gpt-nano");
  if (layer_of (p, KEY_OF (stride)) < layer_of (p, KEY_OF (context)))
    c->stride = 0;
}

/* A key of the other family. */
static void
complain_family (struct parse *p, size_t i, const char *called)
{
  const struct key *k = &key_table[i];
  char at[CONFIG_PATH + 32];
  if (k->strict)
    complain (p->said, "%s%s: a %s has none; leave it out",
              place (p, p->line[i], at), k->full, called);
  else
    say (LOG_WARN, "%s has no effect on a %s", k->full, called);
}

/* Defaults that depend on the family, and complaints about keys of the other
 * one.
 */
static void
resolve_family (struct parse *p)
{
  struct config *c = p->c;
  bool tokens = c->family == CONFIG_TRANSFORMER;
  if (tokens)
    resolve_sizes (p);
  else
    resolve_network (p);
  if (!c->head[0])
    snprintf (c->head, sizeof c->head, "auto");
  if (c->optimizer == CONFIG_OPTIMIZER_NOT_GIVEN)
    c->optimizer = tokens ? CONFIG_ADAMW : CONFIG_SGD;
  for (size_t i = 0; i < key_count; i++)
    if (p->layer[i] != LAYER_DEFAULT && !key_of_family (&key_table[i], c))
      complain_family (p, i, tokens ? "Transformer" : "ResNet");
}

bool
config_cut_is_chosen (const struct config *c)
{
  return strcmp (c->cut, "auto") == 0 || strcmp (c->cut, "measured") == 0;
}

/* As many stages as the cut has, unless the number was said later. */
static void
resolve_stages (struct parse *p)
{
  struct config *c = p->c;
  enum layer count = layer_of (p, KEY_OF (count));
  enum layer cut = layer_of (p, KEY_OF (cut));
  if (config_cut_is_chosen (c) || cut == LAYER_DEFAULT)
    return;
  int64_t n = 1;
  for (const char *s = c->cut; *s; s++)
    n += *s == ',';
  if (cut > count)
    c->count = n;
  else if (n != c->count)
    complain (p->said, "stages.cut = %s has %lld parts, stages.count is %lld",
              c->cut, (long long)n, (long long)c->count);
}

static void
resolve_optimizer (struct parse *p)
{
  struct config *c = p->c;
  bool adamw = c->optimizer == CONFIG_ADAMW;
  if (layer_of (p, KEY_OF (lr)) == LAYER_DEFAULT)
    c->lr = adamw ? 1e-3 : 0.1;
  if (layer_of (p, KEY_OF (weight_decay)) == LAYER_DEFAULT)
    c->weight_decay = adamw ? 0.01 : 1e-4;
  if (c->decay == CONFIG_DECAY_NOT_GIVEN)
    c->decay = adamw ? CONFIG_DECAY_MATRICES : CONFIG_DECAY_ALL;
}

static void
set_default (const struct key *k, struct config *c)
{
  bool good = key_set (k, k->value, c);
  CHECK (good, "default of %s", k->full);
}

static bool
in_route (const struct key *k)
{
  return k->in_route;
}

static bool
in_dial (const struct key *k)
{
  return k->in_dial;
}

/* A key that stands for others, or these: of a pair the later wins. */
static void
resolve_whole (struct parse *p, const struct key *whole, char *words,
               bool (*within) (const struct key *), const char *why)
{
  const enum layer layer = layer_of (p, whole);
  bool given = words[0] != '\0';
  for (size_t i = 0; i < key_count && words[0]; i++) {
    const struct key *k = &key_table[i];
    if (!within (k))
      continue;
    if (layer_of (p, k) == layer)
      complain (p->said, "%s and %s are both given: %s", whole->full, k->full,
                why);
    given = given && layer_of (p, k) <= layer;
  }
  if (!given)
    words[0] = '\0';
  for (size_t i = 0; i < key_count && given; i++)
    if (within (&key_table[i]))
      set_default (&key_table[i], p->c);
}

static void
resolve_strategy (struct parse *p)
{
  struct config *c = p->c;
  resolve_whole (p, KEY_OF (dial), c->dial, in_dial,
                 "a dial says what each phase has");
  resolve_whole (p, KEY_OF (route), c->route, in_route,
                 "a table by hand says all of it");
  if (c->own > 0 && c->mix != CONFIG_FURTHEST)
    complain (p->said, "%s = %g is for %s = furthest, which is %s here",
              KEY_NAME (own), c->own, KEY_NAME (mix),
              key_word (KEY_OF (mix), c));
}

/* -- the whole --------------------------------------------------------------
 */

void
config_parse (const struct config_source *source, struct config *out,
              struct complaints *said)
{
  struct config c = {.epochs = 0};
  struct parse p = {.source = source, .c = &c, .said = said};
  CHECK (key_count <= KEYS, "room for %d keys only", KEYS);
  for (size_t i = 0; i < key_count; i++)
    if (key_table[i].value)
      set_default (&key_table[i], &c);
  read_file (&p, LAYER_BASE, source->base, source->base_text);
  read_file (&p, LAYER_FILE, source->name, source->text);
  for (int i = 0; i < source->n_words; i++)
    read_word (&p, source->words[i]);
  resolve_length (&p);
  resolve_family (&p);
  resolve_stages (&p);
  resolve_optimizer (&p);
  resolve_strategy (&p);
  *out = c;
}

void
config_plain (struct config *c)
{
  memset (c, 0, sizeof *c);
  snprintf (c->cut, CONFIG_TEXT, "rest");
  c->head_cost = 0.15;
  snprintf (c->span, sizeof c->span, "all");
  c->valid = CONFIG_SPLIT_VALID;
  c->test = CONFIG_SPLIT_TEST;
  c->optimizer = CONFIG_SGD;
  c->io = CONFIG_INDEPENDENT;
  snprintf (c->tune, CONFIG_PATH, "no");
  snprintf (c->isa, CONFIG_WORD, "auto");
  c->count = c->micro = c->replicas = 1;
  c->head_tokens = 1;
  c->beta1 = 0.9;
  c->beta2 = 0.999;
  c->eps = 1e-8;
}

/* A fence prints one message of limited length, so a long list is said line by
 * line and the message counts it. */
enum status
config_refuse (const char *name, struct complaints *said)
{
  enum status s = OK;
  size_t size = said->lines.size;
  if (size > 0)
    said->lines.data[size - 1] = '\0'; /* the last newline */
  if (said->n == 1)
    s = fail (E_CONFIG, "%s", said->lines.data);
  else if (said->n > 1 && size < 1500)
    s = fail (E_CONFIG, "%d things are wrong in %s:\n%s", said->n, name,
              said->lines.data);
  else if (said->n > 1) {
    char *save = NULL;
    for (char *line = strtok_r (said->lines.data, "\n", &save); line;
         line = strtok_r (NULL, "\n", &save))
      say (LOG_ERROR, "%s", line);
    s = fail (E_CONFIG, "%d things are wrong in %s", said->n, name);
  }
  return s;
}
