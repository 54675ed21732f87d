#!/bin/sh
# One process of several, started by Slurm or by Open MPI: gives it the variables that torchrun would.
#   srun --kill-on-bad-exit=1 --ntasks 4 examples/ranks.sh python run.py ...
#   mpirun -np 4 examples/ranks.sh python run.py ...
set -eu
export RANK="${SLURM_PROCID:-$OMPI_COMM_WORLD_RANK}"
export WORLD_SIZE="${SLURM_NTASKS:-$OMPI_COMM_WORLD_SIZE}"
export LOCAL_RANK="${SLURM_LOCALID:-$OMPI_COMM_WORLD_LOCAL_RANK}"
export LOCAL_WORLD_SIZE="${SLURM_NTASKS_PER_NODE:-${OMPI_COMM_WORLD_LOCAL_SIZE:-$WORLD_SIZE}}"
if [ -z "${MASTER_ADDR:-}" ]; then
    MASTER_ADDR=127.0.0.1
    [ -z "${SLURM_JOB_NODELIST:-}" ] || MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
fi
export MASTER_ADDR
export MASTER_PORT="${MASTER_PORT:-$((20000 + ${SLURM_JOB_ID:-$PPID} % 20000))}" # a job's own
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"                                   # as torchrun does
exec "$@"
