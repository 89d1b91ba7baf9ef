/* store/saver.c -- checkpoints beside the steps.
 *
 * Each rank has a thread for it.  A save is four legs: in each the threads work
 * (or that of root alone), then the ranks tell each other how it went, in a
 * round of wire, in which root also hands out what the next leg needs:
 *
 *   digest   every rank, its tensors       -> digests, to all
 *   create   root: the file without data   -> places of the data, to all
 *   write    every rank: pwrite, fsync,    -> seconds, to all
 *            read back from the disk, compare
 *   publish  root: compare, rename, prune  -> done
 *
 * The training's thread moves the save from leg to leg in store_saver_push,
 * which never waits; it alone calls MPI.  The saver's thread of root calls
 * HDF5, behind a lock (store_h5_enter).  From begin to the end of the save the
 * memory of the tensors belongs to the threads.
 *
 * After the round of a leg all ranks know whether it failed on one.  Then root
 * removes the unfinished file, and the next save starts anew.
 */
#include "store/file.h"
#include "store/run.h"
#include "store/saver_impl.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/memory.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum leg { LEG_DIGEST, LEG_CREATE, LEG_WRITE, LEG_PUBLISH, LEG_END };
enum phase { PHASE_IDLE, PHASE_WORK, PHASE_TALK, PHASE_OVER };

/* What a rank says in a round; digests or places follow. */
struct saying {
  int status;
  char message[512];
  double seconds;
};

#define TEXTS 7 /* of struct store_attributes */
/* Attributes of the file, with copies of the texts they point to. */
struct described {
  struct store_attributes a;
  char *text[TEXTS];
};

struct store_saver {
  struct wire *wire;
  const struct store_run *run;
  char *dir;
  int64_t keep;
  struct store_list list;
  void **data;        /* list.n; NULL for tensors of other ranks */
  int most;           /* tensors of the rank that has most */
  char (*digest)[33]; /* of own tensors, in the order of the list; most */
  int64_t *offset;    /* list.n */
  unsigned char *block,
      *block_room;    /* STORE_BLOCK_BYTES, on a page; its memory */
  char *said, *heard; /* rounds: own words, those of all ranks */
  size_t said_bytes;  /* of one rank in a gathered round */
  /* the save under way */
  enum phase phase;
  enum leg leg;
  bool described, abandoned, posted;
  struct described about;
  char suffix[300]; /* root's, of names while writing */
  char part[1400];
  struct store_saved out;
  double begun_s;
  /* the thread; work, done, stop under lock */
  pthread_t thread;
  bool started, stop, work, done;
  pthread_mutex_t lock;
  pthread_cond_t more;
};

static bool
is_root (const struct store_saver *v)
{
  return wire_rank (v->wire) == 0;
}

/* -- the thread's work ----------------------------------------------------- */

static void
leg_digest (struct store_saver *v)
{
  int n = 0;
  for (int i = 0; i < v->list.n; i++)
    if (v->data[i])
      hash_digest (v->data[i], store_entry_bytes (&v->list.entry[i]),
                   v->digest[n++]);
}

static enum status
leg_create (struct store_saver *v)
{
  store_h5_enter ();
  enum status s =
      store_checkpoint_create (v->part, &v->list, &v->about.a, v->offset);
  store_h5_leave ();
  return s;
}

static enum status
leg_write (struct store_saver *v, double *seconds)
{
  int first = 0;
  struct store_own own = {v->part, &v->list, v->data, v->offset, v->block};
  while (first < v->list.n && !v->data[first])
    first++;
  if (first == v->list.n) /* nothing of this rank's */
    return OK;
  double begin = clock_now_s ();
  enum status s = store_own_write (&own);
  *seconds = clock_now_s () - begin;
  if (s == OK && fault_here ("damage"))
    s = store_checkpoint_damage (v->part, v->offset[first]);
  return s == OK ? store_own_read_back (&own) : s;
}

static enum status
leg_publish (struct store_saver *v)
{
  TRY (store_file_sync (v->part));
  store_h5_enter ();
  enum status s =
      store_checkpoint_compare (v->part, &v->list, &v->about.a, v->offset);
  store_h5_leave ();
  TRY (s);
  if (v->run)
    TRY (store_run_mine (v->run));
  TRY (store_file_rename (v->part, v->out.path));
  if (v->dir && store_checkpoint_prune (v->dir, v->keep, v->out.path) != OK) {
    snprintf (v->out.warning, sizeof v->out.warning, "%s", fail_message ());
    fail_clear ();
  }
  return OK;
}

static void
work (struct store_saver *v)
{
  struct saying say = {.status = OK};
  enum status s = OK;
  switch (v->leg) {
  case LEG_DIGEST:
    leg_digest (v);
    memcpy (v->said + sizeof say, v->digest, (size_t)v->most * 33);
    break;
  case LEG_CREATE:
    s = leg_create (v);
    memcpy (v->said + sizeof say, v->offset,
            (size_t)v->list.n * sizeof *v->offset);
    break;
  case LEG_WRITE:
    s = leg_write (v, &say.seconds);
    break;
  default:
    s = leg_publish (v);
  }
  say.status = (int)s;
  if (s != OK)
    snprintf (say.message, sizeof say.message, "%s", fail_message ());
  fail_clear ();
  memcpy (v->said, &say, sizeof say);
}

static void *
run_thread (void *arg)
{
  struct store_saver *v = arg;
  pthread_mutex_lock (&v->lock);
  for (;;) {
    while (!v->stop && !v->work)
      pthread_cond_wait (&v->more, &v->lock);
    if (v->stop)
      break;
    v->work = false;
    pthread_mutex_unlock (&v->lock);
    work (v);
    pthread_mutex_lock (&v->lock);
    v->done = true;
  }
  pthread_mutex_unlock (&v->lock);
  return NULL;
}

/* -- from leg to leg, in the training's thread ----------------------------- */

static bool
has_work (const struct store_saver *v)
{
  return is_root (v) || v->leg == LEG_DIGEST || v->leg == LEG_WRITE;
}

static bool
gathers (enum leg leg)
{
  return leg == LEG_DIGEST || leg == LEG_WRITE;
}

/* Gives the leg to the thread, once it may begin; true when it is done.  The
 * file is made only when its attributes are there (store_saver_describe): they
 * come after the ballots of its steps were read. */
static bool
worked (struct store_saver *v)
{
  if (!has_work (v))
    return true;
  if (v->leg == LEG_CREATE && v->abandoned) {
    struct saying say = {.status = E_NUMBERS};
    memcpy (v->said, &say, sizeof say);
    return true;
  }
  if (v->leg == LEG_CREATE && !v->described)
    return false;
  pthread_mutex_lock (&v->lock);
  bool done = v->posted && v->done;
  if (!v->posted) {
    v->posted = v->work = true;
    v->done = false;
    pthread_cond_signal (&v->more);
  }
  pthread_mutex_unlock (&v->lock);
  return done;
}

static void
talk (struct store_saver *v)
{
  size_t places = (size_t)v->list.n * sizeof *v->offset;
  if (gathers (v->leg))
    wire_round_gather (v->wire, v->said, v->said_bytes, v->heard);
  else
    wire_round_spread (
        v->wire, v->said,
        sizeof (struct saying) + (v->leg == LEG_CREATE ? places : 0), 0);
}

/* The words of rank r in the round that is over. */
static struct saying
words_of (const struct store_saver *v, int r)
{
  struct saying say;
  memcpy (&say,
          gathers (v->leg) ? v->heard + (size_t)r * v->said_bytes : v->said,
          sizeof say);
  return say;
}

static void
hear_status (struct store_saver *v)
{
  int size = gathers (v->leg) ? wire_size (v->wire) : 1;
  for (int r = 0; r < size; r++) {
    struct saying say = words_of (v, r);
    if (say.seconds > v->out.write_s)
      v->out.write_s = say.seconds;
    if (say.status == OK || v->out.status != OK)
      continue;
    v->out.status = (enum status)say.status;
    if (size > 1)
      snprintf (v->out.message, sizeof v->out.message, "rank %d: %s", r,
                say.message);
    else
      snprintf (v->out.message, sizeof v->out.message, "%s", say.message);
  }
}

static void
hear_digests (struct store_saver *v)
{
  for (int r = 0; r < wire_size (v->wire); r++) {
    const char *digest =
        v->heard + (size_t)r * v->said_bytes + sizeof (struct saying);
    for (int i = 0; i < v->list.n; i++)
      if (v->list.entry[i].owner == r) {
        memcpy (v->list.entry[i].digest, digest, 33);
        digest += 33;
      }
  }
}

static void
heard (struct store_saver *v)
{
  hear_status (v);
  if (v->out.status != OK)
    return;
  if (v->leg == LEG_DIGEST)
    hear_digests (v);
  if (v->leg == LEG_CREATE && !is_root (v))
    memcpy (v->offset, v->said + sizeof (struct saying),
            (size_t)v->list.n * sizeof *v->offset);
}

static void
forget (struct described *d)
{
  for (int i = 0; i < TEXTS; i++)
    mem_free (&d->text[i]);
}

void
store_saver_push (struct store_saver *v)
{
  while (v->phase == PHASE_WORK || v->phase == PHASE_TALK) {
    if (v->phase == PHASE_WORK) {
      if (!worked (v))
        return;
      talk (v);
      v->phase = PHASE_TALK;
    }
    if (!wire_round_done (v->wire))
      return;
    heard (v);
    v->leg++;
    v->posted = false;
    v->phase = PHASE_WORK;
    if (v->out.status != OK || v->leg == LEG_END) {
      v->out.total_s = clock_now_s () - v->begun_s;
      v->phase = PHASE_OVER;
    }
  }
}

/* Not in store_saver_push, which is called inside steps and must not allocate.
 */
static void
clean_up (struct store_saver *v)
{
  if (!is_root (v))
    return;
  if (v->out.status != OK)
    unlink (v->part);
  if (v->described)
    store_list_digests (&v->list, &v->about.a, &v->out.digests);
  forget (&v->about);
}

bool
store_saver_poll (struct store_saver *v, struct store_saved *out)
{
  store_saver_push (v);
  if (v->phase != PHASE_OVER)
    return false;
  clean_up (v);
  v->phase = PHASE_IDLE;
  *out = v->out;
  return true;
}

bool
store_saver_busy (const struct store_saver *v)
{
  return v->phase != PHASE_IDLE;
}

bool
store_saver_waits (const struct store_saver *v)
{
  return is_root (v) && (v->phase == PHASE_WORK || v->phase == PHASE_TALK) &&
         v->leg <= LEG_CREATE && !v->described && !v->abandoned;
}

void
store_saver_begin (struct store_saver *v, const char *path, int64_t step)
{
  CHECK (v->phase == PHASE_IDLE, "the save before is not over");
  v->phase = PHASE_WORK;
  v->leg = LEG_DIGEST;
  v->described = v->abandoned = v->posted = false;
  v->begun_s = clock_now_s ();
  memset (&v->out, 0, sizeof v->out);
  snprintf (v->out.path, sizeof v->out.path, "%s", path);
  snprintf (v->part, sizeof v->part, "%s%s", v->out.path, v->suffix);
  v->out.step = step;
  v->out.bytes = v->list.bytes;
  (void)worked (v);
}

enum status
store_saver_describe (struct store_saver *v, const struct store_attributes *a)
{
  CHECK (store_saver_waits (v), "no save waits for its attributes");
  v->abandoned = true; /* until all is copied */
  if (!a)
    return OK;
  v->about.a = *a;
  const char **to[TEXTS] = {&v->about.a.config,  &v->about.a.tuning,
                            &v->about.a.library, &v->about.a.order,
                            &v->about.a.data,    &v->about.a.metrics,
                            &v->about.a.progress};
  for (int i = 0; i < TEXTS; i++) {
    TRY (mem_text (*to[i] ? *to[i] : "", &v->about.text[i]));
    *to[i] = v->about.text[i];
  }
  v->abandoned = false;
  v->described = true;
  return OK;
}

/* -- open and close -------------------------------------------------------- */

static int
by_path (const void *a, const void *b)
{
  const struct store_entry *x = a, *y = b;
  return strcmp (x->path, y->path);
}

static enum status
own_data (struct store_saver *v, const struct store_tensor *tensors, int n)
{
  struct store_entry key;
  TRY (MEM_NEW ((size_t)v->list.n + 1, &v->data, "list of tensors"));
  for (int i = 0; i < n; i++) {
    snprintf (key.path, sizeof key.path, "%s", tensors[i].path);
    const struct store_entry *e =
        bsearch (&key, v->list.entry, (size_t)v->list.n, sizeof key, by_path);
    CHECK (e, "%s is not on the list", key.path);
    v->data[e - v->list.entry] = tensors[i].data;
  }
  return OK;
}

static void
count_most (struct store_saver *v)
{
  for (int r = 0; r < wire_size (v->wire); r++) {
    int n = 0;
    for (int i = 0; i < v->list.n; i++)
      n += v->list.entry[i].owner == r;
    v->most = n > v->most ? n : v->most;
  }
}

static enum status
open_memory (struct store_saver *v, const struct store_tensor *tensors, int n)
{
  TRY (own_data (v, tensors, n));
  count_most (v);
  size_t places = (size_t)v->list.n * sizeof *v->offset;
  size_t digests = (size_t)v->most * 33;
  size_t room = sizeof (struct saying) + (places > digests ? places : digests);
  v->said_bytes = sizeof (struct saying) + digests;
  TRY (MEM_NEW ((size_t)v->most + 1, &v->digest, "digests"));
  TRY (MEM_NEW ((size_t)v->list.n + 1, &v->offset, "places of tensors"));
  TRY (MEM_NEW (room, &v->said, "words between savers"));
  TRY (MEM_NEW (v->said_bytes * (size_t)wire_size (v->wire), &v->heard,
                "words between savers"));
  TRY (MEM_NEW (STORE_BLOCK_BYTES + STORE_ALIGNED_TO, &v->block_room,
                "block for reading back"));
  size_t odd = (uintptr_t)v->block_room % STORE_ALIGNED_TO;
  v->block = v->block_room + (odd ? STORE_ALIGNED_TO - odd : 0);
  return OK;
}

/* The list of all tensors, without digests, and the name while writing. */
static enum status
open_list (struct store_saver *v, const struct store_tensor *tensors, int n)
{
  struct store_tensor *bare = NULL;
  struct text name;
  text_init (&name);
  store_part_name ("", &name);
  snprintf (v->suffix, sizeof v->suffix, "%s", name.data);
  text_clear (&name);
  (void)wire_broadcast (v->wire, v->suffix, sizeof v->suffix, 0);
  TRY (wire_agree (v->wire, MEM_NEW ((size_t)n + 1, &bare, "tensors")));
  for (int i = 0; i < n; i++) {
    bare[i] = tensors[i];
    bare[i].data = NULL;
  }
  enum status s = store_list_share (v->wire, bare, n, &v->list);
  mem_free (&bare);
  return s;
}

static enum status
open_thread (struct store_saver *v)
{
  int error = pthread_create (&v->thread, NULL, run_thread, v);
  v->started = error == 0;
  if (error != 0)
    return fail (E_MEMORY, "the saver's thread does not start: %s",
                 strerror (error));
  return OK;
}

enum status
store_saver_open (struct wire *w, const struct store_tensor *tensors, int n,
                  const struct store_run *run, const char *dir, int64_t keep,
                  struct store_saver **out)
{
  struct store_saver *v = NULL;
  enum status s = MEM_NEW (1, &v, "saver");
  TRY (wire_agree (w, s));
  v->wire = w;
  v->run = run;
  v->keep = keep;
  pthread_mutex_init (&v->lock, NULL);
  pthread_cond_init (&v->more, NULL);
  store_h5_enter ();
  store_h5_start (); /* here, as its start may call MPI */
  store_h5_leave ();
  s = open_list (v, tensors, n);
  if (s == OK) {
    s = dir ? mem_text (dir, &v->dir) : OK;
    if (s == OK)
      s = open_memory (v, tensors, n);
    if (s == OK)
      s = open_thread (v);
    s = wire_agree (w, s);
  }
  if (s != OK)
    store_saver_close (&v);
  else
    *out = v;
  return s;
}

void
store_saver_close (struct store_saver **out)
{
  struct store_saver *v = *out;
  if (!v)
    return;
  pthread_mutex_lock (&v->lock);
  v->stop = true;
  pthread_cond_signal (&v->more);
  pthread_mutex_unlock (&v->lock);
  if (v->started)
    pthread_join (v->thread, NULL);
  pthread_cond_destroy (&v->more);
  pthread_mutex_destroy (&v->lock);
  /* The words of a round that is still open may be written to. */
  if (v->phase != PHASE_TALK) {
    mem_free (&v->said);
    mem_free (&v->heard);
  }
  forget (&v->about);
  store_list_clear (&v->list);
  mem_free (&v->dir);
  mem_free (&v->data);
  mem_free (&v->digest);
  mem_free (&v->offset);
  mem_free (&v->block_room);
  mem_free (out);
}
