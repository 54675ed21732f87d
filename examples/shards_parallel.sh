#!/bin/sh
# GNU parallel: eight shards on one machine, as many at a time as it has cores.
#   sh examples/shards_parallel.sh artifacts/RUN sales.csv
set -eu
OMP_NUM_THREADS=1 parallel python run.py --mode infer --ckpt "$1" --csv "$2" --time-col date --id-col id \
    --out artifacts/parts --tag forecast --threads 1 --no-plots --shard '{}/8' ::: 1 2 3 4 5 6 7 8
python tools/report.py --join artifacts/parts --out artifacts/forecast
