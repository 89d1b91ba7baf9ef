#!/bin/sh
# tests/main/installed.sh -- what make install brings works from where it lies:
# below a DESTDIR, and moved elsewhere.  Prints TAP.

RUN_LIMIT=60
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
build=${abs_top_builddir-${I%/*}}
top=${abs_top_srcdir-$(sed 1q "$build/source-tree")}
[ -f "$build/Makefile" ] || { echo "1..0 # SKIP no build directory"; exit 0; }
top=$(cd "$top" && pwd -P)

# where NAME: of the program at hand
for name in jobs datasets doc; do
  [ "$("$build/interlock" --where $name)" = "$top/$name" ]
  ok $? "where it was built, --where $name is that of the sources"
done
one --where job
[ $? = 64 ] && grep -q 'did you mean jobs' errors
ok $? "an unknown name: 64"
one --where
[ $? = 64 ] && grep -q 'jobs datasets doc' errors
ok $? "no name: 64"

# Not the make of the tests: its flags are about something else.
env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$build" install \
  prefix=/opt/il DESTDIR="$tmp/stage" >said 2>errors
ok $? "make install with another prefix below a DESTDIR"
at=$tmp/stage/opt/il
for name in jobs datasets; do
  (cd "$top/$name" && find . -type f ! -name '.*' | sort) >want
  (cd "$at/share/interlock/$name" && find . -type f | sort) >said
  [ -s want ] && diff want said >errors
  ok $? "all of $name/ is there"
done
bad=0
for script in "$at"/share/interlock/jobs/*.sh "$at"/share/interlock/jobs/*.sbatch; do
  case $script in */ready.sh | */supervise.sh) continue ;; esac
  [ -x "$script" ] || { echo "# $script"; bad=1; }
done
ok $bad "scripts that are run can be run"
for file in bin/interlock share/man/man1/interlock.1 share/man/man5/interlock.5 \
  share/bash-completion/completions/interlock share/zsh/site-functions/_interlock \
  share/doc/interlock/README.md share/doc/interlock/doc/install.md; do
  [ -s "$at/$file" ]
  ok $? "$file"
done
sh -n "$at/share/bash-completion/completions/interlock" 2>errors ||
  bash -n "$at/share/bash-completion/completions/interlock" 2>errors
ok $? "its completion is whole"

mkdir elsewhere && mv "$at" elsewhere/il && at=$(cd elsewhere/il && pwd -P)
I=$at/bin/interlock
for name in jobs datasets; do
  [ "$("$I" --where $name)" = "$at/share/interlock/$name" ]
  ok $? "moved: --where $name"
done
[ "$("$I" --where doc)" = "$at/share/doc/interlock/doc" ]
ok $? "moved: --where doc"
jobs=$at/share/interlock/jobs
(unset INTERLOCK && sh "$jobs/program.sh") >said
[ "$(cat said)" = "$I" ]
ok $? "its jobs start its program"
mv "$at/share/interlock" "$at/share/away"
one --where jobs
[ $? = 69 ] && grep -q 'neither installed with' errors
ok $? "no jobs there: 69"
mv "$at/share/away" "$at/share/interlock"


cat >a.sweep <<'END'
[sweep]
name = set
root = out
train.seed = 1, 2
[model]
groups = 8x2,16x2
[stages]
head = gap-fc
[data]
file = data.h5
[train]
batch = 16
steps = 3
tune = no
END
mkdir bin
printf '#!/bin/sh\necho "$*" >>calls\necho 100\n' >bin/sbatch
printf '#!/bin/sh\n' >bin/scontrol
cp bin/scontrol bin/squeue
chmod +x bin/*
(PATH=$PWD/bin:$PATH && one sweep a.sweep submit)
[ $? = 0 ] && grep -q " $jobs/sweep.sbatch " calls
ok $? "sweep submit takes the installed job script"

# A job that starts from nothing, in an empty folder, with no program named.
mkdir desk && cd desk || exit 1
cp "$top/README.md" text.txt
(unset INTERLOCK BUILD && LAUNCH=env SPANS="1 all" OUT=job PROMPT=the TOKENS=8 \
  WORDS="model.layers=3 model.d_model=16 model.heads=2 model.context=16
    stages.cut=1,1,1,rest train.batch=8 train.steps=4 train.warmup=1" \
  sh "$jobs/language.sh" text.txt) >said 2>errors </dev/null
[ $? = 0 ] && grep -q '^| end to end |' said && [ -f job/text.h5 ]
ok $? "a job from the installed files"

done_testing
