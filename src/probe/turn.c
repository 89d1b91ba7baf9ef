/* probe/turn.c -- brings rows from the ranks that computed them into matrices
 * that are spread over the grid.
 *
 * Rows are collected and exchanged in turns, many at once.  The ranks to which
 * the parts of a row go follow from its stage and sample alone.  So each rank
 * tells which rows it gives, and all work out who sends what to whom: no
 * addresses travel with the numbers.
 */
#include "probe/probe_impl.h"

#include <math.h>
#include <string.h>

static struct view *
view_of (struct probe *p, int stage)
{
  struct side *side = &p->side[p->n_sides - 1];
  CHECK (stage >= 0 && stage < side->n_stages, "stage %d of %d", stage,
         side->n_stages);
  return &p->view[side->first + stage];
}

enum status
probe_rows (struct probe *p, int stage, int64_t first, int64_t n,
            const float *rows)
{
  size_t count = (size_t)n * (size_t)view_of (p, stage)->width;
  CHECK (p->n_entries < p->most_entries, "probe_turn was not called");
  CHECK (first >= 0 && first + n <= p->n, "samples beyond the last");
  if (p->n_pending + count > p->pending_room) {
    TRY (mem_grow (&p->pending, p->pending_room, p->n_pending + count,
                   sizeof *p->pending, "rows under way"));
    p->pending_room = p->n_pending + count;
  }
  memcpy (p->pending + p->n_pending, rows, count * sizeof *rows);
  for (size_t i = 0; !p->not_finite && i < count; i++)
    if (!isfinite (rows[i])) {
      p->not_finite = true;
      p->bad_stage = stage;
    }
  p->n_pending += count;
  p->entry[p->n_entries++] =
      (struct entry){.stage = stage, .n = (int32_t)n, .first = first};
  p->rows_seen += n;
  return OK;
}

/* -- a turn -----------------------------------------------------------------
 */

static int
row_owner (const struct probe *p, int64_t row)
{
  return (int)(row / p->grid.block % p->grid.n_rows);
}

/* Rows of an entry that go to a row of the grid. */
static size_t
rows_for (const struct probe *p, const struct entry *e, int place)
{
  size_t n = 0;
  for (int i = 0; i < e->n; i++)
    n += row_owner (p, p->row[e->first + i]) == place;
  return n;
}

/* The columns of one row that grid column `place` has, to out. */
static size_t
pick (const struct probe *p, const float *row, int64_t width, int place,
      float *out)
{
  int block = p->grid.block;
  size_t n = 0;
  for (int64_t j = (int64_t)place * block; j < width;
       j += (int64_t)block * p->grid.n_cols) {
    size_t part = (size_t)(width - j < block ? width - j : block);
    memcpy (out + n, row + j, part * sizeof *row);
    n += part;
  }
  return n;
}

/* Everything for one rank, in the order of the entries. */
static size_t
pack (struct probe *p, int rank, float *out)
{
  const float *row = p->pending;
  size_t n = 0;
  for (int e = 0; e < p->n_entries; e++) {
    const struct entry *t = &p->entry[e];
    int64_t width = view_of (p, t->stage)->width;
    for (int i = 0; i < t->n; i++, row += width)
      if (row_owner (p, p->row[t->first + i]) == rank / p->grid.n_cols)
        n += pick (p, row, width, rank % p->grid.n_cols, out + n);
  }
  return n;
}

/* Entries as ranks tell them: how many, then stage, first and n of each. */
static size_t
told_size (const struct probe *p)
{
  return 1 + 3 * (size_t)p->most_entries;
}

static void
tell_entries (const struct probe *p, double *told)
{
  *told++ = p->n_entries;
  for (int i = 0; i < p->n_entries; i++) {
    *told++ = p->entry[i].stage;
    *told++ = (double)p->entry[i].first;
    *told++ = p->entry[i].n;
  }
}

static struct entry
told_entry (const double *told, int i)
{
  const double *t = told + 1 + 3 * i;
  return (struct entry){
      .stage = (int32_t)t[0], .first = (int64_t)t[1], .n = (int32_t)t[2]};
}

/* What rank gave, into this rank's matrices. */
static void
unpack (struct probe *p, const double *told, const float *in)
{
  for (int i = 0; i < (int)told[0]; i++) {
    struct entry e = told_entry (told, i);
    struct matrix *x = &view_of (p, e.stage)->x;
    for (int64_t k = e.first; k < e.first + e.n; k++) {
      int64_t row = p->row[k];
      if (row_owner (p, row) != p->grid.row)
        continue;
      int local = matrix_row_local (x, (int)row);
      for (int j = 0; j < x->cols; j++)
        matrix_set (x, local, j, *in++);
    }
  }
}

/* How much comes from a rank that told its entries so. */
static size_t
expected (struct probe *p, const double *told)
{
  size_t n = 0;
  for (int i = 0; i < (int)told[0]; i++) {
    struct entry e = told_entry (told, i);
    n += rows_for (p, &e, p->grid.row) * (size_t)view_of (p, e.stage)->x.cols;
  }
  return n;
}

struct turn {
  size_t *n_send, *n_receive; /* of each rank */
  double *mine, *told;        /* entries: of this rank, of all */
  float *send, *receive;
};

static enum status
turn_open (struct probe *p, struct turn *t)
{
  size_t size = (size_t)wire_size (p->wire), n = p->n_pending;
  TRY (MEM_NEW (size, &t->n_send, "a turn"));
  TRY (MEM_NEW (size, &t->n_receive, "a turn"));
  TRY (MEM_NEW (told_size (p), &t->mine, "a turn"));
  TRY (MEM_NEW (told_size (p) * size, &t->told, "a turn"));
  return MEM_NEW (n > 0 ? n : 1, &t->send, "rows to send");
}

static void
turn_close (struct turn *t)
{
  mem_free (&t->n_send);
  mem_free (&t->n_receive);
  mem_free (&t->mine);
  mem_free (&t->told);
  mem_free (&t->send);
  mem_free (&t->receive);
}

static enum status
turn_rows (struct probe *p, struct turn *t)
{
  int size = wire_size (p->wire);
  size_t sent = 0, coming = 0, n_told = told_size (p);
  tell_entries (p, t->mine);
  TRY (wire_all_gather (p->wire, t->mine, (int)n_told, t->told));
  for (int r = 0; r < size; r++) {
    t->n_send[r] = pack (p, r, t->send + sent);
    sent += t->n_send[r];
    t->n_receive[r] = expected (p, t->told + (size_t)r * n_told);
    coming += t->n_receive[r];
  }
  CHECK (sent == p->n_pending, "%zu numbers for %zu", sent, p->n_pending);
  TRY (MEM_NEW (coming > 0 ? coming : 1, &t->receive, "rows that arrive"));
  TRY (wire_exchange (p->wire, t->send, t->n_send, t->receive, t->n_receive));
  coming = 0;
  for (int r = 0; r < size; r++) {
    unpack (p, t->told + (size_t)r * n_told, t->receive + coming);
    coming += t->n_receive[r];
  }
  p->n_entries = 0;
  p->n_pending = 0;
  return OK;
}

enum status
probe_turn (struct probe *p)
{
  struct turn t = {0};
  enum status e = turn_open (p, &t);
  if (e == OK)
    e = turn_rows (p, &t);
  if (e != OK)
    wire_abort (e); /* the others are on their way into the exchange */
  turn_close (&t);
  return OK;
}
