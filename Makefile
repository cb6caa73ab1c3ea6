# Each target sets up what it needs: a virtual environment in .venv with the locked versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests --benchmark-skip
# one test at a time a core; whichever worker has nothing left takes from another
BESIDE := -n $(WORKERS) --dist worksteal
STAMP := $(VENV)/.installed

.PHONY: setup run test test-slow bench performance performance-baseline performance-check lint types report site extras lock clean

setup: $(STAMP)  ## the virtual environment alone

run: $(STAMP)  ## train, evaluate and measure all networks on the embedded road scenes
	$(BIN)/python -m harness run --all

test: $(STAMP)  ## the tests, without those marked slow
	$(PYTEST) $(BESIDE) -m "not slow"

test-slow: $(STAMP)
	$(PYTEST) $(BESIDE) -m "slow and not alone"
	$(PYTEST) -m "slow and alone"

bench: $(STAMP)  ## smoke benchmarks; the figures go to work/benchmarks.json
	mkdir -p work
	$(BIN)/python -m pytest -q tests/benchmarks --benchmark-only --benchmark-json=work/benchmarks.json

# CamVid is looked for in SEGNET_DATA_ROOT, ../shared/data and data.
PERFORMANCE := $(BIN)/python -m pytest -q -raP -o cache_dir=work/performance/cache --benchmark-only \
    --benchmark-columns=median,iqr,rounds tests/benchmarks/bench_performance.py

performance: $(STAMP)  ## the comparison with the PyTorch baseline at 360x480, and its report; half an hour alone
	$(PERFORMANCE) --performance=full
	$(BIN)/python -m harness report

performance-baseline: $(STAMP)  ## the same at 90x120, which performance-check judges by
	$(PERFORMANCE) --performance=small
	$(BIN)/python -m harness report

# what is worse is measured once more before it counts: something else may have run
performance-check: $(STAMP)  ## fails where a ratio at 90x120 is worse than the committed one by more than 25 %
	$(PERFORMANCE) --performance=check || \
	    { test $$? -eq 1 && $(PERFORMANCE) --performance=check --last-failed --last-failed-no-failures=none; }

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

report: $(STAMP)  ## regenerate reports/ from results/
	$(BIN)/python -m harness report

site: $(STAMP)  ## make site/ from results/
	$(BIN)/python -m harness site

extras: $(STAMP)  ## what some tests are skipped without: Ray, OpenVINO, and the package that our CRF is held against
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-extras.lock

lock:  ## resolve the versions anew (needs uv)
	uv pip compile --upgrade --universal --generate-hashes --no-header --extra dev --extra prepare --extra tensorboard \
	    --extra video pyproject.toml -o requirements.lock
	printf 'ray\npydensecrf2\nnncf>=3.4\nopenvino\n' | uv pip compile --upgrade --universal --generate-hashes --no-header \
	    --constraint requirements.lock - -o requirements-extras.lock

clean:
	rm -rf $(VENV) work

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)
