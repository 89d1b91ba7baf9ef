/* store/history.c -- what happened in a run directory: its events read back,
 * and the mark of progress.
 *
 * A killed run leaves half a line at the end.  A damaged line in the middle is
 * skipped and counted.
 */
#include "store/file.h"
#include "store/record_impl.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- the mark of progress -------------------------------------------------- */

#define MARK_FORMAT \
  "step=%019" PRId64 " start=%019" PRId64 " attempts=%06" PRId64

static void
mark_path (const char *dir, struct text *out)
{
  text_init (out);
  text_add (out, "%s/progress", dir);
}

enum status
store_run_mark (struct store_run *r, const struct store_mark *m)
{
  char line[128];
  struct text path;
  mark_path (r->dir, &path);
  if (r->mark < 0)
    r->mark = open (path.data, O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
  int n = snprintf (line, sizeof line, MARK_FORMAT "\n", m->step, m->start,
                    m->attempts);
  enum status s = OK;
  if (r->mark < 0 || pwrite (r->mark, line, (size_t)n, 0) != n)
    s = fail (E_IO, "%s: not written: %s", path.data, strerror (errno));
  text_clear (&path);
  return s;
}

void
store_mark_read (const char *dir, struct store_mark *out)
{
  char *text = NULL;
  size_t size;
  struct text path;
  struct stat st;
  *out = (struct store_mark){0};
  mark_path (dir, &path);
  if (store_file_bytes (path.data) > 0 &&
      store_file_read (path.data, &text, &size) == OK) {
    struct store_mark m = {0};
    if (sscanf (text, "step=%" SCNd64 " start=%" SCNd64 " attempts=%" SCNd64,
                &m.step, &m.start, &m.attempts) == 3)
      *out = m;
    if (stat (path.data, &st) == 0)
      out->time = (double)st.st_mtime;
  } else
    fail_clear ();
  mem_free (&text);
  text_clear (&path);
}

/* -- events ---------------------------------------------------------------- */

struct store_history {
  json_t *events; /* array of objects whose values are strings */
  int damaged;    /* lines that could not be read */
};

/* All values as text. */
static void
as_words (json_t *event)
{
  const char *name;
  json_t *value;
  void *next;
  json_object_foreach_safe (event, next, name, value)
  {
    if (json_is_string (value))
      continue;
    char word[64] = "";
    size_t n = json_dumpb (value, word, sizeof word - 1,
                           JSON_ENCODE_ANY | JSON_REAL_PRECISION (15));
    word[n < sizeof word ? n : 0] = '\0';
    json_object_set_new (event, name, json_string (word));
  }
}

static void
read_line (struct store_history *h, const char *line, size_t n)
{
  json_t *j = json_loadb (line, n, 0, NULL);
  if (json_is_object (j) && json_is_string (json_object_get (j, "event"))) {
    as_words (j);
    json_array_append_new (h->events, j);
    return;
  }
  json_decref (j);
  h->damaged += n > 0;
}

enum status
store_history_read (const char *dir, struct store_history **out)
{
  struct store_history *h = NULL;
  struct text path;
  char *text = NULL;
  size_t size = 0;
  enum status s = OK;
  TRY (MEM_NEW (1, &h, "history"));
  h->events = json_array ();
  text_init (&path);
  text_add (&path, "%s/events.jsonl", dir);
  if (store_file_bytes (path.data) > 0)
    s = store_file_read (path.data, &text, &size);
  for (char *p = text; s == OK && p && p < text + size;) {
    char *end = memchr (p, '\n', (size_t)(text + size - p));
    size_t n = end ? (size_t)(end - p) : (size_t)(text + size - p);
    read_line (h, p, n);
    p += n + 1;
  }
  mem_free (&text);
  text_clear (&path);
  if (s == OK)
    *out = h;
  else
    store_history_destroy (&h);
  return s;
}

void
store_history_destroy (struct store_history **out)
{
  if (!*out)
    return;
  json_decref ((*out)->events);
  mem_free (out);
}

int
store_history_count (const struct store_history *h)
{
  return (int)json_array_size (h->events);
}

int
store_history_damaged (const struct store_history *h)
{
  return h->damaged;
}

const char *
store_history_word (const struct store_history *h, int i, const char *name)
{
  const char *word = json_string_value (
      json_object_get (json_array_get (h->events, (size_t)i), name));
  return word ? word : "";
}
