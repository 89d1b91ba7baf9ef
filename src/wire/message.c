/* wire/message.c -- tensors from stage to stage.
 *
 * A message is one block: a header in the 64 bytes in front of the data, then
 * the data.  The header says what the message is, and the receiver compares.
 * Requests live in a table that is made when the wire opens; it may grow, but
 * not inside a training step, where memory is closed.
 */
#include "base/clock.h"
#include "base/fault.h"
#include "base/memory.h"
#include "base/place.h"
#include "wire/wire_impl.h"
#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#define MAGIC UINT64_C (0x3165726977206c69)
#define REQUESTS 4096

struct header {
  uint64_t magic;
  struct wire_id id;
  uint64_t bytes; /* of the data */
  double sent_s;  /* on the clock of world rank 0 */
  struct tensor_form form;
};
_Static_assert(sizeof (struct header) <= TENSOR_HEADER, "the header's room");

/* -- waiting --------------------------------------------------------------- */

void
wire_pause_begin (struct wire_pause *p)
{
  p->start_s = clock_now_s ();
}

/* A message that is nearly there comes within the first 50 us: only yield then.
 * Later sleep a sixteenth of the time waited, which delays a message by a few
 * per cent at most, and never longer than 100 us. */
void
wire_pause_step (struct wire_pause *p)
{
  double waited = clock_now_s () - p->start_s;
  if (waited < 50e-6) {
    sched_yield ();
    return;
  }
  double nap = waited / 16;
  if (nap > 100e-6)
    nap = 100e-6;
  struct timespec t = {.tv_nsec = (long)(nap * 1e9)};
  nanosleep (&t, NULL);
}

void
wire_rest (double start_s)
{
  struct wire_pause pause = {.start_s = start_s};
  wire_pause_step (&pause);
}

void
wire_complete (struct wire *w, MPI_Request *request)
{
  const struct wire_awaited all = {.kind = WIRE_AWAIT_ALL};
  wire_complete_with (w, request, &all);
}

void
wire_complete_with (struct wire *w, MPI_Request *request,
                    const struct wire_awaited *whom)
{
  struct wire_pause pause;
  int done = 0, told = 0;
  wire_pause_begin (&pause);
  for (;; told++) {
    MPI_Test (request, &done, MPI_STATUS_IGNORE);
    if (done)
      break;
    if (told == 0)
      wire_await (whom);
    wire_poll (w);
    wire_pause_step (&pause);
  }
  if (told > 0)
    wire_await_end ();
  place_move ();
}

/* -- the table ------------------------------------------------------------- */

static enum status
table_grow (struct wire *w, int n)
{
  size_t old = (size_t)w->n_requests, more = (size_t)n;
  TRY (mem_grow (&w->request, old, more, sizeof *w->request, "requests"));
  TRY (mem_grow (&w->spare, old, more, sizeof *w->spare, "requests"));
  TRY (mem_grow (&w->open, old, more, sizeof *w->open, "requests"));
  for (int i = n - 1; i >= w->n_requests; i--)
    w->spare[w->n_spare++] = i;
  w->n_requests = n;
  return OK;
}

enum status
wire_message_open (struct wire *w)
{
  return table_grow (w, REQUESTS);
}

static enum status
request_new (struct wire *w, const struct tensor *t, int peer, int tag,
             int *out)
{
  if (w->n_spare == 0)
    TRY (table_grow (w, w->n_requests > 0 ? 2 * w->n_requests : REQUESTS));
  int i = w->spare[--w->n_spare];
  w->request[i] = (struct wire_request){
      .peer = peer,
      .tag = tag,
      .start = (char *)t->data - TENSOR_HEADER,
      .bytes = t->bytes,
      .form = t->form,
      .mpi = MPI_REQUEST_NULL,
      .place = w->n_open,
  };
  w->open[w->n_open++] = i;
  *out = i;
  return OK;
}

/* Takes a finished request out of the list of open ones: the last one moves
 * into its place, so that this costs the same however many there are. */
static void
request_done (struct wire *w, int i)
{
  struct wire_request *r = &w->request[i];
  int last = w->open[--w->n_open];
  w->open[r->place] = last;
  w->request[last].place = r->place;
  r->done = true;
  place_move ();
}

static bool
request_test (struct wire *w, int i)
{
  struct wire_request *r = &w->request[i];
  int done = r->done;
  if (done)
    return true;
  MPI_Test (&r->mpi, &done, MPI_STATUS_IGNORE);
  if (done)
    request_done (w, i);
  return done != 0;
}

static void
request_free (struct wire *w, int *request)
{
  w->request[*request].kind = REQUEST_FREE;
  w->spare[w->n_spare++] = *request;
  *request = WIRE_NONE;
}

/* MPI_Test lets MPI make progress on everything, not on this request alone.  So
 * one test of an unfinished request is enough for a round. */
void
wire_message_move (struct wire *w)
{
  for (int i = w->n_open; i-- > 0;)
    if (!request_test (w, w->open[i]))
      return;
}

/* -- sending and receiving ------------------------------------------------- */

/* Header and data as MPI counts them: lines of 64 bytes, so that the count
 * stays an int far beyond 2 GiB.  Where the last line is not full the whole is
 * a type of its own, made for this message; a short one is counted in bytes. */
struct message_size {
  int count;
  MPI_Datatype type;
  bool own; /* the type has to be freed */
};

#define BYTES_MOST ((size_t)1 << 16)

static void
message_type (const struct wire *w, int lines, int rest, MPI_Datatype *out)
{
  const int n[2] = {lines, rest};
  const MPI_Aint at[2] = {0, (MPI_Aint)lines * TENSOR_HEADER};
  const MPI_Datatype type[2] = {w->line, MPI_BYTE};
  MPI_Type_create_struct (2, n, at, type, out);
  MPI_Type_commit (out);
}

static enum status
message_fits (const struct tensor *t)
{
  if (t->bytes / TENSOR_HEADER < INT_MAX)
    return OK;
  return fail (E_LIMIT, "a message of %zu bytes is more than MPI can count",
               t->bytes);
}

static void
message_measure (const struct wire *w, const struct tensor *t,
                 struct message_size *out)
{
  size_t bytes = t->bytes + TENSOR_HEADER;
  size_t lines = bytes / TENSOR_HEADER, rest = bytes % TENSOR_HEADER;
  *out = (struct message_size){.count = (int)lines, .type = w->line};
  if (rest > 0 && bytes <= BYTES_MOST) {
    *out = (struct message_size){.count = (int)bytes, .type = MPI_BYTE};
  } else if (rest > 0) {
    out->count = 1;
    out->own = true;
    message_type (w, (int)lines, (int)rest, &out->type);
  }
}

/* MPI keeps the type as long as the message needs it. */
static void
message_type_free (struct message_size *size)
{
  if (size->own)
    MPI_Type_free (&size->type);
}

/* The communicator of a window or of a traffic, and the peer's rank in it. */
static MPI_Comm
message_way (const struct wire *w, int way, int peer, int *rank)
{
  CHECK (-WIRE_WAYS <= way && way < w->n_windows,
         "way %d of %d windows; wire_windows was not called", way,
         w->n_windows);
  CHECK (w->alone || w->pipe != MPI_COMM_NULL, "a message before wire_grid");
  CHECK (0 <= peer && peer < w->pipe_size && peer != w->pipe_rank,
         "pipe rank %d of %d has no message for pipe rank %d", w->pipe_rank,
         w->pipe_size, peer);
  *rank = peer;
  if (way < 0)
    return w->way[-1 - way];
  const struct wire_window *v = &w->window[way];
  CHECK (v->comm != MPI_COMM_NULL && v->first <= peer && peer <= v->last,
         "window %d does not join pipe ranks %d and %d", way, w->pipe_rank,
         peer);
  *rank = peer - v->first;
  return v->comm;
}

static enum status
tag_check (const struct wire *w, int tag)
{
  CHECK (tag >= 0, "a message under tag %d", tag);
  return tag <= w->tag_most ? OK
                            : wire_tags (w, tag + INT64_C (1), "a message");
}

/* The header is written into the room in front of the data, so that both leave
 * as one message without a copy. */
enum status
wire_send (struct wire *w, int way, const struct tensor *t, int peer, int tag,
           struct wire_id id, int *request)
{
  struct message_size size;
  int rank, i = 0;
  MPI_Comm comm = message_way (w, way, peer, &rank);
  if (fault_here ("message"))
    return fail (E_FAULT, "a message to pipe rank %d was lost (planted)", peer);
  TRY (tag_check (w, tag));
  TRY (message_fits (t));
  TRY (request_new (w, t, peer, tag, &i));
  message_measure (w, t, &size);
  struct wire_request *r = &w->request[i];
  struct header head = {.magic = MAGIC,
                        .id = id,
                        .bytes = t->bytes,
                        .sent_s = clock_now_s () + w->clock_offset_s,
                        .form = t->form};
  memset (r->start, 0, TENSOR_HEADER);
  memcpy (r->start, &head, sizeof head);
  r->kind = REQUEST_SEND;
  if (fault_here ("hang-mpi"))
    MPI_Recv (NULL, 0, MPI_BYTE, 0, 0, MPI_COMM_SELF, MPI_STATUS_IGNORE);
  if (!fault_here ("hang-message"))
    MPI_Isend (r->start, size.count, size.type, rank, tag, comm, &r->mpi);
  message_type_free (&size);
  w->sent_bytes += (double)t->bytes;
  w->sent_messages++;
  *request = i;
  return OK;
}

enum status
wire_post (struct wire *w, int way, const struct tensor *t, int peer, int tag,
           int *request)
{
  struct message_size size;
  int rank, i = 0;
  MPI_Comm comm = message_way (w, way, peer, &rank);
  TRY (tag_check (w, tag));
  TRY (message_fits (t));
  TRY (request_new (w, t, peer, tag, &i));
  message_measure (w, t, &size);
  struct wire_request *r = &w->request[i];
  r->kind = REQUEST_POST;
  MPI_Irecv (r->start, size.count, size.type, rank, tag, comm, &r->mpi);
  message_type_free (&size);
  *request = i;
  return OK;
}

static enum status
form_differs (const struct wire_request *r, const struct header *got)
{
  char came[TENSOR_FORM], awaited[TENSOR_FORM];
  tensor_form_text (got->form, came);
  tensor_form_text (r->form, awaited);
  return fail (E_PROTOCOL,
               "message from pipe rank %d under tag %d: %s came; %s was "
               "awaited",
               r->peer, r->tag, came, awaited);
}

static enum status
header_compare (const struct wire_request *r, const struct wire_id *want,
                const struct header *got)
{
  if (got->magic != MAGIC)
    return fail (E_PROTOCOL,
                 "what came from pipe rank %d under tag %d is no message of "
                 "ours",
                 r->peer, r->tag);
  if (got->bytes != r->bytes)
    return fail (E_PROTOCOL,
                 "message from pipe rank %d under tag %d: %" PRIu64
                 " bytes came, %zu were awaited",
                 r->peer, r->tag, got->bytes, r->bytes);
  if (!tensor_form_same (got->form, r->form))
    return form_differs (r, got);
  if (want == NULL ||
      (got->id.step == want->step && got->id.micro == want->micro &&
       got->id.border == want->border && got->id.stream == want->stream))
    return OK;
  return fail (E_PROTOCOL,
               "message from pipe rank %d under tag %d: step %" PRId64
               ", micro-batch %d, border %d, stream %d came; step %" PRId64
               ", micro-batch %d, border %d, stream %d were awaited",
               r->peer, r->tag, got->id.step, got->id.micro, got->id.border,
               got->id.stream, want->step, want->micro, want->border,
               want->stream);
}

/* The part of [from, to] that lies behind the moment of sending. */
static double
transfer_time (const struct wire *w, const struct header *head, double from,
               double to)
{
  double sent = head->sent_s - w->clock_offset_s;
  if (sent <= from)
    return to - from;
  return sent < to ? to - sent : 0;
}

static void
await_message (const struct wire *w, const struct wire_request *r,
               const struct wire_id *id)
{
  struct wire_awaited a = {.kind = WIRE_AWAIT_MESSAGE,
                           .rank = w->replica * w->pipe_size + r->peer,
                           .tag = r->tag,
                           .bytes = r->bytes,
                           .sends = r->kind == REQUEST_SEND,
                           .named = id != NULL};
  if (id)
    a.id = *id;
  wire_await (&a);
}

enum status
wire_wait (struct wire *w, int *request, const struct wire_id *id,
           double *late_s)
{
  if (late_s != NULL)
    *late_s = 0;
  if (*request == WIRE_NONE)
    return OK;
  CHECK (*request >= 0 && *request < w->n_requests &&
             w->request[*request].kind != REQUEST_FREE,
         "wire_wait for request %d, which is not under way", *request);
  /* The table may move when it grows, but not during this call. */
  const struct wire_request *r = &w->request[*request];
  enum status s = OK;
  struct wire_pause pause;
  wire_pause_begin (&pause);
  double end_s = pause.start_s;
  if (!request_test (w, *request)) {
    await_message (w, r, id);
    do {
      wire_pause_step (&pause);
      wire_poll (w);
    } while (!request_test (w, *request));
    end_s = clock_now_s ();
    wire_await_end ();
  }
  if (r->kind == REQUEST_POST) {
    struct header head;
    memcpy (&head, r->start, sizeof head);
    s = header_compare (r, id, &head);
    if (s == OK && late_s != NULL)
      *late_s = transfer_time (w, &head, pause.start_s, end_s);
  } else if (late_s != NULL) {
    *late_s = end_s - pause.start_s;
  }
  request_free (w, request);
  return s;
}

void
wire_cancel (struct wire *w, int *request)
{
  if (*request == WIRE_NONE)
    return;
  CHECK (*request >= 0 && *request < w->n_requests,
         "wire_cancel for request %d, which is not under way", *request);
  struct wire_request *r = &w->request[*request];
  CHECK (r->kind == REQUEST_POST, "only a posted receive can be withdrawn");
  if (!request_test (w, *request)) {
    MPI_Cancel (&r->mpi);
    struct wire_pause pause;
    for (wire_pause_begin (&pause); !request_test (w, *request);)
      wire_pause_step (&pause);
  }
  request_free (w, request);
}

int
wire_under_way (const struct wire *w)
{
  int n = w->n_reducing + w->n_balloting;
  return n + w->n_requests - w->n_spare;
}

void
wire_traffic (const struct wire *w, double *bytes, int64_t *messages)
{
  *bytes = w->sent_bytes;
  *messages = w->sent_messages;
}

void
wire_message_close (struct wire *w)
{
  /* Only a run that failed leaves something open.  Receives are withdrawn; a
   * send cannot be, so MPI finishes it or not. */
  while (w->n_open > 0) {
    int i = w->open[w->n_open - 1];
    if (w->request[i].kind == REQUEST_POST) {
      wire_cancel (w, &i);
    } else {
      MPI_Request_free (&w->request[i].mpi);
      request_done (w, i);
    }
  }
  mem_free (&w->request);
  mem_free (&w->spare);
  mem_free (&w->open);
  w->n_requests = w->n_spare = 0;
}
