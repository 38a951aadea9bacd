# The workflow: cells of the store in parallel -> notebooks -> the book. `make book` calls it; by hand:
#
#   snakemake --profile profiles/local --config scale=laptop dataset=folder:/data/mine overrides="epochs_ce=1"
#
# Which cells there are, and what each needs, is the library's to say: `python -m xai_lib cells`. What stands after
# --config is passed on to it as options (--scale=laptop …), all but `launcher`: see profiles/slurm. It is text, as it is
# typed; a value may begin with "=", which is taken off, so that snakemake refuses none of them.

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path



def given():
    """The settings as text. Snakemake reads YAML, in which 007 is 7 and " #2" a comment, so it is what was typed."""
    typed = dict(pair.split("=", 1) for pair in workflow.config_settings.config_args or ())
    if "typed" in typed:  # a job on another machine, whose command line is made by snakemake
        return json.loads(bytes.fromhex(typed["typed"]))
    found = {name: typed.get(name, value) for name, value in config.items()}
    for name, value in found.items():
        if not isinstance(value, (str, bool, type(None))):
            raise WorkflowError(f"Expected text for {name}. Got {value!r}: put it in quotes.")
    return {name: str(value or "").removeprefix("=") for name, value in found.items()}


SETTINGS = {"scale": "demo"} | given()
workflow.config_settings.config_args = [f"typed={json.dumps(SETTINGS).encode().hex()}"]
LAUNCHER = shlex.split(SETTINGS.get("launcher", ""))
ARGUMENTS = [
    f"--{name.replace('_', '-')}={value}" for name, value in sorted(SETTINGS.items()) if value and name != "launcher"
]
STORE = Path(os.environ.get("XAI_STORE") or ".store")
PYTHON = sys.executable
if set("{}") & set(str(STORE)):
    raise WorkflowError(f"Expected a path without braces in XAI_STORE. Got {STORE}.")


def files(*patterns):
    """The files that match, in a fixed order."""
    return sorted(str(path) for pattern in patterns for path in Path().glob(pattern) if path.is_file())


def plan():
    """The cells, as the library lists them. Jobs on other machines read what the controller has written."""
    file = STORE / "plans" / f"{hashlib.sha256(json.dumps(ARGUMENTS).encode()).hexdigest()[:16]}.json"
    if workflow.is_main_process:
        command = [*LAUNCHER, PYTHON, "-m", "xai_lib", "cells", *ARGUMENTS]
        listing = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if listing.returncode:
            raise WorkflowError(f"The cells could not be listed: {' '.join(command)}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(listing.stdout)
    return json.loads(file.read_text())


def stamp(cell):
    """An empty file that says a cell is in the store. The cell itself is the store's, and no rule may delete it."""
    return str(STORE / "stamps" / cell["command"][0] / cell["key"])


CELLS = plan()
BY_ID = {cell["id"]: cell for cell in CELLS}
BY_KEY = {cell["key"]: cell for cell in CELLS}
NOTEBOOKS = [path for path in files("notebooks/**/*.ipynb") if ".ipynb_checkpoints" not in path]
EXECUTED = [f"book/executed/{Path(path).relative_to('notebooks')}" for path in NOTEBOOKS]
LIBRARY = files(*(f"xai_lib/**/*.{kind}" for kind in ("py", "yaml", "csv", "html", "js", "css")))
RECORDED = files("book/recorded/**/*")
PROSE = [path for path in files("_config.yml", "CHANGELOG.md", "README.md", "book/**/*")
         if not path.startswith(("book/executed/", "book/_build/", "book/recorded/"))]

if workflow.is_main_process:  # a clock was ahead: what it made is made again, what it wrote was written now
    for path in [*LIBRARY, *RECORDED, *PROSE, *NOTEBOOKS, *EXECUTED, "book/_build/html/.complete", *map(stamp, CELLS)]:
        if os.path.exists(path) and os.path.getmtime(path) > (now := time.time()):
            os.utime(path, (0, 0) if path.startswith(("book/executed/", "book/_build/")) else (now, now))

if workflow.is_main_process:  # stamps follow the store: notebooks may have filled it, a user may have emptied it
    for cell in CELLS:
        file = Path(stamp(cell))
        if not cell["done"]:
            file.unlink(missing_ok=True)
        elif not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()


rule all:
    input:
        "book/_build/html/.complete",


rule store:
    input:
        [stamp(cell) for cell in CELLS],


rule notebooks:
    input:
        EXECUTED,


# One rule a stage, so that a profile can give each its resources.
for stage in sorted({cell["command"][0] for cell in CELLS}):

    rule:
        name:
            stage
        output:
            str(STORE / "stamps" / stage / "{key,[0-9a-f]{64}}"),
        input:
            lambda wildcards: [stamp(BY_ID[need]) for need in BY_KEY[wildcards.key]["needs"]],
        params:
            command=lambda wildcards: [*BY_KEY[wildcards.key]["command"], *ARGUMENTS],
            python=lambda wildcards: PYTHON,
            finished=lambda wildcards: str(STORE / BY_KEY[wildcards.key]["folder"]),
        log:
            str(STORE / "logs" / stage / "{key}.log"),
        message:
            "{params.command} (progress: {log})"
        shell:
            """
            {params.python:q} -m xai_lib {params.command:q} > {log:q} 2>&1
            if [ ! -e {params.finished:q} ] && ! grep -q "^Left out: " {log:q}; then
                echo "Expected {params.finished}. Got another key: the machine that listed the cells has other" \
                    "arithmetic (precision is in the key). List them on one like this: see profiles/slurm." >> {log:q}
                exit 1
            fi
            touch {output:q}
            """


rule notebook:
    output:
        "book/executed/{name}.ipynb",
    input:
        notebook="notebooks/{name}.ipynb",
        cells=rules.store.input,
        library=LIBRARY,
        recorded=RECORDED,
    params:
        arguments=lambda wildcards: ARGUMENTS,  # a function, because snakemake fills in braces elsewhere
        python=lambda wildcards: PYTHON,
    log:
        str(STORE / "logs" / "notebook" / "{name}.log"),
    message:
        "{input.notebook}"
    shell:
        "{params.python:q} -m xai_lib execute {input.notebook:q} {output:q} {params.arguments:q} > {log:q} 2>&1"


rule book:
    output:
        "book/_build/html/.complete",
    input:
        notebooks=EXECUTED,
        prose=PROSE,
        recorded=RECORDED,
    params:
        jupyter_book=lambda wildcards: str(Path(PYTHON).with_name("jupyter-book")),
    log:
        str(STORE / "logs" / "book.log"),
    message:
        "book/_build/html/index.html"
    shell:
        # --all: warnings of a page that is not read again would be lost, and a strict build pass the second time
        "{params.jupyter_book:q} build book --path-output book --all -W --keep-going -n > {log:q} 2>&1"
        " && touch {output:q}"
