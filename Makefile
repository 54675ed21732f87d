# `make demo` shows the toolkit, `make check` is the inner loop, `make test` is what CI runs,
# `make fuzz` tries 10,000 pieces of rubbish at every door, and kills a run fifty times at each place.
PYTHON ?= python3
BIN := .venv/bin
# The published TinyTimeMixer, which ours is held against; its test is skipped where it does not install.
PEER := granite-tsfm==0.3.11
DEMO := --task classify --csv './data/demo/LP{1..4}a.csv' --context-len 31
RUN := train_classify_ctx31_ch4_alpha0.50_pwglobal_llm_ts_seed777_splitgroup

.PHONY: demo lint fast check compiled browser test fuzz clean

.venv/run: requirements.txt requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements.txt -c requirements.lock
	touch $@

# All at once, for the resolver takes its time; and pip compiles every module of them, where a tenth is ever imported.
.venv/dev: requirements.txt requirements.lock requirements-dev.txt requirements-pretrained.txt requirements-chronos.txt \
		requirements-tensorboard.txt requirements-mlflow.txt requirements-postgres.txt requirements-stream.txt \
		requirements-search.txt requirements-agent.txt requirements-complete.txt requirements-export.txt \
		requirements-federate.txt requirements-parquet.txt requirements-xlsx.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --no-compile -r requirements-dev.txt -c requirements.lock
	-$(BIN)/pip install -q --no-compile --no-deps $(PEER)
	touch .venv/run $@

demo: .venv/run
	$(BIN)/python -m sources.synthetic --out data/demo
	$(BIN)/python run.py --mode train $(DEMO) --epochs 3 --test-ratio 0.2 --overwrite
	$(BIN)/python run.py --mode infer $(DEMO) --ckpt ./artifacts/$(RUN) --eval-split test --overwrite

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

# Compiled tests are kept, whatever the shell says: to compile them took a third of what collecting them takes.
fast: .venv/dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow"

check: lint fast

# Chromium for the tests of pages, where Debian's packages can be installed; elsewhere those tests are skipped.
browser:
	@if command -v apt-get >/dev/null && ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ]; then \
		{ apt-get update -qq && apt-get install -qq -y --no-install-recommends $$(cat debian-packages.txt) >/dev/null; } \
			|| echo "Chromium could not be installed: the tests of pages are skipped"; \
	fi

# Tests are compiled once, not by each worker, and while mypy looks at the types: neither of these can use two cores.
compiled: .venv/dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest --collect-only -qq >/dev/null || true  # pytest tells, below

test:
	@$(MAKE) --no-print-directory -j 3 lint compiled browser
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

fuzz: .venv/dev
	FUZZ=10000 OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 tests/faults/test_fuzz.py tests/faults/test_kills.py

clean:
	rm -rf .venv build *.egg-info data/demo .pytest_cache .mypy_cache .ruff_cache
