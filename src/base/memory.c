/* base/memory.c -- counted blocks and arenas.
 *
 * Every block carries a line of 64 bytes in front: its size, a mark by which a
 * wrong pointer is noticed, and, in debug builds, its place in the list of all
 * blocks, so that the end of a run can name what was forgotten.
 */
#include "base/fault.h"
#include "base/memory.h"
#include "base/log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE 64
#define MARK UINT64_C (0x6b636f6c7265746e)
/* Below this size a huge page would be mostly empty. */
#define HUGE_PAGE ((size_t)2 << 20)

struct block {
  uint64_t mark;
  size_t bytes;
  const char *what; /* a string constant */
  void *raw;        /* what calloc gave */
  struct block *before, *after;
};
_Static_assert(sizeof (struct block) <= LINE, "a block's head is one line");

static _Atomic size_t alive_bytes, alive_blocks, peak_bytes_seen;
static _Thread_local bool closed;

static void
count_more (size_t bytes)
{
  size_t now = atomic_fetch_add (&alive_bytes, bytes) + bytes;
  size_t peak = atomic_load (&peak_bytes_seen);
  while (now > peak &&
         !atomic_compare_exchange_weak (&peak_bytes_seen, &peak, now))
    ;
  atomic_fetch_add (&alive_blocks, 1);
}

static void
count_less (size_t bytes)
{
  atomic_fetch_sub (&alive_bytes, bytes);
  atomic_fetch_sub (&alive_blocks, 1);
}

#ifdef IL_DEBUG
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct block *list_head;

static void
list_add (struct block *b)
{
  pthread_mutex_lock (&list_lock);
  b->before = NULL;
  b->after = list_head;
  if (list_head != NULL)
    list_head->before = b;
  list_head = b;
  pthread_mutex_unlock (&list_lock);
}

static void
list_remove (struct block *b)
{
  pthread_mutex_lock (&list_lock);
  if (b->before != NULL)
    b->before->after = b->after;
  else
    list_head = b->after;
  if (b->after != NULL)
    b->after->before = b->before;
  pthread_mutex_unlock (&list_lock);
}
#else
static void
list_add (struct block *b)
{
  (void)b;
}

static void
list_remove (struct block *b)
{
  (void)b;
}
#endif

static struct block *
block_of (void *p)
{
  struct block *b = (struct block *)((char *)p - LINE);
  CHECK (b->mark == MARK, "this pointer does not come from mem_new");
  return b;
}

enum status
mem_new (size_t n, size_t size, const char *what, void **out)
{
  CHECK (!closed, "%s: memory is closed here (a training step allocates)",
         what);
  size_t bytes;
  bool too_many =
      __builtin_mul_overflow (n, size, &bytes) || bytes > SIZE_MAX / 2;
  if (fault_here ("alloc"))
    return fail (E_MEMORY, "%s: no memory for %zu x %zu bytes (planted)", what,
                 n, size);
  /* Not cleared here: calloc knows which pages come clean from the system. */
  char *raw = too_many ? NULL : calloc (1, arena_round (bytes) + 2 * LINE);
  if (raw == NULL)
    return fail (E_MEMORY, "%s: no memory for %zu x %zu bytes", what, n, size);
  char *line = raw + (LINE - (uintptr_t)raw % LINE) % LINE;
  struct block *b = (struct block *)(void *)line;
  b->mark = MARK;
  b->bytes = bytes;
  b->what = what;
  b->raw = raw;
  list_add (b);
  count_more (bytes);
  *out = line + LINE;
  return OK;
}

enum status
mem_grow (void *p, size_t old_n, size_t n, size_t size, const char *what)
{
  char **at = p, *old = *at;
  void *wider;
  TRY (mem_new (n, size, what, &wider));
  size_t keep = (old_n < n ? old_n : n) * size;
  if (old != NULL && keep > 0)
    memcpy (wider, old, keep);
  mem_free (p);
  *at = wider;
  return OK;
}

void
mem_free (void *p)
{
  char **at = p;
  if (*at == NULL)
    return;
  struct block *b = block_of (*at);
  list_remove (b);
  count_less (b->bytes);
  b->mark = 0; /* a second free of the same pointer is noticed */
  free (b->raw);
  *at = NULL;
}

enum status
mem_text (const char *text, char **out)
{
  size_t n = strlen (text) + 1;
  void *copy;
  TRY (mem_new (n, 1, "a text", &copy));
  memcpy (copy, text, n);
  *out = copy;
  return OK;
}

void
mem_close (void)
{
  closed = true;
}

void
mem_open (void)
{
  closed = false;
}

void
mem_count (size_t *bytes, size_t *blocks, size_t *peak_bytes)
{
  *bytes = atomic_load (&alive_bytes);
  *blocks = atomic_load (&alive_blocks);
  *peak_bytes = atomic_load (&peak_bytes_seen);
}

size_t
mem_leaks (void)
{
#ifdef IL_DEBUG
  pthread_mutex_lock (&list_lock);
  int left = 20;
  for (struct block *b = list_head; b != NULL && left > 0; b = b->after, left--)
    tell (LOG_WARN, "not freed: %zu bytes of %s", b->bytes, b->what);
  pthread_mutex_unlock (&list_lock);
#endif
  return atomic_load (&alive_blocks);
}

/* -- arenas ---------------------------------------------------------------- */

size_t
arena_round (size_t bytes)
{
  return (bytes + LINE - 1) / LINE * LINE;
}

static size_t
whole_pages (size_t size)
{
  return (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* Pages as the system gives them: zero, and each made when it is first touched,
 * near the thread that does.  Clearing them here would be the second time. */
static char *
map_pages (size_t size)
{
  const size_t bytes = whole_pages (size), wide = bytes + HUGE_PAGE;
  char *p = mmap (NULL, wide, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    return NULL;
  const size_t before = (HUGE_PAGE - (uintptr_t)p % HUGE_PAGE) % HUGE_PAGE;
  if (before > 0)
    (void)munmap (p, before);
  (void)munmap (p + before + bytes, wide - before - bytes);
  (void)madvise (p + before, bytes, MADV_HUGEPAGE); /* refusal is fine */
  return p + before;
}

static char *
take_lines (size_t size)
{
  const size_t bytes = size == 0 ? LINE : arena_round (size);
  char *p = aligned_alloc (LINE, bytes);
  if (p != NULL)
    memset (p, 0, bytes);
  return p;
}

enum status
arena_open (size_t size, const char *what, struct arena *a)
{
  CHECK (!closed, "%s: memory is closed here (a training step allocates)",
         what);
  *a = (struct arena){0};
  if (fault_here ("alloc"))
    return fail (E_MEMORY, "%s: no memory for %zu bytes (planted)", what, size);
  if (size > SIZE_MAX / 2)
    return fail (E_MEMORY, "%s: no memory for %zu bytes", what, size);
  const bool large = size >= HUGE_PAGE;
  char *base = large ? map_pages (size) : take_lines (size);
  if (base == NULL)
    return fail (E_MEMORY, "%s: no memory for %zu bytes", what, size);
  a->base = base;
  a->mapped = large;
  a->size = arena_round (size);
  count_more (a->size);
  return OK;
}

void *
arena_take (struct arena *a, size_t bytes)
{
  size_t need = arena_round (bytes);
  CHECK (a->base != NULL, "arena_take before arena_open");
  CHECK (need >= bytes && need <= a->size - a->used,
         "the arena of %zu bytes has %zu left, wanted %zu", a->size,
         a->size - a->used, bytes);
  char *piece = a->base + a->used;
  a->used += need;
  return piece;
}

void
arena_close (struct arena *a)
{
  if (a->base == NULL)
    return;
  count_less (a->size);
  if (a->mapped)
    (void)munmap (a->base, whole_pages (a->size));
  else
    free (a->base);
  *a = (struct arena){0};
}

/* -- what the machine has ---------------------------------------------------
 */

/* The number behind `key` (NULL: the first word) of a small file; -1 when there
 * is none, or when it is a word such as max. */
static double
number_in (const char *path, const char *key)
{
  char line[256];
  double found = -1, v;
  FILE *f = fopen (path, "r");
  while (f && found < 0 && fgets (line, sizeof line, f)) {
    size_t n = key ? strlen (key) : 0;
    if ((!key || strncmp (line, key, n) == 0) &&
        sscanf (line + n, "%lf", &v) == 1)
      found = v;
    if (!key)
      break;
  }
  if (f)
    fclose (f);
  return found;
}

/* What the control group `path` may still use.  Each group above it has a limit
 * of its own that counts all groups below: the smallest remainder decides.
 * Unlimited is a word in version 2, and a number near 2^63 in version 1. */
static double
group_room (const char *root, const char *path, const char *most,
            const char *used, const char *cache)
{
  char group[1024], name[1280];
  double room = -1;
  snprintf (group, sizeof group, "%s", path);
  for (;;) {
    snprintf (name, sizeof name, "%s%s/%s", root, group, most);
    double limit = number_in (name, NULL);
    snprintf (name, sizeof name, "%s%s/%s", root, group, used);
    double now = number_in (name, NULL);
    snprintf (name, sizeof name, "%s%s/memory.stat", root, group);
    /* The page cache counts as used, but the kernel gives it back. */
    double file = number_in (name, cache);
    if (limit >= 0 && limit < 1e18 && now >= 0) {
      double left = limit - now + (file > 0 ? file : 0);
      room = room < 0 || left < room ? left : room;
    }
    char *slash = strrchr (group, '/');
    if (!slash)
      return room;
    *slash = '\0';
  }
}

double
mem_available (void)
{
  char line[1024];
  double room = number_in ("/proc/meminfo", "MemAvailable:") * 1024;
  FILE *f = fopen ("/proc/self/cgroup", "r");
  while (f && fgets (line, sizeof line, f)) {
    line[strcspn (line, "\n")] = '\0';
    /* Version 2 has one line, "0::/PATH"; version 1 one per controller. */
    const char *one = strstr (line, ":memory:");
    double left = -1;
    if (strncmp (line, "0::/", 4) == 0)
      left = group_room ("/sys/fs/cgroup", line + 3, "memory.max",
                         "memory.current", "inactive_file ");
    else if (one)
      left =
          group_room ("/sys/fs/cgroup/memory", one + 8, "memory.limit_in_bytes",
                      "memory.usage_in_bytes", "total_inactive_file ");
    if (left >= 0 && (room < 0 || left < room))
      room = left;
  }
  if (f)
    fclose (f);
  return room;
}
