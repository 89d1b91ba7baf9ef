#!/bin/bash
# tests/slurm/cluster.sh -- question: how does this behave on a Slurm cluster, if
# there is none at hand?
#
#     bash tests/slurm/cluster.sh NODES COMMAND [ARGUMENT ...]
#     bash tests/slurm/cluster.sh 4 bash          # look around by hand
#     bash tests/slurm/cluster.sh --check         # can it run here?  0: yes
#
# Nodes: one machine; root, and a kernel that gives namespaces.  Minutes: seconds
# to start and to end.
# Output: that of COMMAND, whose exit code is passed on.
#
# Starts munged, slurmctld and one slurmd for each of NODES virtual nodes of one
# CPU (CPUS: another number), runs COMMAND beside slurmctld, and ends.  All of it
# lives in one process namespace and goes with it: nothing has to be stopped,
# and nothing outside is read, changed or left but CLUSTER, a directory in /tmp
# with configuration and logs that is removed at the end (KEEP=1: it stays).
# Each node has its own network, host name and /dev/shm; files are shared, as on a
# cluster.  COMMAND finds
#
#   SLURM_CONF   for sbatch, srun, squeue, scontrol, ...
#   CLUSTER      that directory
#   CLUSTER/node NODE COMMAND ...   runs a command on a node, outside any job
#   CLUSTER/daemon NODE             starts its slurmd; the process is in NODE.pid
#
# Partitions: low0 (default) and low20 are preempted by high, with 0 and 20
# seconds of grace.  Packages: PACKAGES below, see jobs/need.sh.
set -eu
PATH=$PATH:/usr/sbin:/sbin
export PATH
PACKAGES="slurmctld slurmd slurm-client munge openmpi-bin iproute2"

# In words why it cannot run here; nothing if it can.  What no package cures
# comes first.
why_not () {
  local tool
  [ "$(id -u)" = 0 ] || { echo "only root may make virtual nodes"; return; }
  unshare --fork --pid --mount --uts --net --mount-proc sh -c '
    hostname try && mount -t tmpfs try /dev/shm' >/dev/null 2>&1 || {
    echo "the kernel gives no namespaces here"
    return
  }
  for tool in munged slurmctld slurmd srun mpirun ip; do
    command -v "$tool" >/dev/null || {
      echo "no $tool here (packages: $PACKAGES)"
      return
    }
  done
  unshare --fork --net sh -c 'ip link add try0 type bridge &&
    ip link add try1 type veth peer name try2' >/dev/null 2>&1 ||
    echo "the kernel gives no virtual networks here"
}

case ${1-} in
  --packages)
    echo "$PACKAGES"
    exit 0
    ;;
  --check)
    reason=$(why_not)
    [ -z "$reason" ] || { echo "$reason"; exit 69; }
    exit 0
    ;;
  --inside) ;;
  [1-9] | [1-9][0-9])
    [ $# -ge 2 ] || { echo "cluster: no command" >&2; exit 64; }
    reason=$(why_not)
    [ -z "$reason" ] || { echo "cluster: $reason" >&2; exit 69; }
    CLUSTER=$(mktemp -d /tmp/cluster.XXXXXX)
    export CLUSTER
    chmod 711 "$CLUSTER" # munge: its socket has to be in reach of all
    code=0
    unshare --fork --kill-child --pid --mount --uts --net --mount-proc \
      bash "$0" --inside "$@" || code=$?
    [ -n "${KEEP-}" ] || rm -rf "$CLUSTER"
    exit "$code"
    ;;
  *)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p;}' "$0"
    exit 64
    ;;
esac

# -- inside: this shell is process 1 of the namespace ----------------------------

n_nodes=$2
shift 2
subnet=10.99.0
SLURM_CONF=$CLUSTER/slurm.conf
export SLURM_CONF
mkdir "$CLUSTER"/{log,state,spool,tmp}

stop () {
  echo "cluster: $*" >&2
  tail -n 5 "$CLUSTER"/log/* >&2
  exit 70
}

# until SECONDS COMMAND ...: again and again, until it succeeds
until_true () {
  local tries=$(($1 * 20))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    sleep 0.05
  done
}

write_configuration () {
  local version
  version=$(slurmctld -V | sed 's/[^0-9]*\([0-9]*\).*/\1/')
  cat >"$SLURM_CONF" <<END
ClusterName=virtual
SlurmctldHost=head($subnet.200)
SlurmUser=root
SlurmdUser=root
# After a requeue a job is held until its old credential has expired.
AuthInfo=socket=$CLUSTER/munge.socket,cred_expire=5
StateSaveLocation=$CLUSTER/state
SlurmdSpoolDir=$CLUSTER/spool/%n
SlurmctldPidFile=$CLUSTER/slurmctld.pid
SlurmdPidFile=$CLUSTER/%n.pid
SlurmctldLogFile=$CLUSTER/log/slurmctld
SlurmdLogFile=$CLUSTER/log/%n
# PMIx keeps its sockets there: one directory for each node.
TmpFS=$CLUSTER/tmp/%n
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog=$CLUSTER/prolog
# Nodes have the CPUs that stand here, not those of the machine.
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PropagateResourceLimits=NONE
SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=1,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
# Short, so that tests are; not less than a busy machine needs to answer.
KillWait=${KILLWAIT:-8}
SlurmctldTimeout=10
SlurmdTimeout=15
ReturnToService=2
MinJobAge=7200
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=node[1-$n_nodes] NodeAddr=$subnet.[1-$n_nodes] CPUs=${CPUS:-1} Sockets=1 CoresPerSocket=${CPUS:-1} ThreadsPerCore=1 RealMemory=1000
PartitionName=DEFAULT Nodes=ALL MaxTime=60 State=UP
PartitionName=low0 Default=YES PriorityTier=1 GraceTime=0
PartitionName=low20 PriorityTier=1 GraceTime=20
PartitionName=high PriorityTier=9 PreemptMode=OFF
END
  # The other ways to end PMIx's exchange lose starts on busy machines.
  echo PMIxCollFence=ring >"$CLUSTER/mpi.conf"
  : >"$CLUSTER/plugstack.conf"
  [ "$version" -lt 23 ] && : >"$CLUSTER/cgroup.conf" ||
    echo CgroupPlugin=disabled >"$CLUSTER/cgroup.conf"
  # What a site's profile would set: root may; ranks that wait give way, since
  # there are more of them than cores; none is bound.
  cat >"$CLUSTER/prolog" <<'END'
#!/bin/sh
for word in OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none \
  PRTE_MCA_hwloc_default_binding_policy=none \
  OMPI_MCA_btl_base_warn_component_unused=0; do
  echo "export $word"
done
END
  cat >"$CLUSTER/node" <<'END'
#!/bin/sh
home=$(dirname "$0")
read -r holder <"$home/$1.holder"
shift
# --root: where all of this runs in a chroot
exec nsenter -t "$holder" --net --uts --mount --root --wdns="$PWD" "$@"
END
  cat >"$CLUSTER/daemon" <<'END'
#!/bin/sh
home=$(dirname "$0")
exec "$home/node" "$1" slurmd -N "$1" -f "$home/slurm.conf" \
  </dev/null >>"$home/log/$1.start" 2>&1
END
  chmod 755 "$CLUSTER"/{prolog,node,daemon}
}

# A node is a process that holds its namespaces.
make_node () { # number
  local name=node$1
  mkdir -p "$CLUSTER"/{spool,tmp}/"$name"
  # shellcheck disable=SC2016 # for the inner shell
  unshare --net --uts --mount sh -c '
    hostname "$1" && mount -t tmpfs -o mode=1777 shm /dev/shm &&
    ip link set lo up && echo "$$" >"$2.new" && mv "$2.new" "$2" &&
    exec sleep infinity' holder "$name" "$CLUSTER/$name.holder" \
    </dev/null >"$CLUSTER/log/$name.start" 2>&1 &
  until_true 10 test -s "$CLUSTER/$name.holder" || stop "$name did not come up"
  ip link add "wire$1" type veth peer name eth0 \
    netns "$(cat "$CLUSTER/$name.holder")"
  ip link set "wire$1" master switch up
  "$CLUSTER/node" "$name" sh -c \
    "ip addr add $subnet.$1/24 dev eth0 && ip link set eth0 up"
  "$CLUSTER/daemon" "$name" || stop "the daemon of $name did not start"
}

# shellcheck disable=SC2317 # by until_true
all_idle () {
  [ "$(sinfo -h -p low0 -t idle -o %D)" = "$n_nodes" ]
}

hostname head
ip link set lo up
ip link add switch type bridge
ip link set switch up
ip addr add "$subnet.200/24" dev switch
{
  echo "127.0.0.1 localhost"
  echo "$subnet.200 head"
  for ((i = 1; i <= n_nodes; i++)); do echo "$subnet.$i node$i"; done
} >"$CLUSTER/hosts"
mount --bind "$CLUSTER/hosts" /etc/hosts
write_configuration

(umask 077 && head -c 256 /dev/urandom >"$CLUSTER/munge.key")
munged --socket="$CLUSTER/munge.socket" --key-file="$CLUSTER/munge.key" \
  --pid-file="$CLUSTER/munged.pid" --seed-file="$CLUSTER/munged.seed" \
  --log-file="$CLUSTER/log/munged" </dev/null >"$CLUSTER/log/munged.start" 2>&1 ||
  stop "munged did not start"
until_true 10 test -S "$CLUSTER/munge.socket" || stop "munged did not start"
slurmctld -f "$SLURM_CONF" </dev/null >"$CLUSTER/log/slurmctld.start" 2>&1 ||
  stop "slurmctld did not start"
for ((i = 1; i <= n_nodes; i++)); do
  make_node "$i"
done
until_true 60 all_idle || { sinfo -Nl >&2; stop "not all nodes have come"; }

code=0
"$@" || code=$?
exit "$code"
