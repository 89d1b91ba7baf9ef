#!/bin/sh
# tests/import/decode.sh -- pixels that `import folder` makes of images of every
# kind are those of an independent decoder, what is damaged is refused, and
# EXIF turns images the right way.  Prints TAP.

here=$PWD
. "${abs_top_srcdir-$(dirname "$0")/../..}/tests/run/rig.sh"
twin=${abs_top_srcdir-$(dirname "$0")/../..}/tests/import/decode.py
case $twin in /*) ;; *) twin=$here/$twin ;; esac
python=
for p in python3 /usr/bin/python3; do
  if [ -z "$python" ] &&
    "$p" -c 'import h5py, numpy, PIL.Image' >/dev/null 2>&1; then
    python=$p
  fi
done
if [ -z "$python" ]; then
  echo "1..0 # SKIP no python3 with h5py, NumPy and PIL (an independent decoder)"
  exit 0
fi
one --version
if grep -q 'no libpng\|no libjpeg' said; then
  echo "1..0 # SKIP built without libjpeg-turbo or libpng"
  exit 0
fi
"$python" "$twin" make || { echo "1..0 # SKIP nothing made"; exit 0; }

# pixels FOLDER [WORDS...]: imported, and what decode.py says of them.
pixels ()
{
  folder=$1
  shift
  one import folder "$folder" raw=yes size=32 valid=0 test=0 "$@" \
    -o "$folder.h5" --force || { cat errors >&2; return 1; }
  "$python" "$twin" "$folder" >said 2>&1 || { cat said >&2; return 1; }
}

pixels png
ok $? "PNG: 1 to 16 bits, grey, palette, alpha, tRNS, gAMA, interlaced"
pixels jpeg
ok $? "JPEG: grey, CMYK, progressive, subsampled"
pixels held orient=yes
ok $? "orient=yes: the eight ways to hold a camera, JPEG and PNG"
one import folder held size=32 valid=0 test=0 -o kept.h5
[ $? = 0 ] && cat said errors | grep -q 'EXIF asks to turn them: 14, such as held/a'
ok $? "else they are counted and kept as they lie"

one import folder bad size=32 valid=0 test=0 -o bad.h5
status=$?
told=$(grep -c '^interlock: bad/a/.*x[.].*: ' errors)
bad=$(find bad/a -name '*x.*' | wc -l)
[ $status = 65 ] && [ "$told" -eq $((bad + 1)) ] && [ ! -e bad.h5 ] &&
  grep -q 'bad/a/gif-x.jpg: is a GIF image' errors &&
  grep -q "$bad of [0-9]* images: --skip-bad" errors
ok $? "every damaged image is named at once ($bad)"
for f in bad/a/*x.*; do
  grep -q "$f:" errors || { echo "# not named: $f"; false; }
done
ok $? "none is taken"
one import folder bad size=32 valid=0 test=0 -o bad.h5 --skip-bad &&
  cat said errors | grep -q "do not decode: $bad of" &&
  rm bad/a/*x.* &&
  one import folder bad size=32 valid=0 test=0 -o good.h5 &&
  cmp bad.h5 good.h5
ok $? "--skip-bad: the same file as without them"
done_testing
