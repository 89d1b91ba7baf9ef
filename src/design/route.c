/* design/route.c -- a strategy by hand: from words, or the lines of a file, to
 * a table.
 *
 * In the configuration a table is one text, "1 0 / 0 1", whatever it came from:
 * so a run holds its table and needs the file no more.
 */
#include "design/design_impl.h"

#include "store/file.h"
#include <stdio.h>
#include <string.h>

struct route_reader {
  const char *file; /* NULL: the text is a value of the configuration, ... */
  const char *name; /* ... called so */
  int K, row, line; /* line: of the file, from 1 */
  double *route;    /* K x K */
  struct complaints *said;
};

static void
complain (struct route_reader *r, const char *what)
{
  if (r->file)
    text_add (&r->said->lines, "%s:%d: %s\n", r->file, r->line, what);
  else
    text_add (&r->said->lines, "%s: %s\n", r->name, what);
  r->said->n++;
}

/* One number of a row; too many are only counted. */
static bool
take_number (struct route_reader *r, int column, const char *word)
{
  char what[160];
  double v;
  if (!text_to_double (word, &v)) {
    snprintf (what, sizeof what,
              "route row %d, column %d: \"%.40s\" is not a finite number",
              r->row, column, word);
    complain (r, what);
    return false;
  }
  if (column < r->K && r->row < r->K)
    r->route[r->row * r->K + column] = v + 0.0; /* no zero has a sign */
  return true;
}

/* In place of a row's numbers: the stage does not learn. */
static const char frozen[] = "frozen";

static bool
is_frozen (const char *text)
{
  const char *at = text + strspn (text, " ,\t\r");
  const size_t n = strcspn (at, " ,\t\r");
  return n == sizeof frozen - 1 && strncmp (at, frozen, n) == 0 &&
         at[n + strspn (at + n, " ,\t\r")] == '\0';
}

/* Cuts the text of a row up. */
static void
take_row (struct route_reader *r, char *text)
{
  char what[160], *save = NULL;
  int n = 0;
  bool good = true;
  if (is_frozen (text)) {
    for (int h = 0; h < r->K && r->row < r->K; h++)
      r->route[r->row * r->K + h] = 0;
    r->row++;
    return;
  }
  for (char *word = strtok_r (text, " ,\t\r", &save); word;
       word = strtok_r (NULL, " ,\t\r", &save))
    good = take_number (r, n++, word) && good;
  if (n != r->K) {
    snprintf (what, sizeof what,
              "route row %d has %d number%s, wanted %d, one for each stage",
              r->row, n, n == 1 ? "" : "s", r->K);
    complain (r, what);
  } else if (good && r->row < r->K &&
             plan_route_check_row (r->K, r->row, r->route + r->row * r->K) !=
                 OK) {
    complain (r, fail_message ());
    fail_clear ();
  }
  r->row++;
}

/* Cuts the text up into rows; a line of a file may be empty, and what is behind
 * a number sign is a comment. */
static void
take_rows (struct route_reader *r, char *text)
{
  char what[160], *next;
  const int before = r->said->n;
  for (char *row = text; row; row = next) {
    next = strchr (row, r->file ? '\n' : '/');
    if (next)
      *next++ = '\0';
    r->line++;
    if (r->file)
      row[strcspn (row, "#")] = '\0';
    if (!r->file || row[strspn (row, " ,\t\r")] != '\0')
      take_row (r, row);
  }
  if (r->row == r->K && r->said->n == before &&
      plan_route_check (r->K, r->route) != OK) {
    complain (r, fail_message ());
    fail_clear ();
  }
  if (r->row != r->K) {
    snprintf (what, sizeof what,
              "route has %d row%s, wanted %d, one for each stage", r->row,
              r->row == 1 ? "" : "s", r->K);
    complain (r, what);
  }
}

enum status
route_parse (const char *name, const char *text, int K, double *route)
{
  struct complaints said = {.n = 0};
  struct route_reader r = {.name = name, .K = K, .route = route, .said = &said};
  char *copy = NULL;
  TRY (mem_text (text, &copy));
  text_init (&said.lines);
  take_rows (&r, copy);
  enum status s = config_refuse (name, &said);
  text_clear (&said.lines);
  mem_free (&copy);
  return s;
}

/* -- from what was said to rows ------------------------------------------- */

static void
add_rows (int K, const double *route, struct text *out)
{
  for (int i = 0; i < K * K; i++) {
    text_add (out, "%s", i == 0 ? "" : i % K ? " " : " / ");
    if (i % K == 0 && plan_route_frozen (K, i / K, route)) {
      text_add (out, "%s", frozen);
      i += K - 1;
    } else
      text_add_real (out, route[i]);
  }
}

/* The text of the file that @FILE names; owned by the caller. */
static enum status
read_route (const struct config_source *source, const char *path, char **out)
{
  size_t size;
  if (source->read)
    return source->read (source->reader, path, out);
  return store_file_read (path, out, &size);
}

enum status
route_rows (const struct config_source *source, const char *name,
            const char *words, int K, struct complaints *said,
            struct text *rows)
{
  const int before = said->n;
  const char *file = words[0] == '@' ? words + 1 : NULL;
  struct route_reader r = {.file = file, .name = name, .K = K, .said = said};
  char *text = NULL;
  enum status s =
      file ? read_route (source, file, &text) : mem_text (words, &text);
  if (s != OK && file) {
    char why[256]; /* what the reader has said already is not here */
    snprintf (why, sizeof why, "%s", fail_message ());
    return fail (s, "%s = %s: %s", name, words, why);
  }
  if (s == OK)
    s = MEM_NEW ((size_t)K * (size_t)K, &r.route, "route");
  if (s == OK)
    take_rows (&r, text);
  if (s == OK && said->n == before)
    add_rows (K, r.route, rows);
  mem_free (&r.route);
  mem_free (&text);
  return s;
}

enum status
route_keep (const struct key *k, const struct text *words, struct config *c)
{
  if (key_set (k, words->data, c))
    return OK;
  return fail (E_CONFIG, "%s: as text it has more than %d characters", k->full,
               CONFIG_ROUTE - 1);
}

static enum status
resolve (const struct config_source *source, struct config *c,
         struct complaints *said)
{
  const int before = said->n;
  struct text rows;
  text_init (&rows);
  enum status s = route_rows (source, KEY_NAME (route), c->route, (int)c->count,
                              said, &rows);
  if (s == OK && said->n == before)
    s = route_keep (KEY_OF (route), &rows, c);
  text_clear (&rows);
  return s;
}

void
route_resolve (const struct config_source *source, struct config *c,
               struct complaints *said)
{
  const int before = said->n;
  if (!c->route[0] || c->count < 1)
    return;
  complaints_note (resolve (source, c, said), said);
  if (said->n > before)
    c->route[0] = '\0'; /* so that nothing is said twice */
}
