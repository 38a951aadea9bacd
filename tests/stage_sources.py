"""Hash the sources of each stage. Run as a script, it writes stage_sources.json after a version has been raised."""

import ast
import hashlib
import json
from pathlib import Path

from xai_lib.cells.stages import STAGES

REGISTRY = Path(__file__).with_name("stage_sources.json")
LIBRARY = Path(__file__).parents[1] / "xai_lib"


def normalised(source):
    """The code alone: comments, docstrings and layout do not change what is computed."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def digest(module):
    """SHA-256 of a module's code; ``module`` is a dotted name below ``xai_lib``."""
    file = LIBRARY / module.replace(".", "/")
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    return hashlib.sha256(normalised(file.read_text(encoding="utf-8")).encode()).hexdigest()


def current():
    """Stage -> its version and the hash of each of its sources, as the code is now."""
    return {
        name: {"version": stage.version, "sources": {module: digest(module) for module in sorted(stage.sources)}}
        for name, stage in STAGES.items()
    }


def unannounced(recorded, now):
    """Stage -> sources that differ (changed, added or dropped) although the stage's version is the recorded one."""
    found = {}
    for stage in recorded.keys() & now.keys():
        before, after = recorded[stage]["sources"], now[stage]["sources"]
        changed = sorted(module for module in before.keys() | after.keys() if before.get(module) != after.get(module))
        if changed and recorded[stage]["version"] == now[stage]["version"]:
            found[stage] = changed
    return found


if __name__ == "__main__":
    REGISTRY.write_text(json.dumps(current(), indent=2) + "\n")
