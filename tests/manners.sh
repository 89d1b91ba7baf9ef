#!/bin/sh
# tests/manners.sh -- words that do not belong where they stand, and what has
# grown too long.
#
#     sh tests/manners.sh [ROOT]
#
# Prints TAP; offenders are printed as FILE:LINE: what.  Comments are not code,
# and texts count only where a rule says so.  With ROOT it checks ROOT/src;
# without, the tree it lies in, after it has checked itself with planted
# offences.  A rule that can be grepped is grepped: add it to RULES.

LC_ALL=C
export LC_ALL
AWK=${AWK-awk}

# pattern (of awk, on code without comments and texts) ~ files where it is
# allowed (pattern, or -) ~ what to say.  Word borders are added.
RULES='
(malloc|calloc|realloc|reallocarray|strdup|strndup|asprintf|vasprintf|posix_memalign|aligned_alloc) *[(] ~ ^base/memory[.]c ~ the heap has one door, base/memory.h
free *[(] ~ ^base/memory[.]c ~ mem_free, or the clear and destroy of the thing
(exit|_exit|_Exit|quick_exit) *[(] ~ ^(main/|wire/agree[.]c|base/spawn[.]c) ~ no exit outside main
abort *[(] ~ ^(base/status[.]c|wire/agree[.]c) ~ CHECK, or wire_abort
(printf|vprintf|puts|putchar|putc|perror) *[(] ~ ^(base/log[.]c|main/) ~ say, tell or put
(stdout|stderr) ~ ^(base/(log|status)[.]c|main/) ~ say, tell or put
MPI_Abort ~ ^wire/agree[.]c ~ wire_abort is the only caller of MPI_Abort
MPI_(Init|Finalize|Init_thread) ~ ^wire/ ~ MPI has one door, wire
(sprintf|vsprintf|strcpy|strcat|gets|strtok) *[(] ~ - ~ has a safer sister
(rand|srand|random|srandom|drand48) *[(] ~ - ~ random numbers come from base/random.h
(system|popen) *[(] ~ - ~ no shell from inside
(PLAN_FURTHEST|PLAN_SUM|PLAN_MEAN|CONFIG_FURTHEST|CONFIG_SUM|CONFIG_MEAN|furthest|pairwise|e2e) ~ ^(plan/|config/|design/(derive|dial)[.]c) ~ only plan knows strategies
(config_span_parse|derive_mix|plan_route|plan_route_row) ~ ^(plan/|config/|design/(check_config|derive|map_fill)[.]c|design/design_impl[.]h) ~ ask the table, which derive_route makes
(c|config)(->|[.])(span|mix|route|dial) ~ ^(main/|config/|design/(check_config|derive|dial|map_fill|route|show)[.]c|verify/verify[.]c) ~ ask the table, not the words it came from
(span +([<>]=?|[!=]=)|([<>]=?|[!=]=) +span) ~ ^(config/|plan/|main/|design/map|report/run[.]c) ~ ask the table: a span is not all there is
typedef +(struct|union|enum) +[a-z_]* *[{a-z] ~ - ~ no typedef for structs
'

# The same on texts (string constants), without their quotes.
TEXT_RULES='
^(local|pairwise|e2e|furthest)$ ~ ^(config/|plan/|design/derive[.]c|verify/verify[.]c|report/group[.]c) ~ only plan knows strategies
'

offenders ()
{
  (cd "$1/src" && find . -name '*.[ch]' | sed 's,^\./,,' | sort | xargs $AWK \
    -v rules="$RULES" -v text_rules="$TEXT_RULES" '
    function load (table, pattern, where, what,   rows, n, i, part, m) {
      n = split (table, rows, "\n")
      m = 0
      for (i = 1; i <= n; i++)
        if (split (rows[i], part, " ~ ") == 3) {
          m++
          pattern[m] = part[1]; where[m] = part[2]; what[m] = part[3]
        }
      return m
    }
    BEGIN {
      n_rules = load(rules, pattern, where, what)
      n_text = load(text_rules, text_pattern, text_where, text_what)
      edge = "(^|[^A-Za-z0-9_])"
      for (i = 1; i <= n_rules; i++) # [(] is a border
        tail[i] = pattern[i] ~ /\]$/ ? "" : "([^A-Za-z0-9_]|$)"
    }
    function bad (what) { printf "src/%s:%d: %s\n", FILENAME, FNR, what }

    # Code of the line: comments out, texts empty; texts go to texts[].
    function strip (line,   out, c, two) {
      out = ""
      n_texts = 0
      while (line != "") {
        if (in_comment) {
          c = index (line, "*/")
          if (!c) return out
          line = substr (line, c + 2)
          in_comment = 0
          out = out " "
          continue
        }
        if (!match (line, /\/\*|\/\/|"|\047/)) return out line
        two = substr (line, RSTART, RLENGTH)
        out = out substr (line, 1, RSTART - 1)
        line = substr (line, RSTART + RLENGTH)
        if (two == "//") return out
        if (two == "/*") { in_comment = 1; continue }
        c = two == "\"" ? match (line, /^([^"\\]|\\.)*"/) \
                        : match (line, /^([^\047\\]|\\.)*\047/)
        if (!c) return out
        if (two == "\"")
          texts[++n_texts] = substr (line, 1, RLENGTH - 1)
        out = out two two
        line = substr (line, RLENGTH + 1)
      }
      return out
    }

    FNR == 1 {
      in_comment = 0; start = 0; lines[FILENAME] = 0
      split (FILENAME, path, "/")
      if (substr ($0, 1, 2) != "/*") bad("no comment at the head")
      else if (index ($0, FILENAME) == 0) bad("the head does not name the file")
    }
    {
      lines[FILENAME] = FNR
      code = strip($0)
      for (i = 1; i <= n_rules; i++)
        if (code ~ edge pattern[i] tail[i])
          if (where[i] == "-" || FILENAME !~ where[i]) bad(what[i])
      for (t = 1; t <= n_texts; t++)
        for (i = 1; i <= n_text; i++)
          if (texts[t] ~ text_pattern[i] && FILENAME !~ text_where[i])
            bad(text_what[i])
      # MPI has one door; store passes a communicator on to its library.
      if (path[1] != "wire" && code ~ /(^|[^A-Za-z0-9_])MPI_/) {
        rest = code " "
        if (path[1] == "store" || path[1] == "probe")
          while (match (rest, /MPI_(Comm|Info|COMM_NULL|INFO_NULL)[^A-Za-z0-9_]/))
          rest = substr (rest, 1, RSTART - 1) substr (rest, RSTART + RLENGTH)
        if (rest ~ /(^|[^A-Za-z0-9_])MPI_/) bad("MPI has one door, wire")
      }
      if (code ~ /^#[ \t]*if[ \t]+0/) bad("dead code behind #if 0")
      if ($0 ~ /(^|[^A-Za-z])(TODO|FIXME|XXX|HACK)([^A-Za-z]|$)/)
        bad("a note to oneself")
      if ($0 ~ /[ \t]+$/) bad("blanks at the end")
      if (code ~ /^\{/) start = FNR
      if (code ~ /^\}/ && start) {
        if (FNR - start + 1 > 100)
          bad("a function of " FNR - start + 1 " lines (100 at most)")
        start = 0
      }
    }
    END {
      for (f in lines)
        if (lines[f] > 800)
          printf "src/%s:%d: a file of %d lines (800 at most)\n", f, lines[f],
                 lines[f]
    }')
  # Two tests of one name have one log: make check would run one of them.
  (cd "$1" && for f in src/*/room.am; do
    [ ! -f "$f" ] || $AWK -v f="$f" '
      { for (i = 1; i <= NF; i++)
          if (sub (/[.]sh$/, "", $i)) script[$i] = FNR
          else if ($1 == "check_PROGRAMS") program[$i] }
      END { for (t in script) if (t in program)
        printf "%s:%d: a program is called %s, too: one of both will not run\n",
               f, script[t], t }' "$f"
  done)
}

n=0
failed=0
ok () # CONDITION NAME
{
  set -- "$1" "$(printf '%s' "$2" | tr '\n#' '| ')"
  n=$((n + 1))
  if [ "$1" = 0 ]; then
    printf 'ok %d - %s\n' $n "$2"
  else
    printf 'not ok %d - %s\n' $n "$2"
    failed=1
  fi
}

tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

make_file () # FILE LINE
{
  rm -rf "$tmp/src"
  mkdir -p "$tmp/src/${1%/*}"
  printf '/* %s -- made. */\n%s\n' "$1" "$2" >"$tmp/src/$1"
  offenders "$tmp" >"$tmp/said"
}

plant () # FILE LINE WORDS: has this one complaint, in line 2
{
  make_file "$1" "$2"
  [ "$(wc -l <"$tmp/said")" -eq 1 ] &&
    grep -q -F -- "src/$1:${4-2}: $3" "$tmp/said"
  ok $? "seen: ${5-$2} in $1"
}

clean () # FILE LINE: has none
{
  make_file "$1" "$2"
  [ ! -s "$tmp/said" ]
  ok $? "allowed: $2 in $1"
}

lines () # N WORD
{
  $AWK -v n="$1" -v word="$2" 'BEGIN { while (n-- > 0) print word }'
}

self_check ()
{
  plant run/x.c '  p = malloc (8);' 'the heap'
  plant run/x.c '  free(p);' 'mem_free'
  plant store/x.c '  exit (1);' 'no exit'
  plant model/x.c '  abort ();' 'CHECK'
  plant kern/x.c '  printf ("x");' 'say, tell'
  plant run/x.c '  fputs ("x", stderr);' 'say, tell'
  plant run/x.c '  MPI_Barrier (MPI_COMM_WORLD);' 'MPI has one door'
  plant store/x.c '  MPI_Comm_rank (c, &r);' 'MPI has one door'
  plant wire/x.c '  MPI_Abort (c, 1);' 'wire_abort is'
  plant model/x.c '  x = rand () % 2;' 'random numbers'
  plant run/x.c '  if (strcmp (word, "pairwise") == 0)' 'only plan'
  plant store/x.c '  if (mix == PLAN_FURTHEST)' 'only plan'
  plant run/x.c '  if (span < s->K)' 'ask the table'
  plant run/x.c '  if (K == span)' 'ask the table'
  plant run/x.c '  s->wanted = s->config.mix[0] == x;' 'ask the table'
  plant run/x.c '  ask.mix = derive_mix (c);' 'ask the table'
  plant base/x.h 'typedef struct text text_t;' 'no typedef'
  plant base/x.c '#if 0' 'dead code'
  plant base/x.c '/* FIXME later */' 'a note'
  plant base/x.c 'int x; ' 'blanks'
  plant base/x.c "int
f (void)
{
$(lines 100 '  g ();')
}" 'a function of 102' 105 'a function of 102 lines'
  plant base/x.c "$(lines 800 'int x;')" 'a file of 801' 801 'a file of 801 lines'
  clean run/x.c '  mem_free (&p); stage_free (p); p->free_list = 0;'
  clean run/x.c '/* malloc ( is not used; nor is MPI_Send, nor "local" */'
  clean run/x.c '  put ("free (%d) printf (", n); // exit (1)'
  clean run/x.c '  snprintf (b, 2, "%d", strtok_r (a, ",", &s));'
  clean wire/x.c '  MPI_Comm_rank (c, &r);'
  clean store/x.c '  MPI_Comm c = wire_raw (w);'
  clean main/x.c '  exit (2); /* of main */'
  clean run/x.c '  float *mix = l->mix[pair]; TRY (plan_route_check (K, route));'
  clean run/x.c '  struct local_stage *local = session_local (s, k);'
  clean base/x.c "  if (c == '\"' || c == '\\'') say (LOG_INFO, \"malloc (\");"
  rm -rf "$tmp/src"
  mkdir -p "$tmp/src/base"
  echo 'int x;' >"$tmp/src/base/x.c"
  offenders "$tmp" >"$tmp/said"
  grep -q 'no comment at the head' "$tmp/said"
  ok $? "seen: a file without a head"
  rm -rf "$tmp/src/base"/*
  printf '%s\n' 'check_PROGRAMS += tests/base/a' 'dist_check_SCRIPTS += \' \
    ' tests/base/b.sh tests/base/a.sh' >"$tmp/src/base/room.am"
  offenders "$tmp" </dev/null >"$tmp/said"
  [ "$(wc -l <"$tmp/said")" -eq 1 ] && grep -q ':3: .* called tests/base/a' "$tmp/said"
  ok $? "seen: two tests of one name"
}

if [ $# -ge 1 ]; then
  root=$1
else
  root=${abs_top_srcdir-$(dirname "$0")/..}
  self_check
fi
offenders "$root" >"$tmp/all"
sed 's/^/# /' "$tmp/all"
[ -d "$root/src" ] && [ ! -s "$tmp/all" ]
ok $? "manners of the tree"
echo "1..$n"
exit $failed
