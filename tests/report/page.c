/* ranks: 0 */
/* tests/report/page.c -- the page: markup that closes what it opens, texts of
 * pictures that do not touch, names that are no markup.
 *
 * A small reader of its own goes over the page; the width of a text is counted
 * in letters, not taken from the room that drew it.
 */
#include "base/utf8.h"
#include "tests/report/made.h"
#include "tests/tap.h"

/* -- markup ---------------------------------------------------------------- */

#define DEPTH 64

static bool
is_name (char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == ':';
}

static bool
good_entity (const char *p)
{
  static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;",
                                      "&#39;"};
  for (int i = 0; i < 5; i++)
    if (strncmp (p, known[i], strlen (known[i])) == 0)
      return true;
  return false;
}

/* name="value" ... up to > or />; NULL: not so. */
static const char *
over_attributes (const char *p, bool *closed)
{
  for (;;) {
    p += strspn (p, " \n");
    if (strncmp (p, "/>", 2) == 0) {
      *closed = true;
      return p + 2;
    }
    if (*p == '>') {
      *closed = false;
      return p + 1;
    }
    const char *name = p;
    while (is_name (*p))
      p++;
    if (p == name || strncmp (p, "=\"", 2) != 0)
      return NULL;
    for (p += 2; *p != '"'; p++)
      if (!*p || *p == '<' || (*p == '&' && !good_entity (p)))
        return NULL;
    p++;
  }
}

/* Is it well-formed?  Where not, *where is at the offence. */
static bool
well_formed (const char *page, const char **where)
{
  char open[DEPTH][32];
  int depth = 0;
  for (const char *p = page; *p;) {
    *where = p;
    if (*p == '&' && !good_entity (p))
      return false;
    if (*p != '<') {
      p++;
      continue;
    }
    if (strncmp (p, "<!DOCTYPE html>", 15) == 0 && p == page) {
      p += 15;
      continue;
    }
    bool end = p[1] == '/', closed = false;
    const char *name = p + 1 + end;
    size_t n = 0;
    while (is_name (name[n]))
      n++;
    if (n == 0 || n >= sizeof open[0])
      return false;
    if (end) {
      if (depth == 0 || name[n] != '>' || strlen (open[depth - 1]) != n ||
          strncmp (open[depth - 1], name, n) != 0)
        return false;
      depth--;
      p = name + n + 1;
      continue;
    }
    p = over_attributes (name + n, &closed);
    if (!p)
      return false;
    if (!closed) {
      if (depth == DEPTH)
        return false;
      snprintf (open[depth++], sizeof open[0], "%.*s", (int)n, name);
    }
  }
  return depth == 0;
}

/* -- texts of pictures ----------------------------------------------------- */

struct box {
  double left, right, top, bottom;
  char words[64];
};

static double
attribute (const char *tag, const char *end, const char *name, double none)
{
  const char *at = strstr (tag, name);
  return at && at < end ? strtod (at + strlen (name), NULL) : none;
}

static bool
has (const char *tag, const char *end, const char *words)
{
  const char *at = strstr (tag, words);
  return at && at < end;
}

static void
read_box (const char *tag, struct box *b)
{
  const char *end = strchr (tag, '>');
  const char *close = strchr (end, '<');
  double size =
      has (tag, end, "class=\"label\"") || has (tag, end, "class=\"name\"")
          ? 12
          : 11;
  int letters = 0;
  for (const char *p = end + 1; p < close; p++) {
    letters += ((unsigned char)*p & 0xc0) != 0x80;
    if (*p == '&')
      p += strcspn (p, ";");
  }
  double x = attribute (tag, end, "x=\"", 0),
         y = attribute (tag, end, "y=\"", 0);
  double width = 0.56 * size * letters;
  b->left = has (tag, end, "\"end\"")      ? x - width
            : has (tag, end, "\"middle\"") ? x - width / 2
                                           : x;
  b->right = b->left + width;
  b->top = y - 0.75 * size;
  b->bottom = y + 0.2 * size;
  snprintf (b->words, sizeof b->words, "%.*s", (int)(close - end - 1), end + 1);
}

static bool
touch (const struct box *a, const struct box *b)
{
  return a->left < b->right && b->left < a->right && a->top < b->bottom &&
         b->top < a->bottom;
}

/* Texts of one picture; how many touch another or leave the picture. */
static int
bad_texts (const char *svg, const char *end, int *texts, char said[200])
{
  static struct box box[4000];
  int n = 0, bad = 0;
  double width = attribute (svg, end, "width=\"", 0);
  double height = attribute (svg, end, "height=\"", 0);
  for (const char *p = svg; (p = strstr (p, "<text ")) && p < end && n < 4000;
       p++)
    read_box (p, &box[n++]);
  for (int i = 0; i < n; i++) {
    if (box[i].left < -0.5 || box[i].right > width + 0.5 || box[i].top < 0 ||
        box[i].bottom > height) {
      bad++;
      snprintf (said, 200, "outside: %s", box[i].words);
    }
    for (int k = 0; k < i; k++)
      if (touch (&box[i], &box[k])) {
        bad++;
        snprintf (said, 200, "%s / %s", box[k].words, box[i].words);
      }
  }
  *texts += n;
  return bad;
}

static int
bad_pictures (const char *page, int *texts, char said[200])
{
  int bad = 0;
  *texts = 0;
  for (const char *p = page, *end; (p = strstr (p, "<svg ")); p = end) {
    end = strstr (p, "</svg>");
    bad += bad_texts (p, end, texts, said);
  }
  return bad;
}

/* -- tests ----------------------------------------------------------------- */

static enum status
page_of (int n, char (*dirs)[512], enum report_form form, const char *table,
         struct text *out)
{
  const char *paths[64];
  for (int i = 0; i < n; i++)
    paths[i] = dirs[i];
  struct report_spec spec = {.n_paths = n,
                             .paths = paths,
                             .form = form,
                             .table = table,
                             .unlike = true};
  return report_make (&spec, out);
}

/* n groups that end at nearly the same accuracy. */
static void
make_groups (int n, double apart, char (*dirs)[512])
{
  static const char *const lrs[] = {"0.1", "0.05", "0.01"};
  for (int i = 0; i < n; i++) {
    char name[64], span[16];
    snprintf (name, sizeof name, "g%d-%d-%g", n, i, apart);
    snprintf (span, sizeof span, "%d", 1 + i % 4);
    struct made m = {name, span, "gap-fc",        lrs[i / 4 % 3],
                     1,    4,    0.9 + apart * i, 1 + 0.1 * i};
    made_run (&m, dirs[i]);
    made_metrics (&m, dirs[i], true);
    /* Each with the one before it, so that there are pairs. */
    const char *const paths[] = {dirs[i], dirs[i > 0 ? i - 1 : 0]};
    char side[2][600];
    for (int k = 0; k < 2; k++)
      snprintf (side[k], sizeof side[k], "%s/checkpoints/step-100.h5",
                paths[k]);
    made_probe (dirs[i], "step-100-valid-pooled", i > 0 ? 2 : 1,
                (const char *const[]){side[0], side[1]}, 100, 4, false);
  }
}

/* Places of the labels below the axis of x; how many. */
static int
label_places (const char *svg, double x[64])
{
  int n = 0;
  for (const char *p = svg; (p = strstr (p, "<text ")) && n < 64; p++) {
    const char *end = strchr (p, '>');
    if (has (p, end, "\"middle\" class=\"tick\""))
      x[n++] = attribute (p, end, "x=\"", 0);
  }
  return n;
}

struct ticks { /* what went wrong in how many pictures */
  int touch, bare, uneven, thinned, missing;
};

/* The y axis from low to high: labels that are cut off or not told apart. */
static bool
bad_scale (double low, double high)
{
  struct report r = {0};
  struct text out;
  char said[200], last[64] = "";
  int texts;
  text_init (&out);
  struct frame f = {.out = &out,
                    .width = 252,
                    .height = 180,
                    .left = 44,
                    .right = 14,
                    .top = 24,
                    .bottom = 42,
                    .x = {.high = 1},
                    .y = {.low = low, .high = high}};
  snprintf (f.y.title, sizeof f.y.title, "head 0: loss, train");
  axis_make (&f.x, 3, true);
  axis_make (&f.y, 4, false);
  frame_begin (&r, &f, "a scale");
  frame_data_end (&f);
  frame_end (&f);
  bool bad = bad_pictures (out.data, &texts, said) > 0;
  for (const char *p = out.data; (p = strstr (p, "\"end\" class=\"tick\">"));) {
    char here[64] = "";
    sscanf (p += 18, "%63[^<]", here);
    bad = bad || strcmp (here, last) == 0;
    strcpy (last, here);
  }
  text_clear (&out);
  return bad || !last[0];
}

/* Losses of all magnitudes, far from each other and close together. */
static void
test_scales (void)
{
  static const double apart[] = {1e-3, 1e-2, 0.1, 1, 100};
  int bad = 0;
  for (int e = -30; e <= 30; e++)
    for (int i = 0; i < 5; i++)
      bad += bad_scale (2.3 * pow (10, e), 2.3 * pow (10, e) * (1 + apart[i]));
  tap_ok (bad == 0, "scales of all magnitudes can be read (%d cannot)", bad);
}

/* Titles that are longer than a small picture is wide. */
static void
test_titles (void)
{
  int bad = 0, texts;
  char said[200] = "";
  for (int i = 0; i < 3; i++) {
    static const double width[] = {252, 512, 1040};
    struct report r = {0};
    struct text out;
    text_init (&out);
    struct frame f = {.out = &out,
                      .width = width[i],
                      .height = 180,
                      .left = 44,
                      .right = i == 2 ? 300 : 14,
                      .top = 24,
                      .bottom = 42,
                      .x = {.high = 1},
                      .y = {.high = 2.3e-9}};
    snprintf (f.x.title, sizeof f.x.title,
              "predicted training time on 128 ranks, minutes");
    snprintf (f.y.title, sizeof f.y.title,
              "head 11: loss of the output, valid, bits per byte");
    axis_make (&f.x, 3, true);
    axis_make (&f.y, 4, true);
    frame_begin (&r, &f, "titles");
    frame_data_end (&f);
    frame_end (&f);
    bad += bad_pictures (out.data, &texts, said);
    bad += !strstr (out.data, "128 ranks, minutes");
    text_clear (&out);
    pool_clear (&r.pool);
  }
  tap_ok (bad == 0, "long titles stand whole, or lose their middle%s%s",
          bad ? ": " : "", said);
}

/* Names that are too long differ at their end. */
static void
test_short (void)
{
  struct pool p = {0};
  tap_ok (strcmp (svg_short (&p, "K = 4, sum, local", 17),
                  "K = 4, sum, local") == 0,
          "a name that fits is left as it is");
  const char *s = svg_short (&p, "ééééééé, 2 ranks, end to end", 16);
  tap_ok (strcmp (s, "ééééé…end to end") == 0 && utf8_count (s) == 16,
          "of a long one the end stays: %s", s);
  pool_clear (&p);
}

static void
look_at_ticks (double width, double high, int wanted, struct ticks *t)
{
  struct report r = {0};
  struct text out;
  char said[200];
  double x[64];
  int texts, marks = -1; /* the axis itself is drawn like a mark */
  text_init (&out);
  struct frame f = {.out = &out,
                    .width = width,
                    .height = 180,
                    .left = 44,
                    .right = 14,
                    .top = 24,
                    .bottom = 42,
                    .x = {.high = high},
                    .y = {.high = 1}};
  axis_make (&f.x, wanted, true);
  axis_make (&f.y, 4, true);
  frame_begin (&r, &f, "ticks");
  frame_data_end (&f);
  frame_end (&f);
  t->touch += bad_pictures (out.data, &texts, said) > 0;
  int n = label_places (out.data, x);
  for (const char *p = out.data; (p = strstr (p, "class=\"axis\"")); p++)
    marks++;
  /* The last one may have been moved from the edge. */
  for (int i = 2; i + 1 < n; i++)
    t->uneven += fabs (x[i] - 2 * x[i - 1] + x[i - 2]) > 0.25;
  t->bare += n < 2;
  t->thinned += n < marks;
  t->missing += width == 1040 && wanted == 3 && n != marks;
  text_clear (&out);
}

/* Scales of all magnitudes and densities, in pictures of all widths. */
static void
test_ticks (void)
{
  static const double width[] = {252, 512, 1040};
  static const double lead[] = {1, 1.3, 2, 3, 4, 6, 8};
  static const int wanted[] = {3, 8, 20, 60};
  struct ticks t = {0};
  for (int w = 0; w < 3; w++)
    for (int k = 0; k < 4; k++)
      for (int e = -6; e <= 6; e++)
        for (int i = 0; i < 7; i++)
          look_at_ticks (width[w], lead[i] * pow (10, e), wanted[k], &t);
  tap_ok (t.touch == 0, "labels of ticks do not touch or leave a picture (%d)",
          t.touch);
  tap_ok (t.bare == 0, "every scale has two labels at least (%d)", t.bare);
  tap_ok (t.uneven == 0, "labels are evenly apart (%d)", t.uneven);
  tap_ok (t.thinned > 0 && t.missing == 0,
          "thinned where they are dense, all there where there is room");
}

static void
test_overlap (void)
{
  static char dirs[16][512];
  for (int n = 1; n <= 14; n++)
    for (int far = 0; far < 2; far++) {
      struct text out;
      const char *where = "";
      char said[200] = "";
      int texts;
      text_init (&out);
      make_groups (n, far ? -0.05 : 1e-4, dirs);
      bool good = page_of (n, dirs, REPORT_HTML, NULL, &out) == OK;
      bool formed = good && well_formed (out.data, &where);
      tap_ok (formed, "%d runs: well-formed%s%.40s", n, formed ? "" : ": ",
              formed ? "" : where);
      int bad = bad_pictures (out.data, &texts, said);
      tap_ok (bad == 0 && texts > 40 && strstr (out.data, "id=\"probe\"") &&
                  strstr (out.data, "id=\"cka\"") &&
                  strstr (out.data, "id=\"agreement\""),
              "%d runs, %s: none of %d texts touches another%s%s", n,
              far ? "far apart" : "close", texts, bad ? ": " : "", said);
      text_clear (&out);
    }
}

/* -- the card -------------------------------------------------------------- */

static void
card_run (int i, const char *span, const char *cut, char dir[512])
{
  char name[32], text[1024];
  snprintf (name, sizeof name, "card%d", i);
  const struct made m = {name, span, "gap-fc", "0.1", 1 + i / 2, 2, 0.9, 1};
  made_run (&m, dir);
  made_metrics (&m, dir, true);
  snprintf (text, sizeof text,
            "[model]\nfamily = resnet\npreset = resnet20\n[stages]\ncount = 2\n"
            "cut = %s\nhead = gap-fc\n[strategy]\nspan = %s\n[data]\n"
            "file = in/d.h5\n[train]\nbatch = 64\nmicro = 4\nsteps = 100\n"
            "seed = %d\nlr = 0.1\nschedule = cosine\nwarmup = 7\n",
            cut, span, m.seed);
  made_put (dir, "config.ini", text);
  made_put (dir, "facts.ini",
            "[facts]\ndata = 6da5ba4a46e80be3\ntrain_samples = 47857\n"
            "steps = 100\nblocks = 11\nparameters = 272474\nisa = avx2\n"
            "[measured]\nothers = 0.37\nstolen = 0.05\n");
  made_put (dir, "events.jsonl",
            "{\"event\":\"start\",\"time\":1796071313.9,\"step\":0,"
            "\"program\":\"0.1.7\",\"build\":\"54f803f783388749\","
            "\"kernels\":\"oneDNN 2.6.3\",\"processor\":\"Made <CPU>\","
            "\"threads\":3,\"ranks\":2,\"mpi\":\"Open MPI 4.1.4\"}\n");
}

/* The text between two places of a page; "" where one is not there. */
static void
part_of (const char *page, const char *from, const char *to, struct text *out)
{
  const char *at = strstr (page, from);
  const char *end = at ? strstr (at, to) : NULL;
  out->size = 0;
  text_add (out, "%.*s", end ? (int)(end - at) : 0, end ? at : "");
}

static void
test_card (void)
{
  static char dirs[4][512];
  static const char *const said[] = {
      "resnet20 (resnet)",
      "272,474 in 11 blocks",
      "d.h5, digest 6da5ba4a46e80be3, 47,857 to train on",
      "64 samples in micro-batches 4",
      "100 (0.134 epochs)",
      "cosine, 7 steps of warm-up",
      "gap-fc",
      ">1; 2<",
      "Made &lt;CPU&gt; (avx2)",
      "2 x 3",
      "interlock 0.1.7 (build 54f803f7)",
      "oneDNN 2.6.3; Open MPI 4.1.4",
      "2026-11-30",
      "local; end to end",
      "OMP_NUM_THREADS=3 mpirun -n 2 interlock train RUN/config.ini"};
  struct text page, card;
  text_init (&page);
  text_init (&card);
  for (int i = 0; i < 4; i++)
    card_run (i, i % 2 ? "2" : "1", i % 2 ? "6,5" : "5,6", dirs[i]);
  bool good = page_of (4, dirs, REPORT_HTML, NULL, &page) == OK;
  part_of (page.data, "id=\"table-card\"", "</table>", &card);
  for (size_t i = 0; i < sizeof said / sizeof *said; i++)
    tap_ok (good && strstr (card.data, said[i]), "the card says %s", said[i]);
  tap_ok (!strstr (card.data, "6,5"), "it says nothing that differs");
  tap_ok (strstr (page.data, "Others used up to 37 % of these cores while 4 "
                             "of 4 runs were at work") &&
              strstr (page.data, "<data value=\"0.37\">37.0</data>") &&
              !strstr (page.data, "steal"),
          "the table of times says that others were at work");
  part_of (page.data, "id=\"table-differs\"", "</table>", &card);
  tap_ok (strstr (card.data, ">5,6<") && strstr (card.data, ">6,5<") &&
              !strstr (card.data, "oneDNN"),
          "what differs stands below it, and that alone");
  static const char *const figures[] = {"depth", "heads", "agreement"};
  for (int i = 0; i < 3; i++) {
    char id[32];
    snprintf (id, sizeof id, "<figure id=\"%s\"", figures[i]);
    part_of (page.data, id, "</figcaption>", &card);
    tap_ok (strstr (card.data, "local 5,6; end to end 6,5"),
            "picture %s: stages are not the same blocks", figures[i]);
  }
  page.size = 0;
  good = page_of (4, dirs, REPORT_TEXT, NULL, &page) == OK;
  tap_ok (good && strstr (page.data, "d.h5, digest 6da5ba4a46e80be3"),
          "a terminal has the card, too");
  page.size = 0;
  good = page_of (4, dirs, REPORT_MARKDOWN, "card", &page) == OK;
  tap_ok (good && strstr (page.data, "| 272,474 in 11 blocks |"),
          "and Markdown");
  for (int i = 0; i < 4; i++) /* as of a version that kept neither */
    made_put (dirs[i], "facts.ini", ""), made_put (dirs[i], "events.jsonl", "");
  page.size = 0;
  good = page_of (4, dirs, REPORT_HTML, NULL, &page) == OK;
  part_of (page.data, "id=\"table-card\"", "</table>", &card);
  tap_ok (good && strstr (card.data, "digest not recorded") &&
              strstr (card.data, ">processor</th><td class=\"left\">not "
                                 "recorded<"),
          "what is not there is said to be not recorded");
  for (int i = 0; i < 2; i++) {
    const struct made m = {i ? "heads4" : "heads2",
                           "1",
                           i ? "pool2-fc" : "gap-fc",
                           "0.1",
                           1,
                           i ? 4 : 2,
                           0.9,
                           1};
    made_run (&m, dirs[i]);
    made_metrics (&m, dirs[i], false);
  }
  page.size = 0;
  good = page_of (2, dirs, REPORT_CSV, "compare", &page) == OK;
  tap_ok (good && strstr (page.data, "K = 4") && !strstr (page.data, "head"),
          "heads that follow from the stages are no part of a name");
  text_clear (&page);
  text_clear (&card);
}

/* -- narrow screens -------------------------------------------------------- */

/* Pictures that no box lets scroll; legends have small ones of their own. */
static int
loose_pictures (const char *page)
{
  static const char box[] = "<div class=\"chart\">";
  int n = 0;
  for (const char *p = page; (p = strstr (p, "<svg ")); p++)
    n += has (p, strchr (p, '>'), "role=\"img\"") &&
         strncmp (p - strlen (box), box, strlen (box)) != 0;
  return n;
}

/* Columns of a page's tables without anything in them. */
static int
bare_columns (const char *page)
{
  int bare = 0;
  for (const char *p = page; (p = strstr (p, "<tbody>")); p++) {
    const char *end = strstr (p, "</tbody>");
    bool some[64] = {false};
    int columns = 0, k = 0;
    for (const char *c = p; c < end; c++) {
      if (strncmp (c, "<tr>", 4) == 0)
        k = 0;
      if (strncmp (c, "<th", 3) != 0 && strncmp (c, "<td", 3) != 0)
        continue;
      const char *words = strchr (c, '>') + 1;
      some[k] = some[k] || !(strncmp (words, "</t", 3) == 0 ||
                             strncmp (words, "-</t", 4) == 0 ||
                             (has (c, words, "\"none\"") &&
                              strncmp (words, "not recorded<", 13) == 0));
      columns = ++k > columns ? k : columns;
    }
    for (k = 0; k < columns; k++)
      bare += !some[k];
  }
  return bare;
}

static void
test_narrow (void)
{
  static char dirs[3][512];
  static const char *const rules[] = {
      "name=\"viewport\" content=\"width=device-width",
      ".chart{overflow-x:auto",
      ".table{overflow-x:auto",
      "overflow-wrap:break-word",
      "prefers-color-scheme:dark",
      "@media print"};
  struct text page;
  text_init (&page);
  make_groups (3, 0.01, dirs);
  bool good = page_of (3, dirs, REPORT_HTML, NULL, &page) == OK;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    tap_ok (good && strstr (page.data, rules[i]), "the page has %s", rules[i]);
  tap_ok (loose_pictures (page.data) == 0, "every picture can be scrolled");
  const int bare = bare_columns (page.data);
  tap_ok (bare == 0 && strstr (page.data, "since no run tells: "),
          "no column is without anything (%d), and that is told", bare);
  tap_ok (loose_pictures ("<p><svg role=\"img\"></svg></p>") == 1 &&
              bare_columns ("<tbody><tr><th>a</th><td class=\"none\">not "
                            "recorded</td><td>-</td></tr></tbody>") == 2,
          "the checkers see what they are for");
  text_clear (&page);
}

/* The checkers see what they are for. */
static void
test_checkers (void)
{
  const char *where;
  tap_ok (!well_formed ("<p><b></p></b>", &where) &&
              !well_formed ("<p>a & b</p>", &where) &&
              !well_formed ("<p a=b></p>", &where) &&
              !well_formed ("<p>", &where) && !well_formed ("<br>", &where) &&
              well_formed ("<p a=\"b\">&amp;<br/></p>", &where),
          "the reader of markup sees what is wrong");
  char said[200];
  int texts;
  tap_ok (bad_pictures ("<svg width=\"200\" height=\"50\"><text x=\"5\" "
                        "y=\"20\">abcdef</text><text x=\"30\" y=\"22\">ghi"
                        "</text></svg>",
                        &texts, said) == 1 &&
              bad_pictures ("<svg width=\"20\" height=\"50\"><text x=\"5\" "
                            "y=\"20\">abcdef</text></svg>",
                            &texts, said) == 1,
          "texts that touch, or leave the picture, are seen");
}

static const char evil[] = "<script>alert(1)<&\"'\\input{x}$%_,;\n\x1b[31m\xff"
                           "\xe2\x80\xae=1+1";

static void
test_hostile (void)
{
  static char dirs[2][512];
  struct text html, csv, latex, plain;
  const char *where = "";
  struct made m[] = {
      {"=cmd|x <svg onload=alert(1)>&\"'\\{}$#%_^~\xc3\x28", "1",
       "<script>alert(1)</script>&\"'\\input{x}$%_,;=", "0.1", 1, 2, 0.8, 1},
      {"]]><b>\n,\"x\"\x1b[31m", "2", "gap-fc", "0.1", 1, 2, 0.7, 1}};
  for (int i = 0; i < 2; i++)
    made_run (&m[i], dirs[i]);
  made_probe (dirs[0], "a-\"'<b>&-x<script>-with-9", 2,
              (const char *const[]){"=cmd,<b>/x.h5", dirs[1]}, 7, 2, false);
  text_init (&html);
  text_init (&csv);
  text_init (&latex);
  text_init (&plain);
  bool good = page_of (2, dirs, REPORT_HTML, NULL, &html) == OK &&
              page_of (2, dirs, REPORT_CSV, "runs", &csv) == OK &&
              page_of (2, dirs, REPORT_LATEX, "runs", &latex) == OK &&
              page_of (2, dirs, REPORT_TEXT, NULL, &plain) == OK;
  tap_ok (good && strstr (html.data, "id=\"probe\""),
          "hostile names are reported");
  tap_ok (well_formed (html.data, &where), "the page stays well-formed");
  tap_ok (!strstr (html.data, "<script") && !strstr (html.data, "<b>") &&
              !strstr (html.data, "<svg onload") &&
              strstr (html.data, "&lt;script&gt;"),
          "no name becomes an element");
  tap_ok (!strstr (html.data, "http://") || !strstr (html.data, "src="),
          "nothing is fetched");
  tap_ok (!strchr (html.data, 0x1b) && !strchr (plain.data, 0x1b) &&
              !strchr (csv.data, 0x1b) && !strchr (latex.data, 0x1b),
          "no control character comes through");
  int lines = 0;
  for (const char *p = csv.data; *p; p++)
    lines += *p == '\n';
  tap_ok (lines == 3 && strstr (csv.data, "\"'=cmd|x"),
          "a row stays a row, and no formula");
  tap_ok (strstr (latex.data, "\\textbackslash{}\\{\\}\\$\\#\\%\\_"
                              "\\textasciicircum{}\\textasciitilde{}") &&
              !strstr (latex.data, "\\input"),
          "LaTeX sees text alone");
  struct text one;
  text_init (&one);
  escape_html (evil, &one);
  tap_ok (strcmp (one.data, "&lt;script&gt;alert(1)&lt;&amp;&quot;&#39;\\input"
                            "{x}$%_,;??[31m???"
                            "?=1+1") == 0,
          "bytes that are no text become question marks");
  text_clear (&one);
  text_clear (&html);
  text_clear (&csv);
  text_clear (&latex);
  text_clear (&plain);
}

/* Two hundred runs, as a sweep leaves them. */
static void
test_many (void)
{
  static char dirs[40][512];
  struct text out;
  const char *where = "";
  char name[32], span[8], lr[16], said[200] = "";
  int texts;
  for (int i = 0; i < 40; i++) {
    snprintf (name, sizeof name, "m%d", i);
    snprintf (span, sizeof span, "%d", 1 + i % 2);
    snprintf (lr, sizeof lr, "0.%03d", 1 + i / 2);
    struct made m = {name, span, "gap-fc", lr, 1, 2 + i % 3, 0.5 + 0.01 * i, 1};
    made_run (&m, dirs[i]);
  }
  text_init (&out);
  tap_ok (page_of (40, dirs, REPORT_HTML, NULL, &out) == OK &&
              well_formed (out.data, &where) &&
              strstr (out.data, "the 12 groups") &&
              strstr (out.data, "id=\"sweep\""),
          "forty groups: the best are drawn, and there is a map");
  tap_ok (bad_pictures (out.data, &texts, said) == 0,
          "none of its texts touches another%s%s", said[0] ? ": " : "", said);
  text_clear (&out);
}

/* The tick labels of the y axis of the picture with that title lie between. */
static bool
ticks_within (const char *page, const char *title, double low, double high)
{
  static const char tick[] = "\"end\" class=\"tick\">";
  const char *svg = strstr (page, title);
  const char *end = svg ? strstr (svg, "</svg>") : NULL;
  int n = 0;
  for (const char *p = svg; end && (p = strstr (p, tick)) && p < end; n++) {
    double v = strtod (p += strlen (tick), NULL);
    if (v < low || v > high)
      return false;
  }
  return n > 1;
}

/* Pictures of networks for images are of accuracies, then of losses. */
static void
test_images (void)
{
  static char dirs[2][512];
  struct text out;
  for (int i = 0; i < 2; i++) {
    struct made m = {i ? "image1" : "image0",
                     i ? "2" : "1",
                     "gap-fc",
                     "0.1",
                     1,
                     3 + i,
                     0.8,
                     1};
    made_run (&m, dirs[i]);
  }
  text_init (&out);
  bool good = page_of (2, dirs, REPORT_HTML, NULL, &out) == OK;
  const char *first =
      good ? strstr (out.data, "<title>accuracy of the output, valid<") : NULL;
  tap_ok (first && strstr (first, "<title>loss of the output, valid<") &&
              strstr (out.data, ">Accuracy by depth: ") &&
              strstr (out.data, "<title>head 1: accuracy, valid<") &&
              strstr (out.data, "<title>head 1: loss, train<") &&
              !strstr (out.data, "bits/byte"),
          "pictures of networks for images are of accuracies first");
  tap_ok (good &&
              ticks_within (out.data, "accuracy by depth, valid, %", 2, 100),
          "in per cent");
  text_clear (&out);
}

/* Pages of different sets of strategies can be read side by side: the lines of
 * 2-wise and end-to-end learning look the same without the others. */
static void
test_looks (void)
{
  static const char *const span[] = {"all", "2", "5"};
  static char dirs[3][512];
  struct text out;
  for (int i = 0; i < 3; i++) {
    const char *const names[] = {"look0", "look1", "look2"};
    struct made m = {names[i], span[i], "gap-fc", "0.1", 1, 6, 0.8, 1};
    made_run (&m, dirs[i]);
  }
  text_init (&out);
  bool good = page_of (3, dirs, REPORT_HTML, NULL, &out) == OK;
  tap_ok (good && strstr (out.data, "class=\"line s1\"") &&
              strstr (out.data, "class=\"line s3\"") &&
              strstr (out.data, "class=\"line s0\"") &&
              !strstr (out.data, "class=\"line s2\""),
          "a reach looks the same on all pages; others take what is left");
  text_clear (&out);
}

/* Losses of language models, close to each other and far apart. */
static void
test_language (void)
{
  static char dirs[8][512];
  for (int far = 0; far < 2; far++) {
    struct text out;
    const char *where = "";
    char name[32], span[8], said[200] = "";
    int texts;
    for (int i = 0; i < 8; i++) {
      snprintf (name, sizeof name, "lm%d-%d", far, i);
      snprintf (span, sizeof span, "%d", 1 + i % 4);
      struct made m = {
          name, span, "ln-fc", "0.1", 1, 4 + i / 4, 1.5 + i * (far ? 20 : 1e-4),
          1};
      made_run (&m, dirs[i]);
      made_language (&m, dirs[i], true);
    }
    text_init (&out);
    bool good = page_of (8, dirs, REPORT_HTML, NULL, &out) == OK &&
                well_formed (out.data, &where);
    tap_ok (good, "losses, %s: well-formed%.40s", far ? "far apart" : "close",
            good ? "" : where);
    int bad = bad_pictures (out.data, &texts, said);
    tap_ok (bad == 0 && texts > 40, "none of %d texts touches another%s%s",
            texts, said[0] ? ": " : "", said);
    tap_ok (strstr (out.data, "loss of the output, valid, bits/byte") &&
                strstr (out.data, ">Loss by depth: ") &&
                strstr (out.data, "loss by depth, valid, bits/byte") &&
                strstr (out.data, "head 2: loss, train, bits/byte") &&
                strstr (out.data, ">loss, valid, bits/byte<"),
            "pictures are of bits per byte");
    tap_ok (ticks_within (out.data, "loss by depth, valid, bits/byte", !far,
                          far ? 200 : 4),
            "on their scale");
    tap_ok (!strstr (out.data, "accuracy by depth") &&
                !strstr (out.data, "% at equal"),
            "in place of accuracies");
    text_clear (&out);
  }
}

/* -- a picture that stands alone ------------------------------------------- */

static enum status
half_a_second (int n, const char *const *dirs, int which, int ranks,
               struct report_pace *out)
{
  (void)n;
  if (ranks == 8 && strstr (dirs[which], "words"))
    return fail (E_CONFIG, "too many");
  *out = (struct report_pace){.n = 1, .step_s = {4.0 / ranks}};
  return OK;
}

/* Panels inside the whole; -1 where one has texts that touch or stick out. */
static int
panels (const char *picture, char said[200])
{
  int n = 0, texts;
  const char *p = strstr (picture, "<svg ");
  while (p && (p = strstr (p + 1, "<svg "))) {
    if (bad_texts (p, strstr (p, "</svg>"), &texts, said) > 0)
      return -1;
    n++;
  }
  return n;
}

static bool
make_picture (int n, char (*dirs)[512], struct text *out)
{
  const char *paths[16];
  for (int i = 0; i < n; i++)
    paths[i] = dirs[i];
  const struct report_spec spec = {.n_paths = n,
                                   .paths = paths,
                                   .form = REPORT_SVG,
                                   .n_on = 2,
                                   .on = {4, 8},
                                   .predict = half_a_second};
  return report_make (&spec, out) == OK;
}

/* Images: local with three seeds, end to end with two, and one that is not
 * finished; and a language model, for which nothing is predicted on 8 ranks. */
static void
test_picture (void)
{
  char dirs[7][512], name[32], said[200] = "";
  const char *where = "";
  struct text out;
  for (int i = 0; i < 7; i++) {
    snprintf (name, sizeof name, i == 6 ? "words" : "pixels-%d", i);
    const struct made m = {
        name, i < 3 ? "1" : "all", "gap-fc", "0.1", i, 2, 0.8, 1};
    made_run (&m, dirs[i]);
    made_put (dirs[i], "status",
              i == 5 ? "stopped 75 step=50 reason=TERM\n"
                     : "finished 0 step=100\n");
    if (i < 6)
      continue;
    made_language (&m, dirs[i], true);
    made_put (dirs[i], "facts.ini", "[facts]\ndata = fedcba\n");
  }
  text_init (&out);
  tap_ok (make_picture (7, dirs, &out), "runs of two data sets in one picture");
  bool good = well_formed (out.data, &where);
  tap_ok (good, "it is well-formed (%.60s)", where);
  tap_ok (!strstr (out.data, "var("), "it has colours of its own");
  int n = panels (out.data, said);
  tap_ok (n == 2, "a panel for each (%d), of texts that do not touch (%s)", n,
          said);
  tap_ok (strstr (out.data, "accuracy of the output, valid") &&
              strstr (out.data, "loss of the output, valid, bits/byte"),
          "each by its measure");
  tap_ok (strstr (out.data, "predicted training time on 8 ranks") &&
              strstr (out.data, "predicted training time on 4 ranks"),
          "each on the most ranks that all its runs have");
  tap_ok (strstr (out.data, ">local: 80.00 ± 0.00</text>") &&
              strstr (out.data, ">end to end (2 runs): 80.00</text>") &&
              strstr (out.data, "Means of up to 3 seeds"),
          "fewer seeds are told, and what is not finished is left out");
  text_clear (&out);
  text_init (&out);
  tap_ok (make_picture (1, &dirs[5], &out) && panels (out.data, said) == 1 &&
              strstr (out.data, "One run each."),
          "where nothing is finished all is drawn");
  text_clear (&out);
}

int
main (void)
{
  if (!scratch_open ()) {
    tap_bail ("no folder for scratch files");
    return tap_done ();
  }
  test_checkers ();
  test_ticks ();
  test_scales ();
  test_short ();
  test_overlap ();
  test_titles ();
  test_card ();
  test_narrow ();
  test_hostile ();
  test_many ();
  test_images ();
  test_looks ();
  test_language ();
  test_picture ();
  scratch_close ();
  return tap_done ();
}
