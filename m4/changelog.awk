# changelog.awk -- lines "ChangeLog: ..." of the commits, under their day.
#
# Reads `git log` with a date, a blank and \1 in front of each commit's lines.
{
  mark = index ($0, "\001")
  if (mark) {
    day = substr ($0, 1, mark - 2)
    $0 = substr ($0, mark + 1)
  }
  if ($0 == "")
    next
  if (day != shown) {
    printf "%s%s\n\n", (shown == "" ? "" : "\n"), day
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
