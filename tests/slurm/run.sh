#!/bin/sh
# tests/slurm/run.sh -- question: do jobs/ keep their word on a real Slurm?
#
#     sh tests/slurm/run.sh build/interlock [CASE ...]
#
# Nodes: one machine; root.  Minutes: 4.
# Output: TAP; where it cannot run, one line that says why.
#
# Installs Slurm's packages (their services are kept from starting) and runs
# cases.sh on virtual nodes, see cluster.sh.  CASE is a function of cases.sh.
set -u

here=$(cd "$(dirname "$0")" && pwd)
skip () {
  echo "1..0 # SKIP Slurm: $1"
  exit 0
}
program=${1:?the program}
[ -x "$program" ] || { echo "no program $program" >&2; exit 64; }
shift

reason=$(bash "$here/cluster.sh" --check) || case $reason in
  *packages*)
    packages=$(bash "$here/cluster.sh" --packages)
    # Debian asks this file before it starts a service.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
      printf '#!/bin/sh\nexit 101\n' >$policy
      chmod 755 $policy
      trap 'rm -f $policy' EXIT
      trap 'exit 1' HUP INT TERM
    fi
    said=$(PACKAGES=$packages sh "$here/../../jobs/need.sh" 2>&1) ||
      skip "$(echo "$said" | tail -n 1)"
    reason=$(bash "$here/cluster.sh" --check) || skip "$reason"
    ;;
  *) skip "$reason" ;;
esac

timeout -k 10 "${SLURM_LIMIT:-480}" \
  env CPUS=4 bash "$here/cluster.sh" 29 bash "$here/cases.sh" "$program" "$@" </dev/null
code=$?
[ $code -ne 124 ] || echo "not ok - the cases took longer than their limit"
exit $code
