#!/bin/bash
# What only a GPU shows, in at most eight minutes: bash tools/gpu_check.sh [--dry] [FOLDER FOR THE RUNS]
# Each part prints a line; the table of benchmarks/gpu.py is last and in FOLDER/gpu.md. Exits 1 where a part fails.
# --dry takes the CPU and next to nothing: it shows that the parts run, but for those that need CUDA.
set -u
dry=
if [ "${1:-}" = --dry ]; then
    dry=yes
    shift
fi
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
out=${1:-$(mktemp -d)}
mkdir -p "$out"
failed=0
device=cuda rows=400 batch=4096 few=400 repeats=2
if [ "$dry" ]; then
    device=cpu rows=6 batch=64 few=1 repeats=1
    export TORCHDYNAMO_DISABLE=1 # --compile compiles nothing
fi
end=$((SECONDS + 480))

part() { # part NAME EXPECTED-EXIT-CODE SECONDS COMMAND...
    local name=$1 expected=$2 seconds=$3 began=$SECONDS code=0
    shift 3
    [ $((end - SECONDS)) -gt "$seconds" ] || seconds=$((end - SECONDS))
    if [ "$seconds" -le 0 ]; then
        echo "left out  $name: the eight minutes are over"
        failed=1
        return
    fi
    timeout -s TERM "$seconds" "$@" >"$out/part.log" 2>&1 || code=$?
    if [ "$code" = "$expected" ]; then
        echo "ok        $name ($((SECONDS - began)) s)"
    else
        echo "FAILED    $name: exit code $code in place of $expected"
        tail -n 5 "$out/part.log" | sed 's/^/          /'
        failed=1
    fi
}

says() { # says NAME TEXT: what the last part printed
    grep -q -- "$2" "$out/part.log" || { echo "FAILED    $1: it does not say $2"; failed=1; }
}

if [ -z "$dry" ]; then
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "no CUDA device"; exit 2; }
fi
"$python" -m sources.synthetic --out "$out/data" --rows $rows >/dev/null || exit 1
line=(run.py --mode train --task classify --csv "$out"/data/LP*a.csv --context-len 31 --epochs 3 --batch-size $batch
    --device $device --reference off --no-plots --out "$out")
if [ "$dry" ]; then line+=(--model-args size=tiny); fi

part "line A: bf16 and CUDA graphs" 0 120 "$python" "${line[@]}" --amp --compile reduce-overhead --tag graphs
part "float32, eager" 0 60 "$python" "${line[@]}" --no-amp --tag eager
part "float16 with the gradient scaler" 0 60 "$python" -c '
import sys, torch
torch.cuda.get_device_capability = lambda *_: (7, 5)  # such a device has no bfloat16
import run
sys.exit(run.main(sys.argv[1:]))' "${line[@]:1}" --amp --tag scaled
part "stopped" 143 60 "$python" -c '
import os, signal, sys, run, trainer
plain = trainer.Trainer._step
def step(self, positions):
    plain(self, positions)
    if self.progress.epoch == 1:
        os.kill(os.getpid(), signal.SIGTERM)
trainer.Trainer._step = step
sys.exit(run.main(sys.argv[1:]))' "${line[@]:1}" --no-amp --tag stopped
part "resumed" 0 60 "$python" "${line[@]}" --no-amp --tag stopped --resume
part "as if it had not been stopped" 0 60 "$python" -c '
import pathlib, sys
from checkpoint import Checkpoint
a, b = (Checkpoint.load(pathlib.Path(sys.argv[1], name, "model.pt")).state for name in ("eager", "stopped"))
sys.exit(max(float((a[name].float() - b[name].float()).abs().max()) for name in a) > 1e-4)' "$out"
if [ -z "$dry" ]; then
    part "out of memory" 6 60 "$python" -c '
import sys, torch
torch.cuda.set_per_process_memory_fraction(0.02)
import run
sys.exit(run.main(sys.argv[1:]))' "${line[@]:1}" --no-amp --tag large --backbone llm_ts --batch-size 1000000
    says "out of memory" "--batch-size"
fi
part "NCCL with one rank" 0 90 "$python" -m torch.distributed.run --standalone --nproc-per-node 1 \
    "${line[@]}" --no-amp --tag nccl
part "benchmarks/gpu.py" 0 240 "$python" benchmarks/gpu.py --repeats $repeats --device $device --rows $few --batch-size $batch
cp "$out/part.log" "$out/gpu.md"
cat "$out/gpu.md"
exit $failed
