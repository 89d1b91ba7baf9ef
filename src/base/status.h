/* base/status.h -- how a failure is named, kept and passed up.
 *
 * A function that can fail returns an enum status and hands results out through
 * pointers, last, and only on success.  fail () is called where the trouble is
 * first known: it keeps the text, file and line.  TRY passes a status up in
 * silence.  Who prints: the fence (wire_agree), wire_abort, or main; nobody
 * else.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

/* X (name, exit code, text): later entries are worse; wire_agree takes the
 * worst of all ranks.  Exit codes are those of the manual page. */
#define STATUS_LIST(X)                                          \
  X (OK, 0, "ok")                                               \
  X (E_DIFFER, 1, "what was compared differs")                  \
  X (E_STOPPED, 75, "stopped early, state saved: submit again") \
  X (E_STUCK, 77, "no progress over several restarts")          \
  X (E_USAGE, 64, "wrong use")                                  \
  X (E_CONFIG, 64, "wrong configuration")                       \
  X (E_DATA, 65, "bad data set")                                \
  X (E_CHECKPOINT, 65, "bad checkpoint or parameter file")      \
  X (E_MISSING, 69, "a file or resource is missing")            \
  X (E_MEMORY, 69, "not enough memory")                         \
  X (E_IO, 74, "reading or writing failed")                     \
  X (E_NUMBERS, 76, "the numbers failed (loss not finite)")     \
  X (E_UNSUPPORTED, 69, "the library does not offer this")      \
  X (E_LIMIT, 70, "a size beyond a limit")                      \
  X (E_SHAPE, 70, "shapes do not fit")                          \
  X (E_PROTOCOL, 70, "ranks disagree")                          \
  X (E_QUIET, 70, "nothing has moved for too long")             \
  X (E_FAULT, 70, "internal fault")

enum status {
#define X(name, code, text) name,
  STATUS_LIST (X)
#undef X
      STATUS_COUNT
};

/* The text and the process exit code of a status.  Local; never fail. */
const char *
status_text (enum status s);
int
status_exit (enum status s);

/* Keep a formatted message (at most 2 KiB) with file and line, and return s.
 * A second fail () before fail_clear () keeps the first message: the first is
 * nearest to the cause.  Thread-safe: each thread keeps its own. */
enum status
status_fail (enum status s, const char *file, int line, const char *fmt, ...)
    __attribute__ ((format (printf, 4, 5)));
#define fail(s, ...) status_fail ((s), __FILE__, __LINE__, __VA_ARGS__)

/* The kept message ("" when none); where it was kept, as "file:line". */
const char *
fail_message (void);
const char *
fail_where (void);
void
fail_clear (void);
/* Replace the kept message by one that came from elsewhere (another rank,
 * another thread). */
void
fail_adopt (const char *message, const char *where);

#define TRY(call)                     \
  do {                                \
    enum status try_status_ = (call); \
    if (try_status_ != OK)            \
      return try_status_;             \
  } while (0)

/* As TRY, but jumps to a clean-up label; needs `enum status s` in scope. */
#define TRY_GOTO(call, label) \
  do {                        \
    s = (call);               \
    if (s != OK)              \
      goto label;             \
  } while (0)

/* Our own mistakes: always on.  Prints place and text, then calls the abort
 * hook (wire fills it; without one, abort ()).  Does not return. */
#define CHECK(cond, ...)                                            \
  do {                                                              \
    if (!(cond))                                                    \
      status_check_failed (#cond, __FILE__, __LINE__, __VA_ARGS__); \
  } while (0)
void
status_check_failed (const char *cond, const char *file, int line,
                     const char *fmt, ...)
    __attribute__ ((noreturn, format (printf, 4, 5)));

#ifdef IL_DEBUG
#define ASSERT(cond) CHECK (cond, "assertion")
#else
#define ASSERT(cond) ((void)0)
#endif

/* The end of all ranks where a caller that could pass s up is missing, as in
 * text_add.  Does not return. */
void
status_end (enum status s) __attribute__ ((noreturn));

/* The hook by which trouble that cannot wait ends all ranks.  NULL: abort ().
 */
void
status_abort_hook (void (*hook) (enum status s));

#endif
