#!/bin/bash
#SBATCH --job-name=forecast
#SBATCH --array=1-8
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --output=slurm-%A_%a.log
# A Slurm array: a shard a task. Once all of them are done, a second job joins them.
#   job=$(sbatch --parsable examples/shards_slurm.sh artifacts/RUN sales.csv)
#   sbatch --dependency=afterok:$job --wrap 'python tools/report.py --join artifacts/parts --out artifacts/forecast'
set -eu
python run.py --mode infer --ckpt "$1" --csv "$2" --time-col date --id-col id --out artifacts/parts --tag forecast \
    --threads "$SLURM_CPUS_PER_TASK" --no-plots --overwrite --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
