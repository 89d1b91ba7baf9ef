/* tests/train/inject.c -- a library to preload that makes the n-th call of a
 * kind fail in one rank of a program, once or from then on.
 *
 *   INJECT_PROGRAM  name of the program meant, without its folder (interlock)
 *   INJECT_RANK     the rank meant, as its launcher numbers it (0)
 *   INJECT_BELOW    calls on files count only below this folder
 *   INJECT_FROM     allocations count that an object of this name asks for, as
 *                   libhdf5 (default: the program itself)
 *   INJECT_KIND     kind of call, see kinds[]
 *   INJECT_NTH      its number from 1; 0: let all pass and write a line
 *                   "KIND NUMBER WHAT" for each of every kind
 *   INJECT_LASTING  set: those after it fail as well
 *   INJECT_ERROR    ENOSPC, EDQUOT, EIO, EMFILE, ENOMEM, EAGAIN; or short: a
 *                   write that takes half of what it is given, and no error
 *   INJECT_LOG      file to which these lines go, and one for the first call
 *                   that failed
 *
 * Files go past glibc by system calls.  Its streams write without passing here;
 * a stream that is to fail is flushed into /dev/full.  For Linux and glibc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
  WRITE,
  SYNC,
  RENAME,
  OPEN,
  CLOSE,
  TRUNCATE,
  ALLOCATE,
  MKDIR,
  UNLINK,
  MEMORY,
  THREAD,
  KINDS
};
static const char *const kinds[KINDS] = {
    [WRITE] = "write",       [SYNC] = "sync",    [RENAME] = "rename",
    [OPEN] = "open",         [CLOSE] = "close",  [TRUNCATE] = "truncate",
    [ALLOCATE] = "allocate", [MKDIR] = "mkdir",  [UNLINK] = "unlink",
    [MEMORY] = "memory",     [THREAD] = "thread"};

static const struct {
  const char *name;
  int number;
} errors[] = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},
              {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM}, {"EAGAIN", EAGAIN},
              {"short", 0}};

static bool on, lasting;
static enum kind wanted = KINDS;
static long nth;
static int error;
static char below[PATH_MAX];
static const char *log_path;
static atomic_long count[KINDS];
static atomic_bool said;

/* Address ranges of the object whose allocations count. */
#define RANGES 16
static struct {
  uintptr_t from, to;
} range[RANGES];
static int n_ranges;

/* -- setting up ------------------------------------------------------------ */

static const char *
word (const char *name, const char *otherwise)
{
  const char *w = getenv (name);
  return w && w[0] ? w : otherwise;
}

static bool
is_program (void)
{
  char self[PATH_MAX];
  ssize_t n = readlink ("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0)
    return false;
  self[n] = '\0';
  const char *slash = strrchr (self, '/');
  return strcmp (slash ? slash + 1 : self,
                 word ("INJECT_PROGRAM", "interlock")) == 0;
}

static const char *
rank_here (void)
{
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK",
                                      "PMI_RANK", "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (getenv (names[i]))
      return getenv (names[i]);
  return "0";
}

/* The program is the object without a name. */
static int
add_ranges (struct dl_phdr_info *info, size_t size, void *from)
{
  const char *name = from;
  (void)size;
  if (name[0] ? strstr (info->dlpi_name, name) == NULL : info->dlpi_name[0])
    return 0;
  for (int i = 0; i < info->dlpi_phnum && n_ranges < RANGES; i++) {
    const ElfW (Phdr) *p = &info->dlpi_phdr[i];
    if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
      continue;
    range[n_ranges].from = info->dlpi_addr + p->p_vaddr;
    range[n_ranges].to = range[n_ranges].from + p->p_memsz;
    n_ranges++;
  }
  return name[0] == '\0'; /* the first one is the program */
}

__attribute__ ((constructor)) static void
set_up (void)
{
  char from[64];
  if (!getenv ("INJECT_NTH") || !is_program () ||
      strcmp (rank_here (), word ("INJECT_RANK", "0")) != 0)
    return;
  nth = atol (word ("INJECT_NTH", "0"));
  lasting = getenv ("INJECT_LASTING") != NULL;
  log_path = word ("INJECT_LOG", NULL);
  for (int k = 0; k < KINDS; k++)
    if (strcmp (word ("INJECT_KIND", ""), kinds[k]) == 0)
      wanted = (enum kind)k;
  error = EIO;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (strcmp (word ("INJECT_ERROR", "EIO"), errors[i].name) == 0)
      error = errors[i].number;
  snprintf (below, sizeof below, "%s", word ("INJECT_BELOW", "/nowhere"));
  snprintf (from, sizeof from, "%s", word ("INJECT_FROM", ""));
  dl_iterate_phdr (add_ranges, from);
  on = true;
}

/* -- counting -------------------------------------------------------------- */

static void
note (enum kind k, long i, const char *what)
{
  char line[PATH_MAX + 64];
  if (!log_path)
    return;
  int n = snprintf (line, sizeof line, "%s %ld %s\n", kinds[k], i, what);
  int fd = (int)syscall (SYS_openat, AT_FDCWD, log_path,
                         O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0666);
  if (fd < 0)
    return;
  (void)!syscall (SYS_write, fd, line, (size_t)n);
  syscall (SYS_close, fd);
}

/* This call of kind k is to fail; errno says how. */
static bool
fails (enum kind k, const char *what)
{
  int before = errno;
  long i = atomic_fetch_add (&count[k], 1) + 1;
  bool now = nth > 0 && k == wanted && (lasting ? i >= nth : i == nth);
  if (nth == 0 || (now && !atomic_exchange (&said, true)))
    note (k, i, what);
  errno = now ? error : before;
  return now;
}

static bool
is_below (const char *path)
{
  size_t n = strlen (below);
  return strncmp (path, below, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool
hits_path (enum kind k, int at, const char *path)
{
  char whole[2 * PATH_MAX], link[64];
  if (!on || !path)
    return false;
  if (path[0] == '/')
    return is_below (path) && fails (k, path);
  int before = errno;
  snprintf (link, sizeof link, "/proc/self/fd/%d", at);
  ssize_t n =
      readlink (at == AT_FDCWD ? "/proc/self/cwd" : link, whole, PATH_MAX - 1);
  errno = before;
  if (n <= 0)
    return false;
  snprintf (whole + n, sizeof whole - (size_t)n, "/%s", path);
  return is_below (whole) && fails (k, whole);
}

static bool
path_of (int fd, char path[PATH_MAX])
{
  char link[64];
  int before = errno;
  if (!on || fd < 0)
    return false;
  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink (link, path, PATH_MAX - 1);
  path[n > 0 ? n : 0] = '\0';
  errno = before;
  return is_below (path);
}

static bool
hits (enum kind k, int fd)
{
  char path[PATH_MAX];
  return path_of (fd, path) && fails (k, path);
}

static bool
hits_caller (enum kind k, const void *caller)
{
  char what[64];
  uintptr_t at = (uintptr_t)caller;
  for (int i = 0; on && i < n_ranges; i++)
    if (at >= range[i].from && at < range[i].to) {
      snprintf (what, sizeof what, "+0x%zx", (size_t)(at - range[i].from));
      return fails (k, what);
    }
  return false;
}

/* -- files ----------------------------------------------------------------- */

static int
open_file (int at, const char *path, int flags, mode_t mode)
{
  if (hits_path (OPEN, at, path))
    return -1;
  return (int)syscall (SYS_openat, at, path, flags, mode);
}

#define OPEN_LIKE(name)                                             \
  int name (const char *path, int flags, ...)                       \
  {                                                                 \
    va_list more;                                                   \
    va_start (more, flags);                                         \
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg (more, int) : 0; \
    va_end (more);                                                  \
    return open_file (AT_FDCWD, path, flags, mode);                 \
  }
#define OPENAT_LIKE(name)                                           \
  int name (int at, const char *path, int flags, ...)               \
  {                                                                 \
    va_list more;                                                   \
    va_start (more, flags);                                         \
    mode_t mode = flags & O_CREAT ? (mode_t)va_arg (more, int) : 0; \
    va_end (more);                                                  \
    return open_file (at, path, flags, mode);                       \
  }
OPEN_LIKE (open)
OPEN_LIKE (open64)
OPENAT_LIKE (openat)
OPENAT_LIKE (openat64)

int
__open_2 (const char *path, int flags)
{
  return open_file (AT_FDCWD, path, flags, 0);
}

int
__open64_2 (const char *path, int flags)
{
  return open_file (AT_FDCWD, path, flags, 0);
}

/* What a write may take of n bytes: -1 for an error, half, or all. */
static ssize_t
share (int fd, size_t n)
{
  if (!hits (WRITE, fd))
    return (ssize_t)n;
  return error == 0 ? (ssize_t)((n + 1) / 2) : -1;
}

ssize_t
write (int fd, const void *p, size_t size)
{
  ssize_t n = share (fd, size);
  return n < 0 ? -1 : syscall (SYS_write, fd, p, (size_t)n);
}

ssize_t
pwrite64 (int fd, const void *p, size_t size, off64_t at)
{
  ssize_t n = share (fd, size);
  return n < 0 ? -1 : syscall (SYS_pwrite64, fd, p, (size_t)n, at);
}

ssize_t
pwrite (int fd, const void *p, size_t size, off_t at)
{
  return pwrite64 (fd, p, size, at);
}

ssize_t
writev (int fd, const struct iovec *v, int n)
{
  if (share (fd, 2) < 0)
    return -1;
  return syscall (SYS_writev, fd, v, n);
}

ssize_t
pwritev64 (int fd, const struct iovec *v, int n, off64_t at)
{
  if (share (fd, 2) < 0)
    return -1;
  return syscall (SYS_pwritev, fd, v, n, at, at >> 32);
}

ssize_t
pwritev (int fd, const struct iovec *v, int n, off_t at)
{
  return pwritev64 (fd, v, n, at);
}

int
fsync (int fd)
{
  return hits (SYNC, fd) ? -1 : (int)syscall (SYS_fsync, fd);
}

int
fdatasync (int fd)
{
  return hits (SYNC, fd) ? -1 : (int)syscall (SYS_fdatasync, fd);
}

/* As Linux has it: the file is closed, whatever close says. */
int
close (int fd)
{
  bool now = hits (CLOSE, fd);
  int code = (int)syscall (SYS_close, fd);
  if (now)
    errno = error;
  return now ? -1 : code;
}

int
rename (const char *from, const char *to)
{
  if (hits_path (RENAME, AT_FDCWD, to))
    return -1;
  return (int)syscall (SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
link (const char *from, const char *to)
{
  if (hits_path (RENAME, AT_FDCWD, to))
    return -1;
  return (int)syscall (SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
unlink (const char *path)
{
  if (hits_path (UNLINK, AT_FDCWD, path))
    return -1;
  return (int)syscall (SYS_unlinkat, AT_FDCWD, path, 0);
}

int
mkdir (const char *path, mode_t mode)
{
  if (hits_path (MKDIR, AT_FDCWD, path))
    return -1;
  return (int)syscall (SYS_mkdirat, AT_FDCWD, path, mode);
}

int
ftruncate64 (int fd, off64_t size)
{
  return hits (TRUNCATE, fd) ? -1 : (int)syscall (SYS_ftruncate, fd, size);
}

int
ftruncate (int fd, off_t size)
{
  return ftruncate64 (fd, size);
}

int
truncate64 (const char *path, off64_t size)
{
  if (hits_path (TRUNCATE, AT_FDCWD, path))
    return -1;
  return (int)syscall (SYS_truncate, path, size);
}

int
truncate (const char *path, off_t size)
{
  return truncate64 (path, size);
}

int
fallocate64 (int fd, int mode, off64_t at, off64_t size)
{
  if (hits (ALLOCATE, fd))
    return -1;
  return (int)syscall (SYS_fallocate, fd, mode, at, size);
}

int
fallocate (int fd, int mode, off_t at, off_t size)
{
  return fallocate64 (fd, mode, at, size);
}

/* -- streams --------------------------------------------------------------- */

#define NEXT(out, name)                                    \
  static _Atomic (void *) door;                            \
  void *found = atomic_load (&door);                       \
  if (!found)                                              \
    atomic_store (&door, found = dlsym (RTLD_NEXT, name)); \
  memcpy (&(out), &found, sizeof (out))

static FILE *
open_stream (const char *path, const char *mode)
{
  FILE *(*next) (const char *, const char *);
  NEXT (next, "fopen");
  return hits_path (OPEN, AT_FDCWD, path) ? NULL : next (path, mode);
}

FILE *
fopen (const char *path, const char *mode)
{
  return open_stream (path, mode);
}

FILE *
fopen64 (const char *path, const char *mode)
{
  return open_stream (path, mode);
}

/* A full device in the place of a file; what was there, or -1. */
static int
fill (int fd)
{
  int kept = (int)syscall (SYS_fcntl, fd, F_DUPFD_CLOEXEC, 100);
  int full = (int)syscall (SYS_openat, AT_FDCWD, "/dev/full", O_WRONLY, 0);
  syscall (SYS_dup3, full, fd, O_CLOEXEC);
  syscall (SYS_close, full);
  return kept;
}

int
fflush (FILE *f)
{
  int (*next) (FILE *);
  NEXT (next, "fflush");
  if (!f || !on || error == 0 || !hits (WRITE, fileno (f)))
    return next (f);
  int fd = fileno (f), kept = fill (fd);
  int code = next (f), why = errno;
  syscall (SYS_dup3, kept, fd, O_CLOEXEC);
  syscall (SYS_close, kept);
  errno = code ? error : why;
  return code;
}

/* What could not be written is not written by this either. */
int
fclose (FILE *f)
{
  int (*next) (FILE *);
  char path[PATH_MAX];
  NEXT (next, "fclose");
  bool ours = f && path_of (fileno (f), path);
  bool now = ours && fails (CLOSE, path);
  if (ours && wanted == WRITE && error != 0 && lasting && atomic_load (&said))
    syscall (SYS_close, fill (fileno (f)));
  int code = next (f);
  if (now)
    errno = error;
  return now ? EOF : code;
}

/* -- memory and threads ---------------------------------------------------- */

/* The doors that glibc keeps for such as us. */
extern void *
__libc_malloc (size_t size);
extern void *
__libc_calloc (size_t n, size_t size);
extern void *
__libc_realloc (void *p, size_t size);
extern void *
__libc_memalign (size_t unit, size_t size);

void *
malloc (size_t size)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return NULL;
  return __libc_malloc (size);
}

void *
calloc (size_t n, size_t size)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return NULL;
  return __libc_calloc (n, size);
}

void *
realloc (void *p, size_t size)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return NULL;
  return __libc_realloc (p, size);
}

void *
aligned_alloc (size_t unit, size_t size)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return NULL;
  return __libc_memalign (unit, size);
}

int
posix_memalign (void **out, size_t unit, size_t size)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return ENOMEM;
  void *p = __libc_memalign (unit, size);
  if (!p)
    return ENOMEM;
  *out = p;
  return 0;
}

void *
mmap64 (void *at, size_t size, int protect, int flags, int fd, off64_t offset)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return MAP_FAILED;
  return (void *)syscall (SYS_mmap, at, size, protect, flags, fd, offset);
}

void *
mmap (void *at, size_t size, int protect, int flags, int fd, off_t offset)
{
  if (hits_caller (MEMORY, __builtin_return_address (0)))
    return MAP_FAILED;
  return (void *)syscall (SYS_mmap, at, size, protect, flags, fd, offset);
}

int
pthread_create (pthread_t *thread, const pthread_attr_t *how,
                void *(*work) (void *), void *context)
{
  int (*next) (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  NEXT (next, "pthread_create");
  if (hits_caller (THREAD, __builtin_return_address (0)))
    return errno;
  return next (thread, how, work, context);
}
