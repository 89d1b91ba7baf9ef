/* report/alike.c -- similarity (linear CKA) of the stages of a network, and of
 * those of two networks, as maps.
 *
 * Many groups have many pairs: then only those with the last group (of the
 * longest reach) are shown.  The table has all of them.
 */
#include "report/report_impl.h"

#include <stdio.h>

#define MOST_PAIRS 12
#define NUMBERED 12 /* stages up to which cells have room for a number */
#define LETTERS 30

static bool
is_drawn (const struct report *r, const struct likeness *m, bool all)
{
  int last = 0;
  for (int i = 0; i < r->n_maps; i++)
    if (r->map[i].of[1] > last)
      last = r->map[i].of[1];
  return r->group[m->of[0]].style >= 0 && r->group[m->of[1]].style >= 0 &&
         (all || m->within || m->of[1] == last);
}

static bool
draw_all (const struct report *r)
{
  int pairs = 0;
  for (int i = 0; i < r->n_maps; i++)
    pairs += !r->map[i].within && is_drawn (r, &r->map[i], true);
  return pairs <= MOST_PAIRS;
}

static void
draw_names (const struct likeness *m, double left, double top, double cell,
            struct text *out)
{
  char words[16];
  int every = 1; /* stages that have a name */
  while (cell * every < 20)
    every++;
  for (int k = 0; k < m->n[1]; k += every) {
    snprintf (words, sizeof words, "%d", k);
    svg_text (out, left + cell * (k + 0.5), top - 6, "middle", "tick", words);
  }
  for (int k = 0; k < m->n[0]; k += every) {
    snprintf (words, sizeof words, "%d", k);
    svg_text (out, left - 6, top + cell * (k + 0.5) + 4, "end", "tick", words);
  }
}

static void
draw_map (struct report *r, const struct likeness *m, struct text *out)
{
  int most = m->n[0] > m->n[1] ? m->n[0] : m->n[1];
  double cell = most <= NUMBERED ? 34 : fmax (34.0 * NUMBERED / most, 6);
  double left = 24, top = 58;
  const char *down = svg_short (&r->pool, r->group[m->of[0]].label, LETTERS);
  const char *across =
      svg_short (&r->pool, r->group[m->of[1]].label, LETTERS - 6);
  if (m->within)
    across = "between its stages";
  else
    across = pool_text (&r->pool, "across: %s", across);
  double width = fmax (fmax (svg_width (down, 12), svg_width (across, 11)) + 8,
                       left + cell * m->n[1] + 4);
  double height = top + cell * m->n[0] + 6;
  svg_begin (out, width, height);
  text_add (out, "linear CKA</title>\n");
  svg_text (out, 4, 13, "start", "name", down);
  svg_text (out, 4, 29, "start", "tick", across);
  draw_names (m, left, top, cell, out);
  for (int i = 0; i < m->n[0] * m->n[1]; i++) {
    const double box[] = {left + cell * (i % m->n[1]),
                          top + cell * (i / m->n[1]), cell - 1, cell - 1};
    heat_cell (out, m->value[i].mean, &(struct scale){0, 1, 1, 2},
               most <= NUMBERED, box);
  }
  svg_end (out);
}

void
picture_alike (struct report *r, struct text *out)
{
  bool all = draw_all (r);
  if (r->n_maps == 0)
    return;
  text_add (out,
            "<figure id=\"cka\"><figcaption>How similar the outputs of two "
            "stages are (linear CKA; 1: the same up to rotation and "
            "scale): of the stages of one network, and of two networks%s. "
            "Means over runs. From 0, dark, to 1, bright.",
            all ? "" : ", each against the last");
  card_cuts (r, out);
  text_add (out, "</figcaption>\n");
  for (int within = 1; within >= 0; within--) {
    text_add (out, "<div class=\"row\">");
    for (int i = 0; i < r->n_maps; i++)
      if (r->map[i].within == within && is_drawn (r, &r->map[i], all))
        draw_map (r, &r->map[i], out);
    text_add (out, "</div>\n");
  }
  text_add (out, "</figure>\n");
}

void
alike_print (struct report *r, struct text *out)
{
  if (r->n_maps > 0)
    text_add (out, "Similarity of stages (linear CKA)\n");
  for (int i = 0; i < r->n_maps; i++) {
    const struct likeness *m = &r->map[i];
    if (!is_drawn (r, m, draw_all (r)))
      continue;
    escape_plain (r->group[m->of[0]].label, out);
    text_add (out, m->within ? ", between its stages" : " (down) against ");
    if (!m->within)
      escape_plain (r->group[m->of[1]].label, out);
    text_add (out, "\n     ");
    for (int k = 0; k < m->n[1]; k++)
      text_add (out, " %5d", k);
    for (int k = 0; k < m->n[0] * m->n[1]; k++) {
      if (k % m->n[1] == 0)
        text_add (out, "\n%5d", k / m->n[1]);
      text_add (out, " %5.2f", m->value[k].mean);
    }
    text_add (out, "\n");
  }
  if (r->n_maps > 0)
    text_add (out, "\n");
}
