# changelog.awk -- lines "ChangeLog: ..." of the commits, under their release and
# day, the newest first.
#
# Reads `git log` whose lines begin, for each commit, with its day, \002, the version
# in its line "Release: X.Y.Z", if it has one, \002, and \001.  Such a commit is the
# last of X.Y.Z: what is newer than all of them belongs to `version`, which is not
# released.
BEGIN { release = "interlock " version ", not released" }
{
  mark = index ($0, "\001")
  if (mark) {
    split (substr ($0, 1, mark - 1), head, "\002")
    day = head[1]
    if (head[2] != "")
      release = "interlock " head[2] ", " day
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
