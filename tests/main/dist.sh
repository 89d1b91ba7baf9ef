#!/bin/sh
# tests/main/dist.sh -- a release has every file, and is configured and built
# without git and autotools.  Prints TAP.

RUN_LIMIT=100
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
build=${abs_top_builddir-${I%/*}}
top=${abs_top_srcdir-$(sed 1q "$build/source-tree")}
[ -f "$build/Makefile" ] || { echo "1..0 # SKIP no build directory"; exit 0; }

# Not the make of the tests: its flags are about something else.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$build" distdir \
  distdir="$tmp/release" >said 2>errors
ok $? "make distdir"

# What git knows but the release need not have.
if git -c safe.directory='*' -C "$top" rev-parse >/dev/null 2>&1; then
  git -c safe.directory='*' -C "$top" ls-files |
    grep -v -e '^\.ci/' -e '^\.gitignore$' | sort >want
  (cd release && find . -type f | sed 's|^\./||' | sort) >have
  comm -23 want have >said
  [ -s want ] && [ ! -s said ]
  ok $? "every file of the repository is in it"
else
  n=$((n + 1))
  echo "ok $n - files of the repository # SKIP it is not one"
fi

# Who calls one of these is told so, and fails.
mkdir none
for tool in git autoconf automake aclocal autoheader autoreconf autom4te; do
  printf '#!/bin/sh\necho "%s was called" >&2\nexit 99\n' $tool >none/$tool
  chmod +x none/$tool
done
PATH=$tmp/none:$PATH
unset ACLOCAL AUTOCONF AUTOMAKE AUTOHEADER
mkdir release/build && cd release/build || exit 1
configured=$(sed -n 's/^  \$ \(.*\)/\1/p' "$build/config.log" | head -n 1)
# The same words as the build was given, which found the libraries here.
eval "set -- $configured"
shift
../configure "$@" >said 2>errors
ok $? "configure"
# Up to the first make, which is none here.
mkdir "$tmp/fake" && printf '#!/bin/sh\n' >"$tmp/fake/make" && chmod +x "$tmp/fake/make"
echo >configure.arguments
touch -r ../Makefile.am stamp && touch ../Makefile.am
PATH=$tmp/fake:$PATH sh ../jobs/build.sh "$PWD" >said 2>errors
[ $? = 0 ] && grep -q '^build: make' said && ! grep -q 'autoreconf' said
ok $? "jobs/build.sh does not make it anew"
touch -r stamp ../Makefile.am
make -n all check-programs install DESTDIR=/nowhere >said 2>errors
[ $? = 0 ] && grep -q 'src/main/main.c' said && ! grep -q 'automake' said
ok $? "make finds all that it builds from"
printf '#!/bin/sh\necho "$4" >>%s/asked\necho installed\n' "$tmp" >"$tmp/none/dpkg-query"
cp "$tmp/none/dpkg-query" "$tmp/none/apt-get"
chmod +x "$tmp/none/dpkg-query" "$tmp/none/apt-get"
sh ../jobs/need.sh >said 2>errors
[ $? = 0 ] && grep -q -x libdnnl-dev "$tmp/asked" && ! grep -q auto "$tmp/asked"
ok $? "jobs/need.sh does not ask for autotools"
make src/base/libbase.a >said 2>errors
[ $? = 0 ] && [ -s src/base/libbase.a ] && ! grep -q 'was called' said errors
ok $? "and builds"

done_testing
