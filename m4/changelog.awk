# changelog.awk -- lines "ChangeLog: ..." of the commits, under their release and
# day, the newest first.
#
# Reads `git log` whose lines begin, for each commit, with its day, \002, its tags
# as %D has them, and \001.  A tag vX.Y.Z ends release X.Y.Z: what is newer than
# the newest tag belongs to `version`, which is not released.
BEGIN { release = "interlock " version ", not released" }
{
  mark = index ($0, "\001")
  if (mark) {
    split (substr ($0, 1, mark - 1), head, "\002")
    day = head[1]
    if (match (head[2], /tag: v[0-9][0-9.]*/))
      release = "interlock " substr (head[2], RSTART + 6, RLENGTH - 6) ", " day
    $0 = substr ($0, mark + 1)
  }
  if ($0 == "")
    next
  if (release != "") {
    print (shown == "" ? "" : "\n") release
    release = shown = ""
  }
  if (day != shown) {
    print "\n" day "\n"
    shown = day
  }
  line = "  *"
  n = split ($0, word, " ")
  for (i = 1; i <= n; i++) {
    if (length (line) + 1 + length (word[i]) > 78) {
      print line
      line = "   "
    }
    line = line " " word[i]
  }
  print line
}
