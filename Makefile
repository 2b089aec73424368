# Every target sets up what it needs: a machine needs Python >= 3.11, git and make (Go is taken from PyPI).
# PYTHON=python3.12 chooses the Python; ARGS="-k name" goes to pytest.

.DEFAULT_GOAL := help
.PHONY: help demo test test-operator test-cluster test-plain test-other chaos e2e check docs controlplane promtool format generate golden bench lock clean
MAKEFLAGS += --no-print-directory
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE VIRTUAL_ENV
export PYTHON

BIN := .venv/bin
OTHER := .cache/venv-other
ARGS ?=

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s  %s\n", $$1, $$2}' Makefile

demo: ## the whole product in one minute, on a simulated switch
	@sh tools/venv.sh runtime .venv
	@$(BIN)/sipgw demo

test: check controlplane promtool ## check, then all tests, three parts side by side; the quick ones on another Python too
	@$(BIN)/python tools/side_by_side.py "$(MAKE) test-operator test-other" "$(MAKE) test-cluster" "$(MAKE) test-plain"

# With ARGS one of the parts may have no test at all.
PART = $(BIN)/pytest --junitxml=.cache/junit-$(1).xml -m "$(2)" -o cache_dir=.cache/pytest-$(1) $(3) $(ARGS) $(if $(ARGS),|| [ $$? = 5 ])

# Two halves of about the same time: what the operator and the control plane itself are tested by, and the rest.
OPERATOR_TESTS = tests/kube tests/controlplane

test-operator: controlplane ## of the tests that need a control plane, those of the operator
	@sh tools/venv.sh dev .venv
	@$(call PART,operator,controlplane,$(OPERATOR_TESTS))

test-cluster: controlplane ## and the others
	@sh tools/venv.sh dev .venv
	@$(call PART,cluster,controlplane,$(OPERATOR_TESTS:%=--ignore=%))

test-plain: ## the tests that need nothing but Python
	@sh tools/venv.sh dev .venv
	@$(call PART,plain,not controlplane)

test-other: ## the quick tests on the newest other Python that is at hand
	@sh tools/venv.sh dev .venv
	@other="$$(sh tools/venv.sh other .venv)"; \
	if [ -z "$$other" ]; then echo "skipped: no other Python (3.11, 3.12 or 3.13) is at hand"; else \
	PYTHON="$$other" sh tools/venv.sh test $(OTHER) && \
	SIPGW_HYPOTHESIS=few $(OTHER)/bin/pytest -q -m "not slow and not controlplane" -p no:cacheprovider $(ARGS) $(if $(ARGS),|| [ $$? = 5 ]); fi

chaos: controlplane ## edits and failures at random until all must be well: ROUNDS=10 SEED=1 PODS=3 WITHOUT=crd,disk-fill
	@sh tools/venv.sh dev .venv
	@SIPGW_CHAOS_ROUNDS=$(or $(ROUNDS),10) SIPGW_CHAOS_SEED=$(or $(SEED),1) SIPGW_CHAOS_PODS=$(or $(PODS),3) \
	SIPGW_CHAOS_WITHOUT=$(WITHOUT) $(BIN)/pytest -q -s $(ARGS) tests/ring/test_chaos.py

e2e: controlplane ## real pods on a real node; needs root and Debian's packages, else says so and ends well
	@sh tools/venv.sh dev .venv
	@bash tests/e2e/run.sh $(ARGS)

check: ## linters, types, the order of the rooms, generated files
	@sh tools/venv.sh dev .venv
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(if $(wildcard tools/generate.py),$(BIN)/python tools/generate.py --check)
	$(if $(wildcard tools/generate_charts.py),$(BIN)/python tools/generate_charts.py --check)

docs: ## the documentation as a site, in .cache/site; a dead link is an error
	@sh tools/venv.sh dev .venv
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir .cache/site

controlplane: ## build the Kubernetes control plane of the tests (9 minutes, once per version)
	@sh tools/controlplane.sh

promtool: ## build Prometheus' promtool for the tests of the alerts (5 minutes, once per version)
	@sh tools/controlplane.sh promtool

format: ## format the code and mend what the linter can mend
	@sh tools/venv.sh dev .venv
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

generate: ## write the files that are generated from the parameter table and the charts
	@sh tools/venv.sh dev .venv
	$(BIN)/python tools/generate.py
	$(BIN)/python tools/generate_charts.py

golden: ## rewrite the golden files of the tests; read the diff before you commit it
	@sh tools/venv.sh dev .venv
	$(BIN)/pytest -q --regold $(ARGS)

bench: controlplane ## the benchmarks, as a table
	@sh tools/venv.sh dev .venv
	@$(BIN)/python -m benchmarks $(ARGS)

LOCK := .cache/venv-lock/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: ## pin the dependencies anew after a change in pyproject.toml; UPGRADE=1 takes the newest of all
	@sh tools/venv.sh lock .cache/venv-lock
	$(LOCK) pyproject.toml --group dev -o constraints/dev.txt
	$(LOCK) pyproject.toml --group test -c constraints/dev.txt -o constraints/test.txt
	$(LOCK) pyproject.toml -c constraints/dev.txt -o constraints/runtime.txt
	$(LOCK) --group lock -o constraints/lock.txt
	$(LOCK) --group go -o constraints/go.txt

clean: ## remove everything that make made
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
