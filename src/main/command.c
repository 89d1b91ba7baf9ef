/* main/command.c -- the table of commands, and from argv to the options of one
 * of them. */
#include "main/main.h"

#include "base/memory.h"
#include <string.h>

#define X(name) &command_##name,
const struct command *const command_table[] = {COMMANDS (X)};
#undef X
#define N_COMMANDS ((int)(sizeof command_table / sizeof *command_table))
const int command_count = N_COMMANDS;

static const struct command *
find_command (const char *word, struct text *wrong)
{
  const char *names[N_COMMANDS];
  for (int i = 0; i < N_COMMANDS; i++) {
    if (strcmp (command_table[i]->name, word) == 0)
      return command_table[i];
    names[i] = command_table[i]->name;
  }
  const char *near = text_nearest (word, names, N_COMMANDS);
  text_add (wrong,
            "%s is not a command%s%s%s; `interlock --help` lists "
            "them\n",
            word, near ? "; did you mean " : "", near ? near : "",
            near ? "?" : "");
  return NULL;
}

/* Without a command there are these options only; behind is what follows. */
static void
read_alone (const char *word, const char *behind, struct given *out,
            struct text *wrong)
{
  if (!word)
    text_add (wrong, "a command is missing; `interlock --help` lists "
                     "them\n");
  else if (strcmp (word, "--help") == 0 || strcmp (word, "-h") == 0)
    out->help = true;
  else if (strcmp (word, "--version") == 0)
    out->version = true;
  else if (strcmp (word, "--completion") == 0)
    out->completion = true;
  else if (strcmp (word, "--where") == 0 && behind)
    out->where = behind;
  else if (strcmp (word, "--where") == 0)
    text_add (wrong, "--where wants one of " WHERE "\n");
  else
    text_add (wrong,
              "%s before the command; `interlock --help` shows how "
              "to call\n",
              word);
}

static void
check_names (const struct command *c, const struct given *g, struct text *wrong)
{
  int n = g->n_names;
  if (n < c->least || (n > c->most && c->most > 1))
    text_add (wrong, "%s wants %s\n", c->name, c->wants);
  for (int i = 1; c->most == 1 && i < n; i++)
    text_add (wrong, "%s: there is already %s\n", g->names[i], g->names[0]);
}

/* argv begins with the name of the command. */
static void
read_command (const struct command *c, int argc, char **argv, struct given *out,
              struct text *wrong)
{
  /* getopt would drop the -- and mix what is behind it with the rest. */
  for (int i = 0; c->rest && i < argc; i++)
    if (strcmp (argv[i], "--") == 0) {
      out->rest = (const char *const *)argv + i + 1;
      out->n_rest = argc - i - 1;
      argc = i;
    }
  for (int i = options_parse (c->name, c->flags, argc, argv, out, wrong);
       i < argc; i++)
    if (out->n_names < c->names_first || !config_is_word (argv[i]))
      out->names[out->n_names++] = argv[i];
    else
      out->words[out->n_words++] = argv[i];
  if (out->help || out->version)
    text_clear (wrong); /* who asks for help gets it */
  else {
    check_names (c, out, wrong);
    if (c->check)
      c->check (out, wrong);
  }
}

static enum status
open_options (const struct command *c, int argc, struct given **out)
{
  TRY (mem_new (1, c ? c->size : sizeof **out, "options", (void **)out));
  if (c && c->defaults)
    memcpy (*out, c->defaults, c->size);
  (*out)->needs = c ? c->needs : 0;
  TRY (MEM_NEW ((size_t)argc + 1, &(*out)->names, "words"));
  return MEM_NEW ((size_t)argc + 1, &(*out)->words, "words");
}

enum status
command_parse (int argc, char **argv, const struct command **command,
               struct given **options)
{
  const char *word = argc > 1 ? argv[1] : NULL;
  bool named = word && word[0] != '-';
  struct text wrong;
  text_init (&wrong);
  *command = named ? find_command (word, &wrong) : NULL;
  enum status s = open_options (*command, argc, options);
  if (s == OK && *command)
    read_command (*command, argc - 1, argv + 1, *options, &wrong);
  else if (s == OK && !named)
    read_alone (word, argc > 2 ? argv[2] : NULL, *options, &wrong);
  if (s == OK && wrong.size > 0) {
    wrong.data[wrong.size - 1] = '\0';
    bool several = strchr (wrong.data, '\n') != NULL;
    s = fail (E_USAGE, "%s%s", several ? "several things are wrong:\n" : "",
              wrong.data);
  }
  text_clear (&wrong);
  return s;
}

void
command_free (struct given **options)
{
  if (!*options)
    return;
  mem_free (&(*options)->names);
  mem_free (&(*options)->words);
  mem_free (options);
}
