/* main/completion.c -- what a shell can complete, from the tables of commands,
 * options and keys: functions for sh, which make puts in front of
 * completion/interlock.bash and completion/interlock.zsh.
 *
 * Those that tell the meaning of a word print lines "WORD<tab>MEANING".
 */
#include "main/main.h"

#include <string.h>

static void
begin (struct text *out, const char *function, const char *what)
{
  text_add (out, "\n_interlock_%s () # %s\n{\n", function, what);
}

static void
add_commands (struct text *out)
{
  begin (out, "commands", "the commands");
  text_add (out, "  cat <<'END'\n");
  for (int i = 0; i < command_count; i++)
    text_add (out, "%s\t%s\n", command_table[i]->name,
              command_table[i]->summary);
  text_add (out, "--help\tthis program\n--version\tversions of program and "
                 "libraries\n--where\twhere its files are\nEND\n}\n");
}

static void
add_options (struct text *out)
{
  const struct flag *f;
  begin (out, "options", "those of COMMAND");
  text_add (out, "  case $1 in\n");
  for (int i = 0; i < command_count; i++) {
    const struct command *c = command_table[i];
    text_add (out, "  %s) cat <<'END'\n", c->name);
    for (int j = 0; (f = flag_at (c->flags, j)) != NULL; j++)
      text_add (out, "--%s%s\t%s\n", f->name,
                f->argument && f->argument[0] == '[' ? "=" : "", f->meaning);
    text_add (out, "END\n  ;;\n");
  }
  text_add (out, "  esac\n}\n");
}

/* The first words of the lines of a list of kinds that begin with two blanks.
 */
static void
add_kinds (void (*kinds) (struct text *help), struct text *out)
{
  struct text help;
  text_init (&help);
  kinds (&help);
  for (const char *p = help.data; *p; p += strcspn (p, "\n"), p += *p == '\n')
    if (strncmp (p, "  ", 2) == 0 && p[2] != ' ')
      text_add (out, "%.*s ", (int)strcspn (p + 2, " \n"), p + 2);
  text_clear (&help);
}

static void
add_names (struct text *out)
{
  begin (out, "names", "COMMAND NUMBER: of so many that are no options");
  text_add (out, "  case $1:$2 in\n");
  for (int i = 0; i < command_count; i++) {
    const struct command *c = command_table[i];
    if (c->kinds) {
      text_add (out, "  %s:1) echo '", c->name);
      add_kinds (c->kinds, out);
      text_add (out, "' ;;\n");
    }
    if (c->then)
      text_add (out, "  %s:2) echo '%s' ;;\n", c->name, c->then);
  }
  text_add (out, "  esac\n}\n");
}

static void
add_keys (struct text *out)
{
  begin (out, "keys", "of a configuration");
  text_add (out, "  cat <<'END'\n");
  for (size_t i = 0; i < key_count; i++)
    text_add (out, "%s=\t%s\n", key_table[i].full, key_table[i].meaning);
  text_add (out, "END\n}\n");
}

/* Choices; one that this version does not have is none. */
static void
add_choices (const struct key *k, struct text *out)
{
  text_add (out, "  %s) echo '", k->full);
  if (k->kind == KEY_BOOL)
    text_add (out, "yes no");
  for (int i = 0; i < k->n_words; i++)
    if (!key_is_later (k, k->words[i]))
      text_add (out, "%s%s", i ? " " : "", k->words[i]);
  text_add (out, "' ;;\n");
}

static void
add_values (struct text *out)
{
  const struct flag *f;
  begin (out, "values", "of KEY, or of \"COMMAND --OPTION\"");
  text_add (out, "  case $1 in\n  '--where') echo '" WHERE "' ;;\n");
  for (int i = 0; i < command_count; i++)
    for (int j = 0; (f = flag_at (command_table[i]->flags, j)) != NULL; j++)
      if (f->words)
        text_add (out, "  '%s --%s') echo '%s' ;;\n", command_table[i]->name,
                  f->name, f->words);
  for (size_t i = 0; i < key_count; i++)
    if (key_table[i].kind == KEY_BOOL || key_table[i].n_words > 0)
      add_choices (&key_table[i], out);
  text_add (out, "  esac\n}\n");
}

void
completion_add (struct text *out)
{
  text_add (out, "# Completion of interlock " PACKAGE_VERSION ", made from its "
                 "tables.\n");
  add_commands (out);
  add_options (out);
  add_names (out);
  add_keys (out);
  add_values (out);
}
