/* ranks: 0 */
/* tests/base/memory.c -- blocks, counts, arenas, and misuse that is noticed. */
#include "base/fault.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"
#include "tests/tap.h"
#include <pthread.h>
#include <setjmp.h>

/* The address sanitizer would end the program where malloc gives NULL. */
const char *
__asan_default_options (void);

const char *
__asan_default_options (void)
{
  return "allocator_may_return_null=1";
}

static jmp_buf caught;

static void catch (enum status s)
{
  longjmp (caught, (int)s);
}

/* True when a check failed in it. */
#define CAUGHT(...) (setjmp (caught) == 0 ? ({ __VA_ARGS__; }), false : true)

static size_t
bytes_alive (void)
{
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  return bytes;
}

static bool
is_zero (const char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != 0)
      return false;
  return true;
}

static void
test_blocks (void)
{
  static const size_t sizes[] = {0, 1, 63, 64, 65, 1000, 1 << 20};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *p = NULL;
    size_t before = bytes_alive ();
    enum status s = MEM_NEW (sizes[i], &p, "a block");
    tap_ok (s == OK && p != NULL && (uintptr_t)p % 64 == 0 &&
                is_zero (p, sizes[i]),
            "%zu bytes: aligned and zero", sizes[i]);
    tap_ok (bytes_alive () == before + sizes[i], "%zu bytes: counted",
            sizes[i]);
    memset (p, 0x5a, sizes[i]);
    mem_free (&p);
    tap_ok (p == NULL && bytes_alive () == before, "%zu bytes: freed",
            sizes[i]);
  }
  char *none = NULL;
  mem_free (&none);
  tap_ok (none == NULL, "freeing NULL");
  double *many = NULL;
  tap_ok (MEM_NEW (SIZE_MAX / 4, &many, "too much") == E_MEMORY &&
              many == NULL && strstr (fail_message (), "too much") != NULL,
          "a product that overflows is refused by name");
  fail_clear ();
  tap_ok (MEM_NEW (SIZE_MAX / 64, &many, "too much") == E_MEMORY,
          "more than there is is refused");
  fail_clear ();
  char *copy = NULL;
  tap_ok (mem_text ("hello", &copy) == OK && strcmp (copy, "hello") == 0,
          "a copy of a text");
  mem_free (&copy);
}

static void
test_grow (void)
{
  int *p = NULL;
  tap_ok (mem_grow (&p, 0, 10, sizeof *p, "ints") == OK && p != NULL,
          "growing from NULL");
  for (int i = 0; i < 10; i++)
    p[i] = i + 1;
  bool good = mem_grow (&p, 10, 1000, sizeof *p, "ints") == OK;
  for (int i = 0; i < 1000; i++)
    good = good && p[i] == (i < 10 ? i + 1 : 0);
  tap_ok (good, "old contents stay, new ones are zero");
  good = mem_grow (&p, 1000, 5, sizeof *p, "ints") == OK;
  for (int i = 0; i < 5; i++)
    good = good && p[i] == i + 1;
  tap_ok (good && bytes_alive () == 5 * sizeof *p, "shrinking");
  int *old = p;
  fault_plant ("alloc");
  tap_ok (mem_grow (&p, 5, 50, sizeof *p, "ints") == E_MEMORY && p == old &&
              p[4] == 5,
          "a failure leaves the old block");
  fault_plant (NULL);
  fail_clear ();
  mem_free (&p);
  tap_ok (bytes_alive () == 0, "nothing left");
}

static void
test_misuse (void)
{
  void *p = NULL;
  int local[64] = {0}, *wrong = local + 32;
  tap_ok (CAUGHT (mem_close (); (void)mem_new (1, 1, "a step", &p)),
          "allocating while closed fails a check");
  tap_ok (strstr (fail_message (), "a step") != NULL, "and names the thing");
  struct arena a;
  tap_ok (CAUGHT ((void)arena_open (100, "a slab", &a)),
          "so does opening an arena");
  mem_open ();
  fail_clear ();
  tap_ok (!CAUGHT ((void)mem_new (1, 1, "later", &p)) && p != NULL,
          "open again");
  mem_free (&p);
  tap_ok (CAUGHT (mem_free (&wrong)), "a pointer from elsewhere is noticed");
  fail_clear ();
}

static void
test_nth_failure (void)
{
  fault_plant ("alloc:3");
  char *p[5] = {NULL};
  int failed = -1, n_failed = 0;
  for (int i = 0; i < 5; i++)
    if (MEM_NEW (10, &p[i], "a row") != OK) {
      failed = i;
      n_failed++;
    }
  fault_plant (NULL);
  tap_ok (failed == 2 && n_failed == 1, "the third of five fails, as planted");
  tap_ok (strstr (fail_message (), "a row") != NULL, "its message names it");
  fail_clear ();
  for (int i = 0; i < 5; i++)
    mem_free (&p[i]);
}

static void
test_arena (void)
{
  struct arena a;
  tap_ok (arena_open (1000, "slab", &a) == OK && a.size == 1024,
          "an arena is whole lines");
  char *x = arena_take (&a, 1), *y = arena_take (&a, 65), *z;
  tap_ok ((uintptr_t)x % 64 == 0 && y == x + 64 && a.used == 192,
          "pieces follow each other in lines");
  z = arena_take (&a, 1024 - 192);
  tap_ok (z == x + 192 && a.used == a.size, "to the last line");
  tap_ok (is_zero (x, 1024), "zeroed");
  tap_ok (CAUGHT ((void)arena_take (&a, 1)), "and not further");
  fail_clear ();
  arena_close (&a);
  tap_ok (a.base == NULL && bytes_alive () == 0, "closed");
  arena_close (&a);
  tap_ok (CAUGHT ((void)arena_take (&a, 1)) &&
              strstr (fail_message (), "arena_open") != NULL,
          "taking from a closed arena names the missing call");
  fail_clear ();
  tap_ok (arena_open (5000000, "large", &a) == OK &&
              (uintptr_t)a.base % 4096 == 0 && is_zero (a.base, 5000000),
          "a large one");
  arena_close (&a);
  tap_ok (arena_open (0, "empty", &a) == OK && a.size == 0, "an empty one");
  tap_ok (arena_take (&a, 0) != NULL, "has room for nothing");
  arena_close (&a);
  tap_ok (arena_open (SIZE_MAX, "endless", &a) == E_MEMORY, "an endless one");
  fail_clear ();
  fault_plant ("alloc");
  tap_ok (arena_open (10, "planted", &a) == E_MEMORY, "a planted failure");
  fault_plant (NULL);
  fail_clear ();
}

static void *
churn (void *arg)
{
  struct random_key key = {1, RANDOM_TEST, *(const uint64_t *)arg, 0};
  for (uint64_t i = 0; i < 2000; i++) {
    char *p = NULL;
    if (MEM_NEW (random_below (&key, i, 500), &p, "churn") != OK)
      return arg;
    mem_free (&p);
  }
  return NULL;
}

static void
test_threads (void)
{
  pthread_t thread[4];
  uint64_t number[4] = {0, 1, 2, 3};
  bool good = true;
  for (int i = 0; i < 4; i++)
    good = pthread_create (&thread[i], NULL, churn, &number[i]) == 0 && good;
  for (int i = 0; i < 4; i++) {
    void *result = NULL;
    pthread_join (thread[i], &result);
    good = good && result == NULL;
  }
  tap_ok (good && bytes_alive () == 0 && mem_leaks () == 0,
          "four threads at once are counted right");
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0 && peak >= 5000000, "the peak is the largest so far");
}

/* text_add has no status to return: it ends all ranks, for want of memory. */
static void
test_text (void)
{
  struct text t;
  text_init (&t);
  fault_plant ("alloc");
  int s = setjmp (caught);
  if (s == 0)
    text_add (&t, "%s", "a word");
  tap_ok (s == (int)E_MEMORY && strstr (fail_message (), "no memory"),
          "a text without memory: %s", fail_message ());
  fail_clear ();
  fault_plant (NULL);
  text_clear (&t);
}

int
main (void)
{
  status_abort_hook (catch);
  fault_plant (NULL);
  test_blocks ();
  test_grow ();
  test_misuse ();
  test_text ();
  test_nth_failure ();
  test_arena ();
  test_threads ();
  return tap_done ();
}
