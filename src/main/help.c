/* main/help.c -- what --help prints; all of it comes from the tables. */
#include "main/main.h"

#include <string.h>

#define WIDTH 79

/* text behind `indent` columns, broken at blanks; `at` columns of the first
 * line are already filled. */
static void
wrap (struct text *out, int indent, int at, const char *text)
{
  if (at > indent) {
    text_add (out, "\n");
    at = 0;
  }
  text_add (out, "%*s", indent - at, "");
  at = indent;
  for (const char *p = text; *p;) {
    int n = (int)strcspn (p, " ");
    if (at > indent && at + 1 + n > WIDTH) {
      text_add (out, "\n%*s", indent, "");
      at = indent;
    } else if (at > indent) {
      text_add (out, " ");
      at++;
    }
    text_add (out, "%.*s", n, p);
    at += n;
    p += n;
    p += strspn (p, " ");
  }
  text_add (out, "\n");
}

/* "name   meaning", the name in a column. */
static void
row (struct text *out, const char *name, int column, const char *meaning)
{
  text_add (out, "  %s ", name);
  wrap (out, column, 3 + (int)strlen (name), meaning);
}

static void
help_exits (struct text *out)
{
  static const char *const rows[][2] = {
      {"0", "finished, or was already finished"},
      {"1", "compare: the runs differ"},
      {"64", "wrong use or configuration"},
      {"65", "bad data or checkpoint"},
      {"69", "a needed resource is missing (file, memory, library)"},
      {"70", "a fault of our own"},
      {"74", "writing failed (disk full, quota)"},
      {"75", "stopped early, state saved: submit again"},
      {"76", "the numbers failed (loss not finite), last good checkpoint kept"},
      {"77", "no progress over several restarts"},
  };
  text_add (out, "\nExit codes:\n");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    row (out, rows[i][0], 8, rows[i][1]);
}

void
help_program (struct text *out)
{
  text_add (out,
            "usage: interlock COMMAND [CONFIG.ini] [section.key=value ...] "
            "[--options]\n\n"
            "Trains deep networks in stages over MPI ranks; gradients "
            "travel as far as\nstrategy.span says: local, N-wise "
            "interlocking, or end to end.\n\nCommands:\n");
  for (int i = 0; i < command_count; i++)
    row (out, command_table[i]->name, 13, command_table[i]->summary);
  text_add (
      out,
      "\n`interlock COMMAND --help` tells more; `interlock train "
      "--help` lists every\nkey of the configuration; `interlock "
      "--version` names the libraries,\n`interlock --where jobs` "
      "(datasets, doc) a folder of its files.\nManual pages: interlock(1), "
      "interlock(5).\n");
  help_exits (out);
}

static void
help_flags (const struct flag *own, struct text *out)
{
  const struct flag *f;
  struct text name;
  text_add (out, "\nOptions:\n");
  for (int i = 0; (f = flag_at (own, i)) != NULL; i++) {
    text_init (&name);
    if (f->letter)
      text_add (&name, "-%c, ", f->letter);
    text_add (&name, "--%s%s%s", f->name,
              f->argument && f->argument[0] != '[' ? " " : "",
              f->argument ? f->argument : "");
    row (out, name.data, 24, f->meaning);
    text_clear (&name);
  }
}

/* "update rule. choice: sgd or adamw; default: sgd" */
static void
help_key (const struct key *k, struct text *out)
{
  struct text line;
  const char *value = k->shown ? k->shown : k->value ? k->value : "none";
  text_init (&line);
  bool kind = k->kind == KEY_CHOICE || k->kind == KEY_TEXT ||
              (k->kind == KEY_LIST && k->field != FIELD_PAIR);
  text_add (&line, "%s. %s%s", k->meaning, kind ? key_kind_name (k->kind) : "",
            k->kind == KEY_CHOICE ? ": " : "");
  if (k->kind == KEY_CHOICE || !kind)
    key_wanted (k, &line);
  if (k->later)
    text_add (&line, " (%s: not in this version)", k->later);
  text_add (&line, "; default: %s", value);
  row (out, k->name, 17, line.data);
  text_clear (&line);
}

static void
help_keys (struct text *out)
{
  const char *section = "";
  text_add (out, "\nKeys, in a file or as words section.key=value (a later one "
                 "wins):\n");
  for (size_t i = 0; i < key_count; i++) {
    if (strcmp (key_table[i].section, section) != 0)
      text_add (out, "\n[%s]\n", key_table[i].section);
    section = key_table[i].section;
    help_key (&key_table[i], out);
  }
}

void
help_command (const struct command *c, struct text *out)
{
  text_add (out, "usage: interlock %s\n\n", c->usage);
  wrap (out, 0, 0, c->detail);
  if (c->kinds) {
    text_add (out, "\nKinds:\n");
    c->kinds (out);
  }
  help_flags (c->flags, out);
  if (c->keys)
    help_keys (out);
}
