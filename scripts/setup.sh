#!/usr/bin/env bash
# Create .venv from pyproject.toml under constraints.txt. Does nothing if that has been done.
#
# PYTHON=<interpreter> chooses the interpreter. The stamp is written last, so what was interrupted is begun again
# from nothing; after a change of pyproject.toml or constraints.txt a complete environment is brought up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly STAMP=.venv/complete
readonly OURS=.venv/made-by-make # an environment without it, and without a stamp, is a user's own
readonly LOG=.store/setup.log
readonly NEEDED_GB=4
readonly NEEDED_GB_CUDA=12
readonly RANGE="3.11, 3.12 or 3.13"

fail() {
    echo "set-up: $*" >&2
    exit 1
}

# Print what a complete environment was made for: this folder (an environment cannot be moved) and these files.
fingerprint() {
    pwd -P
    cat pyproject.toml constraints.txt scripts/setup.sh | git hash-object --stdin
}

# Print "<major.minor> <path>" of the interpreter behind $1 (not of an environment it may stand in).
interpreter() {
    "$1" -c 'import sys; v = sys.version_info; print("%d.%d %s" % (v[0], v[1], getattr(sys, "_base_executable", "")))' \
        2>/dev/null
}

identity() {
    "$1" -c "import sys; print(sys.version, sys.base_prefix)" 2>/dev/null
}

supported() {
    [[ $1 =~ ^3\.(11|12|13)$ ]]
}

# Print the path of the interpreter to build on: $PYTHON, or the first on PATH that runs and is in range.
choose_python() {
    local candidate found version path
    if [[ -n ${PYTHON:-} ]]; then
        found=$(interpreter "$PYTHON") || fail "Expected PYTHON to name Python $RANGE. Got $PYTHON, which does not run."
        read -r version path <<<"$found"
        supported "$version" || fail "Expected PYTHON to name Python $RANGE. Got $PYTHON, which is Python $version."
        echo "$path"
        return
    fi
    local seen=""
    for candidate in python3.11 python3.12 python3.13 python3; do
        found=$(interpreter "$candidate") || continue
        read -r version path <<<"$found"
        if supported "$version"; then
            echo "$path"
            return
        fi
        seen=" (only $candidate, which is Python $version)"
    done
    fail "Expected Python $RANGE on PATH. Got none$seen. Install one, or name it: make env PYTHON=/path/to/python3.11"
}

# True if .venv was once complete in this folder, still runs, and stands on the interpreter that PYTHON asks for.
usable() {
    [[ -f $STAMP && $(head -n 1 "$STAMP") == "$(pwd -P)" ]] && .venv/bin/python -c "" 2>/dev/null &&
        [[ -z ${PYTHON:-} || $(identity .venv/bin/python) == "$(identity "$PYTHON")" ]]
}

complete() {
    usable && [[ $(<"$STAMP") == "$(fingerprint)" ]]
}

check_disk() {
    local free_gb
    free_gb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    if ((free_gb < NEEDED_GB)); then
        fail "Expected at least $NEEDED_GB GB free here ($NEEDED_GB_CUDA GB where pip brings torch with CUDA)." \
            "Got $free_gb GB. Free some space and run the same command again."
    fi
}

# Say in one line why the step failed that ended with status $1 and whose output is in the log.
explain() {
    if grep -qiE 'no space left|disk quota exceeded' "$LOG" || (($(df -Pk . | awk 'NR == 2 { print $4 }') < 1024)); then
        fail "The disk filled up: the environment needs $NEEDED_GB GB, or $NEEDED_GB_CUDA GB with CUDA. Log: $LOG"
    elif grep -qiE 'ConnectionError|name resolution|unreachable|timed out|ProxyError|from versions: none' "$LOG"; then
        fail "The package registry could not be reached. Check the network, then run the same command again. Log: $LOG"
    fi
    if (($1 > 128)); then
        fail "pip was ended by signal $(($1 - 128)), perhaps for want of memory. Run the same command again. Log: $LOG"
    fi
    fail "pip failed: $( (grep -iE '^ *error' "$LOG" || tail -n 1 "$LOG") | tail -n 1) Log: $LOG"
}

# Run pip install under the lock: all output to the log, the large downloads to the terminal.
install() {
    { .venv/bin/python -m pip install --constraint constraints.txt "$@" 2>&1 | tee -a "$LOG" |
        sed -unE -e 's/^ *Downloading (.*\/)?([^\/ ]+) \(([0-9.]+ [MG]B)\).*/  \2 (\3)/p' \
            -e 's/^Installing collected packages.*/  installing/p'; } 2>/dev/null || explain $?
}

git --version >/dev/null 2>&1 || fail "Expected git on PATH. Got none."
if complete; then
    exit 0
fi
command -v flock >/dev/null || fail "Expected flock on PATH (package util-linux). Got none."
exec 9<constraints.txt
flock --nonblock 9 || { echo "Waiting for another set-up of this folder."; flock 9; }
if complete; then
    exit 0
fi

{ mkdir -p .store && : >"$LOG"; } 2>/dev/null || fail "Expected to write $LOG. Could not: is the disk full, or read-only?"
if usable; then
    echo "Bringing the environment in .venv up to date (log: $LOG)."
    touch "$OURS"
    rm "$STAMP"
else
    python=$(choose_python)
    "$python" -c "import ensurepip, venv" 2>/dev/null ||
        fail "Expected $python to have the module venv. Got none. On Debian and Ubuntu: apt install python3-venv"
    if [[ -e .venv || -L .venv ]] && [[ ! -f $OURS && ! -f $STAMP ]]; then
        fail "Expected no .venv, or one that make env made. Got another in $PWD: move it away or delete it first."
    fi
    rm -rf .venv
    check_disk
    echo "Creating the environment in .venv with $("$python" --version) (once, some minutes; log: $LOG)."
    mkdir .venv
    touch "$OURS"
    "$python" -m venv .venv >>"$LOG" 2>&1 || explain $?
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0
install --editable ".[dev]"
# quantus asks for opencv-python, which needs a display library; grad-cam for the headless one. Both write cv2/ and
# the last one wins. The metadata of both stays, so pip finds every requirement met and never brings the other back.
install --no-deps --force-reinstall opencv-python-headless
fingerprint >"$STAMP.new"
mv "$STAMP.new" "$STAMP"
