/* import/packed.c -- reading archives: tar, also compressed, and zip.
 *
 * An archive is somebody else's, and may be meant to do harm.  Nothing in it is
 * more than a name and bytes here: no path is made, no link followed.  Data
 * sets do not shrink a hundredfold, so one that grows further is refused before
 * it fills the disk.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include "import/packed_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "import/folder_impl.h"
#include "store/file.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 18, BLOCK = 512, GROWTH = 100 };
#define FREE ((int64_t)64 << 20) /* bytes that even a small one may have */

struct reader {
  const char *path;
  struct import_packed to;
  bool (*wanted) (const char *name);
  struct archive *a;
  struct import_stream *in; /* of tar; NULL: zip */
  enum status trouble;      /* of in, on libarchive's way */
  size_t zeros;             /* at the end of what has come from in */
  int64_t most, counted;    /* bytes unpacked, with a block for each name */
  int64_t n, links;
  struct text link; /* the first of them */
  unsigned char *chunk, *given;
};

/* -- the archive ----------------------------------------------------------- */

static void
count_zeros (struct reader *r, const unsigned char *p, size_t n)
{
  size_t zeros = 0;
  while (zeros < n && p[n - 1 - zeros] == 0)
    zeros++;
  r->zeros = zeros < n ? zeros : r->zeros + n;
}

static la_ssize_t
take (struct archive *a, void *context, const void **data)
{
  struct reader *r = context;
  size_t got = 0;
  (void)a;
  r->trouble = import_stream_read (r->in, r->given, CHUNK, &got);
  *data = r->given;
  count_zeros (r, r->given, got);
  return r->trouble == OK ? (la_ssize_t)got : -1;
}

/* member NULL: the archive as a whole. */
static enum status
damaged (const struct reader *r, const char *member)
{
  const char *why = archive_error_string (r->a);
  char text[1024];
  if (r->trouble == OK)
    return fail (E_DATA, "%s%s%s: damaged or cut off (%s)", r->path,
                 member ? ": " : "", member ? member : "",
                 why ? why : "no reason given");
  snprintf (text, sizeof text, "%s", fail_message ());
  return member ? fail (r->trouble, "%s (in %s)", text, member) : r->trouble;
}

static enum status
count (struct reader *r, const char *member, int64_t bytes)
{
  r->counted += bytes;
  return r->counted <= r->most
             ? OK
             : fail (E_DATA,
                     "%s: %s: all of it takes more than %s, a hundred times "
                     "what the archive has: no data set does",
                     r->path, member, text_bytes ((double)r->most));
}

/* What libarchive does not read: a tar that has its end mark may be followed by
 * damage, and a cut one may end between two members. */
static enum status
read_rest (struct reader *r)
{
  const void *data;
  la_ssize_t n = 1;
  while (r->in && n > 0) {
    n = take (r->a, r, &data);
    if (n < 0)
      return damaged (r, NULL);
    TRY (count (r, "behind its end", n));
  }
  return !r->in || r->zeros >= BLOCK
             ? OK
             : fail (E_DATA, "%s: ends without its end mark: cut off", r->path);
}

/* -- members --------------------------------------------------------------- */

/* The name as it is used, "" for what is passed over: hidden ones, as in
 * folders, and what a Mac keeps beside the files. */
static enum status
clean_name (const struct reader *r, const char *name, struct text *out)
{
  bool hidden = false;
  if (name[0] == '/')
    return fail (E_DATA, "%s: %s: leads out of the archive", r->path, name);
  if (strchr (name, '\n'))
    return fail (E_DATA, "%s: %s: a line end in a name", r->path, name);
  for (const char *part = name; *part; part += strspn (part, "/")) {
    int n = (int)strcspn (part, "/");
    if (n == 2 && strncmp (part, "..", 2) == 0)
      return fail (E_DATA, "%s: %s: leads out of the archive", r->path, name);
    if (n > 255)
      return fail (E_DATA, "%s: %.80s...: a name too long", r->path, part);
    if (n > 1 || part[0] != '.') {
      hidden = hidden || part[0] == '.' ||
               (n == 8 && strncmp (part, "__MACOSX", 8) == 0);
      text_add (out, "%s%.*s", out->size > 0 ? "/" : "", n, part);
    }
    part += n;
  }
  if (hidden) {
    text_clear (out);
    text_init (out);
  }
  return OK;
}

static enum status
write_out (struct reader *r, const unsigned char *p, size_t n, int64_t at)
{
  while (n > 0) {
    ssize_t done = pwrite (r->to.fd, p, n, at);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return fail (E_IO, "%s: what is in it cannot be written: %s", r->path,
                   strerror (errno));
    p += done;
    n -= (size_t)done;
    at += done;
  }
  return OK;
}

static enum status
take_bytes (struct reader *r, const char *name, int64_t *bytes)
{
  la_ssize_t n;
  while ((n = archive_read_data (r->a, r->chunk, CHUNK)) > 0) {
    TRY (count (r, name, n));
    TRY (write_out (r, r->chunk, (size_t)n, r->to.bytes + *bytes));
    *bytes += n;
    log_progress ("reading %s: %s files, %s", r->path, text_count (r->n),
                  text_bytes ((double)r->counted));
  }
  return n == 0 ? OK : damaged (r, name);
}

static enum status
take_member (struct reader *r, struct archive_entry *e, const char *name,
             struct text *clean)
{
  int64_t bytes = 0;
  mode_t type = archive_entry_filetype (e);
  TRY (count (r, name, BLOCK));
  TRY (clean_name (r, name, clean));
  if (clean->size == 0)
    return OK;
  if (archive_entry_hardlink (e) || (type != AE_IFREG && type != AE_IFDIR)) {
    if (r->links++ == 0)
      text_add (&r->link, "%s", clean->data);
    return OK;
  }
  r->n += type == AE_IFREG;
  if (type == AE_IFDIR)
    text_add (clean, "/");
  else if (r->wanted (clean->data))
    TRY (take_bytes (r, clean->data, &bytes));
  return import_packed_add (&r->to, clean->data, bytes);
}

static enum status
take_members (struct reader *r)
{
  struct archive_entry *e;
  int found;
  while ((found = archive_read_next_header (r->a, &e)) == ARCHIVE_OK ||
         found == ARCHIVE_WARN) {
    const char *name = archive_entry_pathname_utf8 (e);
    struct text clean;
    text_init (&clean);
    if (!name)
      name = archive_entry_pathname (e);
    enum status s = name ? take_member (r, e, name, &clean)
                         : fail (E_DATA, "%s: a file without a name", r->path);
    text_clear (&clean);
    TRY (s);
  }
  TRY (found == ARCHIVE_EOF ? OK : damaged (r, NULL));
  return read_rest (r);
}

/* -- all of it ------------------------------------------------------------- */

/* A file that nobody else can find, for which there is room beside the output.
 */
static enum status
open_spool (const char *output, int *fd)
{
  struct store_output o;
  struct text path;
  TRY (store_output_open (output, &o));
  text_init (&path);
  enum status s = store_output_parents (&o);
  store_file_directory (o.part, &path);
  *fd = open (path.data, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (*fd < 0 && s == OK) { /* some file systems do not know how */
    text_add (&path, "/.import-XXXXXX");
    *fd = mkostemp (path.data, O_CLOEXEC);
    if (*fd >= 0)
      unlink (path.data);
  }
  if (*fd < 0 && s == OK)
    s = fail (E_IO, "%s: %s", path.data, strerror (errno));
  text_clear (&path);
  store_output_clear (&o);
  return s;
}

static enum status
open_archive (struct reader *r)
{
  int found;
  r->a = archive_read_new ();
  if (!r->a)
    return fail (E_MEMORY, "%s: no reader", r->path);
  if (r->in) {
    archive_read_support_format_tar (r->a);
    found = archive_read_open (r->a, r, NULL, take, NULL);
  } else {
    archive_read_support_format_zip_seekable (r->a);
    found = archive_read_open_filename (r->a, r->path, CHUNK);
  }
  return found == ARCHIVE_OK ? OK : damaged (r, NULL);
}

static enum status
read_archive (struct reader *r, const char *output)
{
  TRY (mem_text (r->path, &r->to.path));
  TRY (MEM_NEW (CHUNK, &r->chunk, "archive"));
  TRY (MEM_NEW (CHUNK, &r->given, "archive"));
  r->most = GROWTH * store_file_bytes (r->path) + FREE;
  TRY (open_spool (output, &r->to.fd));
  TRY (open_archive (r));
  TRY (take_members (r));
  log_live_done ();
  if (r->links > 0)
    say (LOG_WARN,
         "%s: left out links and what is neither file nor folder: %s, such as "
         "%s",
         r->path, text_count (r->links), r->link.data);
  return import_packed_done (&r->to);
}

/* A file that begins as tar, behind all compression, or zip does.  What cannot
 * be read is left to who reads it next. */
static bool
is_archive (const char *path, bool *tar)
{
  unsigned char head[BLOCK];
  struct import_stream *in = NULL;
  struct stat st;
  size_t n = 0;
  *tar = false;
  if (stat (path, &st) != 0 || !S_ISREG (st.st_mode))
    return false;
  if (import_stream_open (path, 0, &in) == OK)
    (void)import_stream_fill (in, head, sizeof head, &n);
  import_stream_close (&in);
  fail_clear ();
  *tar = n == sizeof head && memcmp (head + 257, "ustar", 5) == 0;
  return *tar || (n >= 4 && memcmp (head, "PK\3\4", 4) == 0);
}

static enum status
read_one (const char *path, const char *output,
          bool (*wanted) (const char *name))
{
  struct reader r = {.path = path, .wanted = wanted, .to.fd = -1};
  bool tar;
  if (!is_archive (path, &tar))
    return OK;
  text_init (&r.to.names);
  text_init (&r.link);
  enum status s = tar ? import_stream_open (path, 0, &r.in) : OK;
  if (s == OK)
    s = read_archive (&r, output);
  if (r.a)
    archive_read_free (r.a);
  import_stream_close (&r.in);
  import_packed_clear (&r.to);
  mem_free (&r.chunk);
  mem_free (&r.given);
  text_clear (&r.link);
  return s;
}

/* A folder that holds all others is the one meant, unless it is called like a
 * split. */
static void
find_root (const char *path, struct text *out)
{
  struct import_name first, second;
  text_add (out, "%s", path);
  while (import_file_packed (out->data)) {
    size_t at = 0;
    if (!import_file_next (out->data, &at, &first) || !first.folder ||
        import_folder_split (first.name) >= 0 ||
        import_file_next (out->data, &at, &second))
      return;
    text_add (out, "/%s", first.name);
  }
}

/* Names are turned into those of the locale, of which there is none here: into
 * UTF-8. */
static enum status
read_utf8 (const char *path, const char *output,
           bool (*wanted) (const char *name))
{
  locale_t utf8 = newlocale (LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  locale_t before = utf8 ? uselocale (utf8) : (locale_t)0;
  enum status s = read_one (path, output, wanted);
  if (utf8) {
    uselocale (before);
    freelocale (utf8);
  }
  return s;
}

enum status
import_packed_open (const struct import_job *job,
                    bool (*wanted) (const char *name), char **inputs)
{
  for (int i = 0; i < job->n_inputs; i++) {
    struct text root;
    text_init (&root);
    enum status s = read_utf8 (job->inputs[i], job->output, wanted);
    if (s == OK) {
      find_root (job->inputs[i], &root);
      s = mem_text (root.data, &inputs[i]);
    }
    text_clear (&root);
    TRY (s);
  }
  return OK;
}
