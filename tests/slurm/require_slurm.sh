#!/bin/sh
# Makes sure there is a Slurm for the tests; installs Debian's where that is allowed.
have_slurm() {
    for name in slurmctld slurmd munged sbatch; do
        PATH="$PATH:/usr/sbin" command -v "$name" >/dev/null 2>&1 || return 1
    done
}
have_slurm && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
fi
have_slurm && exit 0
echo "The tests on a cluster are skipped, for there is no Slurm here (on Debian: apt install slurmctld slurmd munge)." >&2
