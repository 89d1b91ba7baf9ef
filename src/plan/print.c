/* plan/print.c -- a plan for people: windows in words, the timetable as a
 * picture, a list line by line. */
#include "base/memory.h"
#include "plan/plan_impl.h"
#include <string.h>

/* -- words -------------------------------------------------------------------
 */

/* "head 2", "0.5 head 1 + 0.5 head 2". */
static void
add_sum (struct text *out, int K, const double *weight)
{
  const char *between = "";

  for (int h = 0; h < K; h++) {
    if (weight[h] == 0)
      continue;
    text_add (out, "%s", between);
    if (weight[h] != 1)
      text_add (out, "%.6g ", weight[h]);
    text_add (out, "head %d", h);
    between = " + ";
  }
}

static void
add_head (struct text *out, const struct plan *p, int h)
{
  int first = p->window_first[h];

  text_add (out, "head %d ", h);
  if (p->head[h] != PLAN_ACTIVE) {
    text_add (out, p->head[h] == PLAN_WITNESS
                       ? "is a witness: trained, drives no stage\n"
                       : "is silent: no stage learns from it\n");
    return;
  }
  text_add (out, "drives stages");
  /* Stages inside the window may only hand the gradient on. */
  for (int k = first; k <= h; k++) {
    int end = k;
    if (p->route[k * p->K + h] == 0)
      continue;
    while (end < h && p->route[(end + 1) * p->K + h] != 0)
      end++;
    text_add (out, "%s %d..%d", k == first ? "" : ",", k, end);
    k = end;
  }
  if (first < h)
    text_add (out, "; gradients pass %d -> %d\n", h, first);
  else
    text_add (out, "; its gradient stays\n");
}

/* What stages do together at the end of a batch, and who waits for whom. */
static void
add_joint (const struct plan *p, struct text *out)
{
  const char *between = "stages";

  if (p->norms)
    text_add (out, "updates wait for the norms of their windows\n");
  if (!p->shares)
    return;
  for (int k = 0; k < p->K; k++)
    if (p->shares[k]) {
      text_add (out, "%s %d", between, k);
      between = ",";
    }
  text_add (out,
            " share a matrix of %s: once a batch its gradients go up and its "
            "values come down, and the next batch waits for them\n",
            text_bytes (p->matrix_bytes));
}

void
plan_print_windows (const struct plan *p, struct text *out)
{
  int acts, grads;

  for (int k = 0; k < p->K; k++) {
    text_add (out, "stage %d (rank %d) %s", k, p->rank_of[k],
              plan_learns (p, k) ? "learns from " : "is frozen");
    add_sum (out, p->K, p->route + k * p->K);
    text_add (out, "%s; %d %s, %d %s\n",
              plan_grows (p, k) ? " and from its output's size" : "",
              p->n_passes[k],
              p->n_passes[k] == 1 ? "backward pass" : "backward passes",
              p->n_slots[k], p->n_slots[k] == 1 ? "slot" : "slots");
  }
  for (int h = 0; h < p->K; h++)
    add_head (out, p, h);
  for (int b = p->K - 1; b > 0; b--)
    for (int i = 0; i < p->n_streams[b]; i++) {
      text_add (out, "gradient %d -> %d of ", b, b - 1);
      add_sum (out, p->K, p->stream[b][i].weight);
      text_add (out, "\n");
    }
  plan_messages (p, &acts, &grads);
  text_add (out,
            "messages per micro-batch: %d activations, %d gradients "
            "(one stage per rank)\n",
            acts, grads);
  add_joint (p, out);
}

/* -- picture -----------------------------------------------------------------
 */

struct gantt {
  const struct plan *p;
  int columns;      /* cells */
  int64_t cell;     /* ticks of a cell */
  int64_t *covered; /* n_pipe x columns: ticks of the letter there */
  char *letter;     /* n_pipe x columns */
};

static char
letter_of (const struct plan *p, const struct plan_op *op)
{
  switch (op->verb) {
  case PLAN_FORWARD:
    return 'F';
  case PLAN_HEAD:
  case PLAN_HEAD_WEIGHTS:
    return 'H';
  case PLAN_PASS:
    return p->pass[op->stage][op->pass].learn ? 'D' : 'r';
  case PLAN_WEIGHTS:
    return 'W';
  case PLAN_UPDATE:
    return 'u';
  case PLAN_GATHER:
  case PLAN_SPREAD:
    return 's';
  case PLAN_NORM:
    return 'n';
  default:
    return 0;
  }
}

/* A cell shows the operation that covers most of it, the first among equals. */
static void
draw (void *context, int rank, int64_t step, const struct plan_op *op,
      int64_t start, int64_t end)
{
  struct gantt *g = context;
  char letter = letter_of (g->p, op);

  (void)step;
  for (int64_t c = start / g->cell; c < g->columns && c * g->cell < end; c++) {
    int64_t from = c * g->cell, to = from + g->cell;
    int64_t share = (end < to ? end : to) - (start > from ? start : from);
    size_t i = (size_t)rank * (size_t)g->columns + (size_t)c;
    if (letter && share > g->covered[i]) {
      g->covered[i] = share;
      g->letter[i] = letter;
    }
  }
}

/* The width of a cell: the largest time that divides all durations when that
 * fits the line, so that a cell is one unit; else the line is the whole. */
static int64_t
cell_width (const struct plan *p, int64_t total, int columns)
{
  int64_t unit = 0;

  for (int r = 0; r < p->n_pipe; r++)
    for (int i = 0; i < p->rank[r].n_ops; i++) {
      int64_t a = plan_op_ticks (p, &p->rank[r].op[i]);
      while (a != 0) {
        int64_t rest = unit % a;
        unit = a;
        a = rest;
      }
    }
  if (unit > 0 && (total + unit - 1) / unit <= columns)
    return unit;
  int64_t width = (total + columns - 1) / columns;
  return width > 0 ? width : 1;
}

static enum status
picture (const struct plan *p, int n_steps, int columns, struct text *out)
{
  struct gantt g = {.p = p, .columns = columns};
  struct plan_note note = {draw, &g};
  size_t R = (size_t)p->n_pipe, cells = R * (size_t)columns;
  int64_t *end = NULL, *idle = NULL, total = 0;
  enum status s;

  TRY_GOTO (MEM_NEW (R * (size_t)n_steps, &end, "gantt"), done);
  TRY_GOTO (MEM_NEW ((size_t)p->K, &idle, "gantt"), done);
  TRY_GOTO (MEM_NEW (cells, &g.covered, "gantt"), done);
  TRY_GOTO (MEM_NEW (cells, &g.letter, "gantt"), done);
  memset (g.letter, '.', cells);
  TRY_GOTO (plan_simulate (p, n_steps, 0, NULL, end, idle, NULL), done);
  for (int r = 0; r < p->n_pipe; r++) {
    int64_t e = end[r * n_steps + n_steps - 1];
    total = e > total ? e : total;
  }
  g.cell = cell_width (p, total, columns);
  TRY_GOTO (plan_simulate (p, n_steps, 0, &note, end, idle, NULL), done);
  int used = (int)((total + g.cell - 1) / g.cell);
  for (int r = 0; r < p->n_pipe; r++)
    text_add (out, "rank %3d %.*s\n", r, used,
              g.letter + (size_t)r * (size_t)columns);
  text_add (out, "         one cell = %s, %d %s\n",
            text_seconds (plan_seconds (g.cell)), n_steps,
            n_steps == 1 ? "step" : "steps");
done:
  mem_free (&end);
  mem_free (&idle);
  mem_free (&g.covered);
  mem_free (&g.letter);
  return s;
}

void
plan_print_gantt (const struct plan *p, int n_steps, int columns,
                  struct text *out)
{
  const int margin = 9; /* of a row */

  columns = columns < margin + 20 ? 20 : columns - margin;
  if (picture (p, n_steps < 1 ? 1 : n_steps, columns, out) != OK) {
    text_add (out, "(no picture: %s)\n", fail_message ());
    return;
  }
  text_add (out,
            "F forward  H head  D learning pass  r relay  W weight "
            "gradients\nu update  %s%s. idle\n",
            p->norms ? "n norms  " : "", p->shares ? "s shared matrix  " : "");
}

/* -- list --------------------------------------------------------------------
 */

void
plan_print_list (const struct plan *p, int rank, struct text *out)
{
  const struct plan_rank *list = &p->rank[rank];
  const struct {
    const char *name;
    size_t at;
  } field[] = {
      {"slot", offsetof (struct plan_op, slot)},
      {"source", offsetof (struct plan_op, source)},
      {"pair", offsetof (struct plan_op, pair)},
      {"pass", offsetof (struct plan_op, pass)},
      {"stream", offsetof (struct plan_op, stream)},
      {"to", offsetof (struct plan_op, slot_to)},
      {"peer", offsetof (struct plan_op, peer)},
      {"window", offsetof (struct plan_op, window)},
      {"tag", offsetof (struct plan_op, tag)},
  };

  text_add (out, "rank %d: stages %d..%d, %d operations a step\n", rank,
            list->first_stage, list->end_stage - 1, list->n_ops);
  for (int i = 0; i < list->n_ops; i++) {
    const struct plan_op *op = &list->op[i];
    text_add (out, "%4d  %-12s stage %d", i, plan_verb_name (op->verb),
              op->stage);
    if (op->micro >= 0)
      text_add (out, " micro %d", op->micro);
    for (size_t j = 0; j < sizeof field / sizeof *field; j++) {
      int value;
      memcpy (&value, (const char *)op + field[j].at, sizeof value);
      if (value >= 0)
        text_add (out, " %s %d", field[j].name, value);
    }
    text_add (out, "%s%s\n", op->joined ? " joined" : "",
              op->ahead ? " (for the next step)" : "");
  }
}
