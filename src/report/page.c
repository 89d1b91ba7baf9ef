/* report/page.c -- the page: one HTML file that is well-formed XML as well.
 *
 * No script; nothing is fetched.  The axis of a figure is chosen by radio
 * buttons and style rules alone; print shows the chosen one.
 */
#include "report/report_impl.h"

#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--ground:#fff;--ink:#1b1e23;--soft:#5b6270;"
    "--rule:#e3e6ea;--wait:#b9bec6;--exposed:#8d5a9c;"
    "--data:#c9a400;--busy:#4a505a;--idle:#dfe3e8}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#15181c;--ink:#e6e8eb;"
    "--soft:#a2a9b4;--rule:#2e343c;--wait:#5c6470;--exposed:#b98ac8;"
    "--data:#dcc04a;--busy:#c3c8cf;--idle:#39404a}}\n"
    "@media print{:root{color-scheme:light;--ground:#fff;--ink:#000;"
    "--soft:#444;--rule:#ddd;--wait:#b9bec6;--exposed:#8d5a9c;"
    "--data:#c9a400;--busy:#4a505a;--idle:#dfe3e8}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    "@page{margin:10mm}figure,table,tr,svg{break-inside:avoid}"
    "h2,figcaption,.legend{break-after:avoid}"
    ".table,.chart{overflow:visible}.chart>svg{min-width:0!important}"
    ".tabs>label,.tabs>input{display:none}"
    ".tabs>input:checked+label{display:inline}"
    "main{padding:0;zoom:.66}}\n"
    "body{margin:0;background:var(--ground);color:var(--ink);"
    "font:15px/1.45 system-ui,-apple-system,\"Segoe UI\",Helvetica,Arial,"
    "sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:24px 20px 60px}\n"
    "h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 8px}\n"
    "p{margin:6px 0;max-width:90ch}.note,figcaption,small{color:var(--soft)}"
    ".note{font-size:13px}figcaption{max-width:90ch;margin-bottom:6px}\n"
    ".warn{border-left:4px solid var(--c1);padding:4px 12px;margin:12px 0}\n"
    "body{overflow-wrap:break-word}figure{margin:28px 0}"
    ".chart{overflow-x:auto;max-width:100%}"
    "svg{display:block;max-width:100%;height:auto}\n"
    "@media (max-width:600px){main{padding:12px 10px 40px}"
    "th,td{padding:4px 6px}}\n"
    ".table{overflow-x:auto;margin:12px 0 4px}"
    "table{border-collapse:collapse;font-size:13px;"
    "font-variant-numeric:tabular-nums}"
    "caption{text-align:left;font-weight:600;font-size:15px;padding:10px 0 4px}"
    "th,td{padding:4px 10px;text-align:right;vertical-align:top;"
    "border-bottom:1px solid var(--rule);white-space:nowrap}"
    "th{font-weight:600}thead th{white-space:normal;color:var(--soft);"
    "font-weight:500;vertical-align:bottom}"
    "th.left,tbody th,td.left{text-align:left;white-space:normal;"
    "overflow-wrap:anywhere;min-width:13ch}"
    ".none,.sd,.ci{color:var(--soft)}.ci{font-size:11px}\n"
    "text{font-family:inherit;font-size:11px;fill:var(--ink)}"
    ".tick{fill:var(--soft)}.name{font-size:12px;fill:var(--ink)}"
    ".label{font-size:12px}.inside{font-size:10px;fill:var(--ground)}"
    ".on-dark{fill:#fff}.on-light{fill:#000}\n"
    ".grid{stroke:var(--rule)}.axis{stroke:var(--soft)}"
    ".lead{stroke:var(--soft);stroke-width:.7;fill:none;opacity:.7}"
    ".empty{fill:var(--rule)}\n"
    ".legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 18px;"
    "padding:0;margin:6px 0;font-size:13px}.legend li{display:flex;gap:6px;"
    "align-items:center}.legend i{width:14px;height:10px;display:inline-block}"
    "\n.row{display:flex;flex-wrap:wrap;gap:10px}\n"
    ".tabs>input{margin:0 4px 0 0;vertical-align:middle}"
    ".tabs>label{margin-right:16px;font-size:13px}"
    ".tabs>section{display:none;margin-top:10px}\n";

static const char *const colours[][2] = {
    {"plain", "c0"},  {"extra", "c1"},        {"heads", "c2"},
    {"wait", "wait"}, {"exposed", "exposed"}, {"data", "data"},
    {"busy", "busy"}, {"idle", "idle"},       {"forward", "c0"},
    {"pass", "c1"},   {"weights", "c5"},      {"update", "c3"},
    {"agree", "c3"}};

static void
add_style (const struct report *r, struct text *out)
{
  text_add (out, "<style>\n%s", style);
  svg_lines_style (true, out);
  for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
    text_add (out, ".part.%s{fill:var(--%s)}i.%s{background:var(--%s)}\n",
              colours[i][0], colours[i][1], colours[i][0], colours[i][1]);
  for (int i = 1; i <= AXIS_ON + r->spec->n_on; i++)
    text_add (out,
              ".tabs>input:nth-of-type(%d):checked~section:nth-of-type(%d)"
              "{display:block}\n",
              i, i);
  text_add (out, "</style>\n");
}

static void
add_table (struct report *r, const char *name, struct text *out)
{
  struct table t;
  table_make (r, name, &t);
  if (t.n_rows > 0)
    table_html (&t, out);
  text_clear (&t.note);
}

/* Lines of a text as a list. */
static void
add_list (const char *lines, struct text *out)
{
  text_add (out, "<ul>");
  for (const char *end; (end = strchr (lines, '\n')); lines = end + 1) {
    struct text one;
    text_init (&one);
    text_add (&one, "%.*s", (int)(end - lines), lines);
    text_add (out, "<li>");
    escape_html (one.data, out);
    text_add (out, "</li>");
    text_clear (&one);
  }
  text_add (out, "</ul>\n");
}

static void
add_head (struct report *r, struct text *out)
{
  text_add (out,
            "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" "
            "lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, "
            "initial-scale=1\"/>\n<title>interlock: %d run%s compared</title>"
            "\n",
            r->n_runs, r->n_runs == 1 ? "" : "s");
  add_style (r, out);
  text_add (out,
            "</head>\n<body>\n<main>\n<h1>%d run%s, %d group%s</h1>\n"
            "<p class=\"note\">Made by interlock %s. Runs that differ in "
            "their seed alone are a group.</p>\n",
            r->n_runs, r->n_runs == 1 ? "" : "s", r->n_groups,
            r->n_groups == 1 ? "" : "s", PACKAGE_VERSION);
  add_table (r, "card", out);
  add_table (r, "differs", out);
  if (r->unlike.size > 0) {
    text_add (out, "<div class=\"warn\"><p>These runs are unlike each other: "
                   "besides network, stages and strategy they differ in</p>");
    add_list (r->unlike.data, out);
    text_add (out, "</div>\n");
  }
  if (r->notes.size > 0) {
    text_add (out, "<div class=\"warn\">");
    add_list (r->notes.data, out);
    text_add (out, "</div>\n");
  }
}

/* In this order on the page. */
static void (*const pictures[]) (struct report *r, struct text *out) = {
    picture_output, picture_depth,     picture_heads, picture_probe,
    picture_alike,  picture_agreement, picture_scale, picture_time,
    picture_gantt,  picture_sweep};

void
page_make (struct report *r, struct text *out)
{
  add_head (r, out);
  text_add (out, "<h2>Comparison</h2>\n");
  add_table (r, "compare", out);
  add_table (r, "cost", out);
  text_add (out, "<h2>Pictures</h2>\n");
  for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
    pictures[i](r, out);
  text_add (out, "<h2>Tables</h2>\n");
  add_table (r, "heads", out);
  add_table (r, "time", out);
  add_table (r, "probe", out);
  add_table (r, "agreement", out);
  add_table (r, "scale", out);
  add_table (r, "runs", out);
  add_table (r, "repeat", out);
  text_add (out, "</main>\n</body>\n</html>\n");
}
