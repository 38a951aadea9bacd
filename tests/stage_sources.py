"""Hash the sources of each stage. Run as a script, it writes stage_sources.json after a version has been raised."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

from xai_lib.run import workflow  # noqa: F401 (which imports every stage)
from xai_lib.run.stage import STAGES

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


def path_of(module):
    """The file of a module; ``module`` is a dotted name."""
    file = LIBRARY.parent / module.replace(".", "/")
    return file / "__init__.py" if file.is_dir() else file.with_suffix(".py")


@cache
def imported(module):
    """The library's modules that a module imports, wherever in its code: packages on the way included."""
    file = path_of(module)
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == LIBRARY.name:
                found.update(".".join(parts[:n]) for n in range(1, len(parts) + 1))
    return {name for name in found if path_of(name).is_file()}


def closure(module):
    """All of the library that runs when a module does: what it imports, what that imports, and so on."""
    reached, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += imported(name)
    return reached


def sources(stage):
    """What a stage reaches: what its function's module does, and what makes the networks that it may be given."""
    return closure(stage.function.__module__) | closure(f"{LIBRARY.name}.run.networks")


def digest(module):
    """SHA-256 of a module's code."""
    return hashlib.sha256(normalised(path_of(module).read_text(encoding="utf-8")).encode()).hexdigest()


def current():
    """The hash of each module that a stage reaches, and each stage's version and modules, as the code is now."""
    stages = {name: sorted(sources(stage)) for name, stage in sorted(STAGES.items())}
    modules = sorted({module for reached in stages.values() for module in reached})
    return {
        "modules": {module: digest(module) for module in modules},
        "stages": {name: {"version": STAGES[name].version, "reaches": reached} for name, reached in stages.items()},
    }


def unannounced(recorded, now):
    """Stage -> modules that differ (changed, added or dropped) although the stage's version is the recorded one."""

    def sources(of, name):
        return {module: of["modules"][module] for module in of["stages"][name]["reaches"]}

    found = {}
    for name in recorded["stages"].keys() & now["stages"].keys():
        before, after = sources(recorded, name), sources(now, name)
        changed = sorted(module for module in before.keys() | after.keys() if before.get(module) != after.get(module))
        if changed and recorded["stages"][name]["version"] == now["stages"][name]["version"]:
            found[name] = changed
    return found


def written(found):
    """The registry's text: a line a module, a line a stage with the places of its modules in the list."""
    places = {module: place for place, module in enumerate(found["modules"])}
    modules = ",\n".join(f"  {json.dumps(module)}: {json.dumps(sha)}" for module, sha in found["modules"].items())
    short = {
        name: one | {"reaches": [places[module] for module in one["reaches"]]} for name, one in found["stages"].items()
    }
    stages = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in short.items())
    return f'{{\n"modules": {{\n{modules}\n}},\n"stages": {{\n{stages}\n}}\n}}\n'


def read():
    """What was written last."""
    found = json.loads(REGISTRY.read_text(encoding="utf-8"))
    names = list(found["modules"])
    for one in found["stages"].values():
        one["reaches"] = [names[place] for place in one["reaches"]]
    return found


if __name__ == "__main__":
    REGISTRY.write_text(written(current()), encoding="utf-8")
