#!/bin/sh
# tests/rooms.sh -- the law of the house: which room may include which, and which
# outside headers; and what it may use, whatever a header lets through.
#
#     sh tests/rooms.sh [ROOT]
#
# Prints TAP.  With ROOT it checks ROOT/src; without, the tree it lies in, and
# before that it checks itself on a small made tree with planted violations.
# Offenders are printed as FILE:LINE: what.  The table below is the law.

LC_ALL=C
export LC_ALL
AWK=${AWK-awk}

# room | rooms it may include | outside libraries | raw.h of these rooms, too
LAW='
base   :                                   : xxhash               :
config : base                              :                      :
kern   : base                              : dnnl omp             :
model  : base kern                         :                      :
plan   : base                              :                      :
wire   : base                              : mpi hwloc            : wire
store  : base wire                         : hdf5 jansson         : wire store
data   : base wire store                   : hdf5 jpeg png        : store
weights: base store                      : jansson              :
import : base store data weights           : hdf5 z archive       : store
design : base config wire store data plan model : jansson       :
run    : base config wire store data plan model design :        :
train  : base config wire store data plan model design run :    :
verify : base config wire store data plan model design run train import : :
probe  : base wire store                   : scalapack            : wire
report : base config store data            : jansson              :
sweep  : base config store data wire design :                   :
main   : base config plan wire store data design run train verify probe report sweep import weights : :
'

# room | room that it uses though it may not include it | in how many places, at
# most.  A header that it includes, or a declaration of its own, lets it through.
# The list may only become shorter: what is not there any more has to go from here.
KNOWN=''

# header | library; what is neither here nor in C_LIBRARY is unknown.
OUTSIDE='
xxhash.h xxhash
dnnl.h dnnl
oneapi/dnnl/dnnl.h dnnl
dnnl_version.h dnnl
oneapi/dnnl/dnnl_version.h dnnl
oneapi/dnnl/dnnl_config.h dnnl
oneapi/dnnl/dnnl_types.h dnnl
oneapi/dnnl/dnnl_debug.h dnnl
omp.h omp
mpi.h mpi
hwloc.h hwloc
hdf5.h hdf5
jpeglib.h jpeg
turbojpeg.h jpeg
png.h png
jansson.h jansson
zlib.h z
archive.h archive
archive_entry.h archive
'

C_LIBRARY='assert.h ctype.h dirent.h dlfcn.h errno.h fcntl.h float.h getopt.h
glob.h immintrin.h inttypes.h libgen.h limits.h locale.h malloc.h math.h
pthread.h sched.h semaphore.h setjmp.h signal.h spawn.h stdarg.h stdatomic.h stdbool.h
stddef.h stdint.h stdio.h stdlib.h string.h strings.h sys/file.h sys/ioctl.h
sys/mman.h sys/prctl.h sys/resource.h sys/stat.h sys/statvfs.h sys/syscall.h sys/time.h
sys/types.h sys/utsname.h sys/wait.h time.h unistd.h'

# Names offenders of $1/src on stdout; nothing when there are none.
#
# The sources are read twice.  First who defines what: a name that begins a line,
# with a body and not static behind another file's back.  Then includes, and each
# name that is called, declared or handed on.
offenders ()
{
  # shellcheck disable=SC2046 # a list, twice
  (cd "$1" && $AWK -v law="$LAW" -v outside="$OUTSIDE" -v clib="$C_LIBRARY" \
    -v let="$KNOWN" '
    function words (text, set, key,   w, n, i) {
      n = split (text, w, /[ \t\n]+/)
      for (i = 1; i <= n; i++)
        if (w[i] != "") set[key, w[i]] = 1
    }
    BEGIN {
      n = split (law, rows, "\n")
      for (i = 1; i <= n; i++) {
        if (split (rows[i], part, ":") < 4) continue
        room = part[1]; gsub (/ /, "", room)
        known[room] = 1
        words(part[2], may, room)
        words(part[3], lib, room)
        words(part[4], raw, room)
      }
      n = split (outside, rows, "\n")
      for (i = 1; i <= n; i++)
        if (split (rows[i], part, " ") == 2) of[part[1]] = part[2]
      words(clib, c, "c")
      n_lets = split (let, lets, "\n")
    }
    function bad (what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
    # A line without comments, texts and characters.
    function bare (line,   out, what, i) {
      while (line != "") {
        if (inside) {
          if (!(i = index (line, "*/"))) return out
          line = substr (line, i + 2)
          inside = 0
        } else if (match (line, /\/\*|\/\/|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/)) {
          out = out substr (line, 1, RSTART - 1) " "
          what = substr (line, RSTART, 2)
          line = substr (line, RSTART + (what == "/*" ? 2 : RLENGTH))
          inside = what == "/*"
          if (what == "//") return out
        } else return out line
      }
      return out
    }
    # name: of the function whose head this may be, until its body or a semicolon.
    function define (line) {
      if (match (line, /^[a-z][a-z0-9_]* \(/)) {
        name = substr (line, 1, RLENGTH - 2)
        hidden = before ~ /static/ && before !~ /inline/
      }
      if (line ~ /^[{]/ && name != "") {
        if (hidden) own[FILENAME, name] = 1
        else home[name] = room
      }
      if (line ~ /^[{]|;[ \t]*$/) name = ""
      before = line
    }
    # A name is called, declared or handed on: not a member, nor a variable.
    function use (line,   name, rest) {
      while (match (line, /[A-Za-z_][A-Za-z0-9_]*/)) {
        rest = substr (line, 1, RSTART - 1)
        if (rest ~ /[^ \t]/) last = rest
        name = substr (line, RSTART, RLENGTH)
        line = substr (line, RSTART + RLENGTH)
        if (name in home && home[name] != room &&
            !((room, home[name]) in may) && !((FILENAME, name) in own) &&
            last !~ /(\.|->)[ \t]*$/ &&
            (line ~ /^ *\(/ || (line ~ /^ *([]),;}:?]|$)/ &&
                               last ~ /[[(,={&?:][ \t]*$/))) {
          strange[room, home[name]]++
          said[room, home[name]] = said[room, home[name]] sprintf ( \
            "%s:%d: %s may not use %s of %s\n", FILENAME, FNR, room, name,
            home[name])
        }
        last = name
      }
      if (line ~ /[^ \t]/) last = line
    }
    FNR == 1 {
      split (FILENAME, part, "/")
      room = part[2]
      first = !seen[FILENAME]++
      inside = 0
      name = before = last = ""
      if (!first && !(room in known)) bad("src/" room " is not a room")
    }
    first { define(bare($0)); next }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
      split ($0, part, "\"")
      name = part[2]
      if (split (name, part, "/") != 2) {
        bad("\"" name "\" does not name a room")
        next
      }
      other = part[1]
      if (!(other in known)) bad("\"" name "\": no such room")
      else if (other != room && !((room, other) in may))
        bad(room " may not include " other " (" name ")")
      if (name ~ /_impl\.h$/ && other != room)
        bad(name " belongs to " other " alone")
      if (name ~ /\/raw\.h$/ && !((room, other) in raw))
        bad(name " is not for " room)
      next
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
      name = $0
      sub (/^[^<]*</, "", name); sub (/>.*/, "", name)
      if (("c", name) in c) next
      if (name in of) {
        if (!((room, of[name]) in lib))
          bad(room " may not include <" name ">")
      } else if (name ~ /^H5[A-Za-z]*\.h$/) {
        if (!((room, "hdf5") in lib)) bad(room " may not include <" name ">")
      } else bad("<" name "> is not a header that the house knows")
      next
    }
    /^[ \t]*#[ \t]*include/ { bad("include of neither kind"); next }
    { use(bare($0)) }
    END {
      for (i = 1; i <= n_lets; i++) {
        if (split (lets[i], part, ":") < 3) continue
        gsub (/ /, "", part[1]); gsub (/ /, "", part[2])
        if (!((part[1], part[2]) in strange))
          printf "rooms.sh: %s uses nothing of %s: not in KNOWN any more\n",
                 part[1], part[2]
        else if (strange[part[1], part[2]] <= part[3] + 0)
          delete said[part[1], part[2]]
      }
      for (pair in said) printf "%s", said[pair]
    }
  ' $(find src -name '*.[ch]' | sort) $(find src -name '*.[ch]' | sort) </dev/null)
  # Flags of an outside library go to its room only; hdf5.h includes mpi.h.
  (cd "$1" && for f in src/*/room.am; do
    [ -f "$f" ] || continue
    room=${f#src/}; room=${room%/room.am}
    case $room in
      base) own='XXHASH' ;;
      kern) own='DNNL' ;;
      wire) own='MPI|HWLOC' ;;
      store) own='MPI|HDF5|JANSSON' ;;
      data) own='MPI|HDF5|JPEG|PNG' ;;
      weights) own='JANSSON' ;;
      import) own='MPI|HDF5|ZLIB|ARCHIVE' ;;
      probe) own='MPI|SCALAPACK' ;;
      *) own='-' ;;
    esac
    $AWK -v own="^(IL|$own)\$" -v f="$f" '
      /^src_[a-z_]*(CPPFLAGS|CFLAGS)[ \t]*\+?=/ {
        rest = $0
        while (match (rest, /\$\([A-Z0-9]+_C(PP)?FLAGS\)/)) {
          name = substr (rest, RSTART + 2, RLENGTH - 3)
          rest = substr (rest, RSTART + RLENGTH)
          sub (/_C(PP)?FLAGS$/, "", name)
          if (name !~ own)
            printf "%s:%d: flags of %s do not belong to this room\n",
                   f, FNR, name
        }
      }' "$f"
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

# plant FILE LINE WORDS: a tree with this one line has this one complaint.
plant ()
{
  rm -rf "$tmp/src"
  mkdir -p "$tmp/src/${1%/*}"
  printf '%s\n' "$2" >"$tmp/src/$1"
  offenders "$tmp" >"$tmp/said"
  [ "$(wc -l <"$tmp/said")" -eq 1 ] && grep -q -F -- "$3" "$tmp/said"
  ok $? "seen: $2 in $1"
}

# clean FILE LINE: and this has none.
clean ()
{
  rm -rf "$tmp/src"
  mkdir -p "$tmp/src/${1%/*}"
  printf '%s\n' "$2" >"$tmp/src/$1"
  offenders "$tmp" >"$tmp/said"
  [ ! -s "$tmp/said" ]
  ok $? "allowed: $2 in $1"
}

# planted FILE LINES FILE LINES WORDS: two files, and one complaint with WORDS; none
# where they are empty.
planted ()
{
  rm -rf "$tmp/src"
  mkdir -p "$tmp/src/${1%/*}" "$tmp/src/${3%/*}"
  printf '%s\n' "$2" >"$tmp/src/$1"
  printf '%s\n' "$4" >"$tmp/src/$3"
  offenders "$tmp" >"$tmp/said"
  if [ -n "$5" ]; then
    [ "$(wc -l <"$tmp/said")" -eq 1 ] && grep -q -F -- "$5" "$tmp/said"
  else
    [ ! -s "$tmp/said" ]
  fi
  ok $? "${5:-allowed}: $4 in $3"
}

# What a header lets through: run includes model, whose header includes kern.
self_check_uses ()
{
  set -- kern/x.c 'enum status
kern_thing_do (const struct kern *k,
               int n)
{
}
static int
hidden (void)
{
}'
  use='#include "model/stage.h"
'
  planted "$@" run/x.c "$use  TRY (kern_thing_do (k, 1));" \
    'run/x.c:2: run may not use kern_thing_do of kern'
  planted "$@" run/x.h 'enum status
kern_thing_do (const struct kern *k, int n);' 'run/x.h:2: run may not use kern_thing_do'
  planted "$@" run/x.c 'static enum status (*f[]) (void) = {
  kern_thing_do,' 'run/x.c:2: run may not use'
  planted "$@" plan/x.c '  each (list, kern_thing_do);' 'plan/x.c:1: plan may not use'
  planted "$@" plan/x.c 'each (1 /* here
  */, kern_thing_do);' 'plan/x.c:2: plan may not use'
  planted "$@" model/x.c 'TRY (kern_thing_do (k, 1));' ''
  planted "$@" run/x.c '  /* kern_thing_do (k, 1)
   kern_thing_do (k, 1) */ say ("kern_thing_do (k)"); // kern_thing_do ()' ''
  planted "$@" run/x.c '  int kern_thing_do = s->kern_thing_do + t.kern_thing_do;' ''
  planted "$@" run/x.c '  hidden ();' ''
  planted "$@" run/x.c 'static int
kern_thing_do (void)
{
  return kern_thing_do ();' ''
  planted kern/x.h 'static inline int
kern_size (void)
{' run/x.c '  n = kern_size ();' 'run may not use kern_size'
  planted kern/x.h 'int
kern_size (void);' run/x.c '  n = kern_size ();' ''
  KNOWN='run : kern : 1'
  planted "$@" run/x.c '  kern_thing_do ();' ''
  planted "$@" run/x.c '  a ();' 'run uses nothing of kern'
  KNOWN='run : kern : 0'
  planted "$@" run/x.c '  kern_thing_do ();' 'run may not use kern_thing_do'
}

self_check ()
{
  KNOWN=
  self_check_uses
  KNOWN=
  plant base/x.c '#include "wire/wire.h"' 'base may not include wire'
  plant plan/x.c '#include "base/tensor.h" /* */
#include "model/stage.h"' 'plan/x.c:2: plan may not include model'
  plant run/x.c '#include "kern/kern.h"' 'run may not include kern'
  plant probe/x.h '#include "run/run.h"' 'probe may not include run'
  plant sweep/x.c '#include "run/run.h"' 'sweep may not include run'
  plant main/x.c '#include "store/lock_impl.h"' 'belongs to store alone'
  plant main/x.c '#include "wire/raw.h"' 'wire/raw.h is not for main'
  plant report/x.c '#include "store/raw.h"' 'store/raw.h is not for report'
  plant data/x.c '#include "import/import.h"' 'data may not include import'
  plant store/x.c '#include "data/data.h"' 'store may not include data'
  plant model/x.c '#include <dnnl.h>' 'model may not include <dnnl.h>'
  plant run/x.c '  # include <mpi.h>' 'run may not include <mpi.h>'
  plant wire/x.c '#include <H5Fpublic.h>' 'wire may not include'
  plant run/x.c '#include <jansson.h>' 'run may not include <jansson.h>'
  plant run/x.c '#include <turbojpeg.h>' 'run may not include <turbojpeg.h>'
  plant base/x.c '#include "status.h"' 'does not name a room'
  plant base/x.c '#include "extra/status.h"' 'no such room'
  plant base/x.c '#include <zmq.h>' 'not a header that the house knows'
  plant extra/x.c '#include <stdio.h>' 'src/extra is not a room'
  plant model/room.am 'src_model_libmodel_a_CPPFLAGS = $(DNNL_CPPFLAGS)' \
    'flags of DNNL'
  clean store/x.c '#include "wire/raw.h"
#include "store/x_impl.h"
#include <hdf5.h>'
  clean import/x.c '#include "store/raw.h"
#include <zlib.h>'
  clean base/x.c '#include <xxhash.h>'
  plant design/x.c '#include "run/run.h"' 'design may not include run'
  clean sweep/x.c '#include "store/run.h"
#include <spawn.h>'
  clean store/room.am 'src_store_libstore_a_CPPFLAGS = $(IL_CPPFLAGS) $(MPI_CPPFLAGS)'
}

if [ $# -ge 1 ]; then
  root=$1
else
  root=${abs_top_srcdir-$(dirname "$0")/..}
  known=$KNOWN
  self_check
  KNOWN=$known
fi
offenders "$root" >"$tmp/all"
sed 's/^/# /' "$tmp/all"
[ -d "$root/src" ] && [ ! -s "$tmp/all" ]
ok $? "every include and every use of the tree is in the table"
echo "1..$n"
exit $failed
