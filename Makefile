# make book | test | serve | lint | notebooks | exercises        each sets up .venv where it is missing
.DEFAULT_GOAL := help
.PHONY: help setup book test serve lint notebooks exercises clean

BIN := .venv/bin
HTML := _build/html
PORT ?= 8000
# The checkout's own commands first; one thread a worker, because the tests run two workers.
run = PATH="$(CURDIR)/$(BIN):$$PATH"

help:
	@echo "make book       build the book and print the page to open"
	@echo "make test       everything: lint, derived files, book, tests, notebooks"
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

test: lint
	@echo "== derived files are in step with their sources"
	@$(run) minitx exercises build --check
	@echo "== the book builds without a warning"
	@$(MAKE) --no-print-directory book
	@echo "== tests"
	@$(run) OMP_NUM_THREADS=1 pytest tests -n 2 --dist loadfile
	@echo "== the stored outputs of every notebook are what its code gives today"
	@$(run) OMP_NUM_THREADS=1 pytest --nbval book solutions -n 2 --dist loadfile \
	    --nbval-sanitize-with tests/nbval_sanitize.cfg --nbval-cell-timeout 120 -q

clean:
	rm -rf _build .venv
