# make book | test | serve | …        each sets up .venv where it is missing
.DEFAULT_GOAL := help
.PHONY: help setup book pdf smoke test-fast test serve lint notebooks exercises clean

BIN := .venv/bin
HTML := _build/html
PORT ?= 8000
# The checkout's own commands first; one thread a worker, because the tests run two workers.
run = PATH="$(CURDIR)/$(BIN):$$PATH"

help:
	@echo "make book       build the book and print the page to open"
	@echo "make pdf        the book as one PDF (needs Chromium)"
	@echo "make smoke      a little of everything, while you work (20 s)"
	@echo "make test-fast  all tests but the slow ones and the built book's (3 minutes)"
	@echo "make test       everything: lint, derived files, book, tests, notebooks (27 minutes)"
	@echo "make serve      show the book at http://localhost:$(PORT)"
	@echo "make lint       ruff and mypy"
	@echo "make exercises  regenerate stubs and notebooks from their sources"
	@echo "make notebooks  the same, and run the notebooks whose code has changed"

setup:
	@PYTHON="$(PYTHON)" .ci/setup

book: setup
	@$(run) jupyter-book build . --toc book/_toc.yml -W --keep-going --quiet
	@echo
	@echo "The book is built. Open this page:  $(CURDIR)/$(HTML)/book/intro.html"
	@echo "or run 'make serve'."

pdf: book
	@$(run) python -m minitx.authoring.pdf

serve: book
	@echo "The book is at http://localhost:$(PORT)/book/intro.html   (Ctrl-C stops)"
	@$(run) python -m http.server $(PORT) --bind 127.0.0.1 --directory $(HTML)

lint: setup
	@$(run) ruff check .
	@$(run) ruff format --check .
	@$(run) mypy

exercises: setup
	@$(run) minitx exercises build

notebooks: setup
	@$(run) minitx exercises build --execute

# Two workers, a file or a page each, in the order in which tests/conftest.py puts the files.
TWO = -n 2 --dist loadfile --no-loadscope-reorder

# A little of every room: what breaks when something is thoroughly wrong.
SMOKE = tests/core/test_functional.py tests/core/test_masks.py tests/core/test_cores.py \
        tests/models/test_multihead.py tests/training/test_losses.py \
        tests/grading/test_run.py tests/grading/test_expectations.py

smoke: setup
	@$(run) ruff check --quiet .
	@$(run) OMP_NUM_THREADS=1 pytest $(SMOKE) -n 2 --dist loadfile -q

test-fast: setup
	@$(run) OMP_NUM_THREADS=1 pytest tests -m "not slow and not browser and not book" $(TWO) -q --durations=5

test: lint
	@echo "== 2 of 5: derived files are in step with their sources"
	@$(run) minitx exercises build --check
	@echo "== 3 of 5: the book builds without a warning"
	@$(MAKE) --no-print-directory book
	@echo "== 4 of 5: tests (the longest part), and which of them take longest"
	@$(run) OMP_NUM_THREADS=1 pytest tests $(TWO) --durations=15 --durations-min=5
	@echo "== 5 of 5: the stored outputs of every notebook are what its code gives today"
	@$(run) OMP_NUM_THREADS=1 pytest --nbval book solutions -n 2 --dist loadfile \
	    --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 600 -q

clean:
	rm -rf _build .venv
