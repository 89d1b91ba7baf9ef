/* main/options.c -- words of a command line by rows of options: short and long
 * ones, values, what is missing or unknown.  Knows no command. */
#include "main/main.h"

#include "base/log.h"
#include <getopt.h>
#include <string.h>

#define FLAGS 64 /* rows that one command may have */
enum {
  LONG = 256
}; /* getopt: options without a letter are numbered from here */

static bool
be_quiet (void *into, const char *value)
{
  (void)into;
  (void)value;
  log_level_set (LOG_WARN);
  return true;
}

static bool
be_verbose (void *into, const char *value)
{
  (void)into;
  (void)value;
  log_level_set (LOG_DEBUG);
  return true;
}

/* clang-format off */
static const struct flag common[] = {
  { "quiet", 'q', NULL, "errors and warnings only",
    .kind = FLAG_OTHER, .take = be_quiet },
  { "verbose", 'v', NULL, "more messages",
    .kind = FLAG_OTHER, .take = be_verbose },
  { "help", 'h', NULL, "this text",
    .kind = FLAG_YES, .offset = offsetof (struct given, help) },
  { "version", 0, NULL, "versions of program and libraries",
    .kind = FLAG_YES, .offset = offsetof (struct given, version) },
};
/* clang-format on */
#define N_COMMON ((int)(sizeof common / sizeof *common))

const struct flag *
flag_at (const struct flag *own, int i)
{
  for (; own && own->name; own++)
    if (i-- == 0)
      return own;
  return i < N_COMMON ? &common[i] : NULL;
}

/* -- values -----------------------------------------------------------------
 */

static bool
take_integer (const struct flag *f, const char *value, int64_t *out)
{
  int64_t n;
  if (!text_to_long (value, &n) || n < f->low || n > f->high)
    return false;
  *out = n;
  return true;
}

static bool
take_real (const struct flag *f, const char *value, double *out)
{
  double v;
  if (!text_to_double (value, &v) || v > (double)f->high ||
      !(f->kind == FLAG_ABOVE ? v > (double)f->low : v >= (double)f->low))
    return false;
  *out = v * f->unit;
  return true;
}

/* False when value is none of the option's. */
static bool
take (const struct flag *f, void *into, const char *value)
{
  int64_t n;
  switch (f->kind) {
  case FLAG_YES:
    *(bool *)into = true;
    return true;
  case FLAG_TEXT:
    if (f->words && text_among (f->words, value, NULL) < 0)
      return false;
    *(const char **)into = value;
    return true;
  case FLAG_INT:
    if (!take_integer (f, value, &n))
      return false;
    *(int *)into = (int)n;
    return true;
  case FLAG_INT64:
    return take_integer (f, value, into);
  case FLAG_REAL:
  case FLAG_ABOVE:
    return take_real (f, value, into);
  default:
    return f->take (into, value);
  }
}

static void
refuse (const struct flag *f, const char *value, struct text *wrong)
{
  char near[TEXT_NEAR] = "";
  bool joined = f->argument && f->argument[0] == '[';
  text_add (wrong, "--%s%c%.*s: wanted ", f->name, joined ? '=' : ' ',
            joined ? 80 : (int)strlen (value), value);
  if (f->wanted)
    text_add (wrong, "%s", f->wanted);
  else
    text_add (wrong, "an integer from %lld to %lld", (long long)f->low,
              (long long)f->high);
  if (f->words)
    text_among (f->words, value, near);
  text_add (wrong, "%s%s%s\n", near[0] ? "; did you mean " : "", near,
            near[0] ? "?" : "");
}

/* -- parsing ----------------------------------------------------------------
 */

static void
unknown (const char *whose, const struct flag *own, const char *word,
         struct text *wrong)
{
  const char *names[FLAGS];
  size_t n = 0;
  for (const struct flag *f; (f = flag_at (own, (int)n)) != NULL;)
    names[n++] = f->name;
  char name[CONFIG_WORD] = "";
  size_t length = strcspn (word, "=");
  while (length > 0 && *word == '-') {
    word++;
    length--;
  }
  if (length < sizeof name)
    memcpy (name, word, length);
  const char *near = text_nearest (name, names, n);
  text_add (wrong, "--%.*s is not an option of %s%s%s%s\n", (int)length, word,
            whose, near ? "; did you mean --" : "", near ? near : "",
            near ? "?" : "");
}

/* The rows as getopt wants them. */
static void
describe (const struct flag *own, struct option list[FLAGS],
          char letters[2 * FLAGS + 2])
{
  const struct flag *f;
  *letters++ = ':';
  for (int i = 0; (f = flag_at (own, i)) != NULL; i++) {
    CHECK (i < FLAGS - 1, "room for %d options only", FLAGS);
    int wants = !f->argument            ? no_argument
                : f->argument[0] == '[' ? optional_argument
                                        : required_argument;
    list[i] =
        (struct option){f->name, wants, NULL, f->letter ? f->letter : LONG + i};
    if (f->letter)
      *letters++ = f->letter;
    if (f->letter && f->argument)
      *letters++ = ':';
  }
  *letters = '\0';
}

static const struct flag *
flag_of (const struct flag *own, int c)
{
  const struct flag *f;
  for (int i = 0; (f = flag_at (own, i)) != NULL; i++)
    if (c == (f->letter ? f->letter : LONG + i))
      break;
  return f;
}

int
options_parse (const char *whose, const struct flag *own, int argc, char **argv,
               void *options, struct text *wrong)
{
  struct option list[FLAGS] = {0};
  char letters[2 * FLAGS + 2];
  describe (own, list, letters);
  opterr = 0;
  optind = 0; /* start anew: tests parse more than once */
  for (int c; (c = getopt_long (argc, argv, letters, list, NULL)) != -1;) {
    const char *word = argv[optind - 1];
    const struct flag *f = flag_of (own, c);
    if (c == ':')
      text_add (wrong, "%s wants an argument\n", word);
    else if (c == '?' && optopt > 0 && optopt < LONG)
      text_add (wrong, "-%c is not an option of %s\n", optopt, whose);
    else if (!f)
      unknown (whose, own, word, wrong);
    else if (!take (f, (char *)options + f->offset, optarg))
      refuse (f, optarg, wrong);
  }
  return optind;
}
