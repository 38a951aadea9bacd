# The front door: `make help` lists what there is. Every target makes the environment it needs by itself.
SHELL := bash

SCALE ?= demo## budget of a run: demo, laptop, paper or smoke
DATASET ?=## planted, cifar10, cifar100 or folder:<path> (default: the scale's)
LABEL ?=## how the book calls the data (default: its name)
OVERRIDES ?=## single values of the scale, as "seeds=3, n_scored=500"
DOWNLOAD ?=## 1 or True: data that is missing may be downloaded
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)## processes that run at a time
PROFILE ?= profiles/local## where it runs: profiles/local or profiles/slurm
LAUNCHER ?=## command in front of what must run on a cluster's node: see profiles/slurm
IMAGE ?=## photograph of make explain (default: a cat that scikit-image ships)
MODEL ?=## network of make explain, as timm:resnet50 (default: EfficientNet-Lite0)
OUTPUT ?= explanation.html## what make explain writes: a page (.html) or a picture (.png)
PORT ?= 8000## port of make serve
PYTHON ?=## interpreter of a new environment (default: the first of python3.11, 3.12, 3.13 that runs)

# What is given on the command line or in the environment is text, in which make expands nothing.
GIVEN := SCALE DATASET LABEL OVERRIDES DOWNLOAD CORES PROFILE LAUNCHER IMAGE MODEL OUTPUT PORT PYTHON
$(foreach name,$(GIVEN),$(if $(filter file,$(origin $(name))),,$(eval override $(name) := $$(value $(name)))))
export $(GIVEN)

IN_ENV := PATH="$$PWD/.venv/bin:$$PATH"
LOCKED := flock -n -o -E 75 .store/book.lock
BOOK := book/_build/html/index.html

.PHONY: help env book plan explain serve test lint bench clean
.DEFAULT_GOAL := help

help: ## list targets and variables
	@echo "Targets:"
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-13s %s\n", $$1, $$2 }'
	@echo "Variables:"
	@sed -nE 's/^([A-Z]+) \?= ?(.*)## (.*)/  \1|\3|\2/p' Makefile | sed -E 's/\|\$$.*|\|$$//' | \
		awk -F'|' '{ printf "%-13s %s%s\n", $$1, $$2, $$3 ? " [" $$3 "]" : "" }'

env: ## create or update the environment in .venv
	@bash scripts/setup.sh

book: env ## compute what the store lacks, run the notebooks, build the book
	@test -f "xai_lib/run/scales/$$SCALE.yaml" || { echo "Unknown SCALE=$$SCALE. Choose from: $(sort $(basename $(notdir $(wildcard xai_lib/run/scales/*.yaml))))." >&2; exit 1; }
	@mkdir -p .store
	@$(IN_ENV) $(LOCKED) snakemake book --profile "$$PROFILE" --cores "$$CORES" --nolock --rerun-incomplete \
		--config scale="=$$SCALE" $${DATASET:+dataset="=$$DATASET"} $${LABEL:+label="=$$LABEL"} \
		$${OVERRIDES:+overrides="=$$OVERRIDES"} $${DOWNLOAD:+download="=$$DOWNLOAD"} $${LAUNCHER:+launcher="=$$LAUNCHER"} \
		|| { status=$$?; \
		[ $$status -ne 75 ] || echo "Another make book is running in this folder. Wait for it, or stop it first." >&2; \
		exit $$status; }
	@echo "The book: $(CURDIR)/$(BOOK) (or: make serve)"

plan: env ## print forwards, core-hours, memory and disk of a run, and how far the estimate is off for what is done
	@$(IN_ENV) python -m xai_lib plan --scale "$$SCALE" --dataset "$$DATASET" --label "$$LABEL" --overrides "$$OVERRIDES" \
		--download "$${DOWNLOAD:-False}"

explain: env ## explain one photograph on one page
	@$(IN_ENV) python -m xai_lib explain --model="$$MODEL" --output="$$OUTPUT" -- "$$IMAGE"

serve: ## show the built book at http://127.0.0.1:PORT
	@test -f $(BOOK) || { echo "There is no book yet. Run: make book" >&2; exit 1; }
	@.venv/bin/python -m http.server --bind 127.0.0.1 --directory $(dir $(BOOK)) "$$PORT"

test: lint ## check the style and run every test, two at a time
	@$(IN_ENV) OMP_NUM_THREADS=1 python -m pytest -n 2 -m "not slow"
	@$(IN_ENV) OMP_NUM_THREADS=1 python -m pytest -n 2 -m slow

lint: env ## check style and format
	@$(IN_ENV) ruff check
	@$(IN_ENV) ruff format --check

bench: env ## print our speed as ratios to the reference libraries
	@for file in benchmarks/[a-z]*.py; do $(IN_ENV) python "$$file" || exit 1; done

clean: ## remove the built book and executed notebooks; keeps .store (computed work) and .venv
	rm -rf book/_build book/executed
