"""The command line: list the jobs of a run, do one, execute a notebook, record a part.

``python -m xai_lib --help`` names the commands, ``python -m xai_lib train --help`` the options of one.

python -m xai_lib plan --scale laptop
python -m xai_lib score --loss ce --seed 0 --scale demo
python -m xai_lib whole-output --network 0 --part paper --chunks 0,1 --scale demo
python -m xai_lib execute notebooks/contrastive/evaluation.ipynb out.ipynb --scale demo
python -m xai_lib explain photo.jpg --model timm:resnet50 --output explanation.html
python -m xai_lib record notebooks/contrastive book/recorded/contrastive/laptop --scale laptop --dataset folder:<path>
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SETTINGS = ("scale", "dataset", "label", "device", "overrides", "download")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it did what was asked, or data are too few for it, 1 and one line on stderr if not."""
    options = _parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        options.run(options)
    except (TypeError, ValueError, OSError, RuntimeError, ArithmeticError) as error:
        if type(error).__name__ == "NotEnoughError":  # importing it takes seconds
            print(f"Left out: {error}", file=sys.stderr)
            return 0
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, any text as it is: argparse takes no value that begins with a hyphen, and the value -- for none."""
    found, waiting = [], list(arguments)
    while waiting:
        found.append(waiting.pop(0))
        if found[-1] in ("--dataset", "--label", "--overrides") and waiting and not waiting[0].startswith("--"):
            found[-1] += f"={waiting.pop(0)}"
    options = _parser().parse_args(found)
    vars(options).update({name: "--" for name in _SETTINGS if getattr(options, name, None) == []})
    return options


def _cells(options: argparse.Namespace) -> None:
    from xai_lib.run import workflow

    json.dump(workflow.plan(_run(options)), sys.stdout)


def _plan(options: argparse.Namespace) -> None:
    from xai_lib.run import estimate

    print(estimate.told(estimate.estimate(_run(options))))


def _compute(options: argparse.Namespace) -> None:
    from xai_lib.run import workflow

    workflow.compute(_run(options), options.command, **{name: getattr(options, name) for name in options.own})


def _execute(options: argparse.Namespace) -> None:
    from xai_lib.run.notebook import declared, execute

    known = declared(options.notebook)  # a notebook about one data set does not ask for it
    execute(options.notebook, options.output, {name: v for name, v in _given(options).items() if name in known})


def _record(options: argparse.Namespace) -> None:
    from xai_lib.page.record import record

    with tempfile.TemporaryDirectory() as drafts:
        record(options.notebooks, options.folder, _given(options), Path(drafts))


def _explain(options: argparse.Namespace) -> None:
    from xai_lib import explain, your_images

    output = explain.checked_output(options.output)
    more = {name: your_images.parse_statistics(given) for name in ("mean", "std") if (given := getattr(options, name))}
    if options.classes:
        more["classes"] = your_images.class_names(options.classes)
    if options.methods:
        more["methods"] = options.methods
    more |= {name: getattr(options, name) for name in ("size", "checkpoint", "arguments", "logits")}
    print(explain.explain(options.image or None, options.model or explain.NETWORK, **more).save(output))


def _given(options: argparse.Namespace) -> dict[str, Any]:
    more = dict(pair.split("=", 1) for pair in getattr(options, "parameter", []))
    return {name: getattr(options, name) for name in _SETTINGS if getattr(options, name) != ""} | more


def _run(options: argparse.Namespace) -> "Settings":  # noqa: F821
    from xai_lib.run.settings import settings  # torch takes seconds to import: a wrong option should not

    return settings(**{name: getattr(options, name) for name in _SETTINGS})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m xai_lib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    shared = _shared_options()

    def add(name: str, function: object, text: str, /, **own: dict[str, Any]) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, parents=[shared])
        for option, details in own.items():
            command.add_argument(f"--{option}", required=True, **details)
        command.set_defaults(run=function, own=tuple(own))
        return command

    loss, seed = {"choices": ("ce", "scl", "tl")}, {"type": _seed}
    network = {"type": int, "help": "its place in the list of networks, from 0"}
    add("cells", _cells, "list the jobs of a run as JSON")
    add("plan", _plan, "print what a run will take, from a trial on a few images")
    add("train", _compute, "train one network", loss=loss, seed=seed)
    add("score", _compute, "explain and score one network", loss=loss, seed=seed)
    pair = {"help": "two losses, as scl-ce"}
    add("match", _compute, "score networks of two losses, matched in accuracy", pair=pair, seed=seed)
    tuned = {"help": "name of a fine-tuning of the scale's recipe, as tuned"}
    add("tune", _compute, "fine-tune one network", name=tuned, seed=seed)
    methods = {"type": _names, "help": "names, separated by commas"}
    add("saliency", _compute, "score saliency methods on one network", seed=seed, methods=methods)
    part = {"help": "paper, released or clusterings"}
    chunks = {"type": _numbers, "help": "places of chunks of images, separated by commas"}
    text = "score whole-output explanations of one network"
    add("whole-output", _compute, text, network=network, part=part, chunks=chunks)
    add("dominance", _compute, "rank the clusters of each class by one network", network=network)
    training = {"type": int, "help": "its number, from 0"}
    add("rarity", _compute, "train on planted images with rare modes, and look for them", training=training)
    execute = add("execute", _execute, "run a notebook with parameters")
    execute.add_argument("notebook", type=Path)
    execute.add_argument("output", type=Path)
    _add_explain(commands)
    record = add("record", _record, "execute notebooks and keep what they show in a folder of the book")
    record.add_argument("notebooks", type=_notebooks, help="notebooks, separated by commas, or a folder of them")
    record.add_argument("folder", type=Path)
    record.add_argument("--parameter", action="append", default=[], help="of the notebooks, as name=value")
    return parser


def _add_explain(commands: Any) -> None:
    command = commands.add_parser("explain", help="explain one photograph on one page")
    command.add_argument("image", nargs="?", default="", help="default: a cat that scikit-image ships")
    page = Path("explanation.html")
    command.add_argument("--output", type=Path, default=page, help="a page (.html) or picture (.png)")
    command.add_argument("--methods", type=_names, default=[], help="names, separated by commas")
    command.add_argument("--size", type=int, help="side in pixels of what the network is shown")
    texts = {"model": "as timm:resnet50", "checkpoint": "file of its weights", "arguments": "as num_classes=10"}
    texts |= {"logits": "which of several outputs", "classes": "names with commas, or a file with one a line"}
    for name, text in {**texts, "mean": "of the three colours", "std": "of the three colours"}.items():
        command.add_argument(f"--{name}", default="", help=text)
    command.set_defaults(run=_explain)


def _shared_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--scale", default="demo", help="smoke, demo, laptop or paper")
    choices = "planted, cifar10, cifar100, folder:<path> or imagenet:<path>; default: the scale's"
    shared.add_argument("--dataset", default="", help=choices)
    shared.add_argument("--label", default="", help="how pages call the data")
    shared.add_argument("--device", default="auto", help="auto, cpu or cuda")
    shared.add_argument("--overrides", default="", help='values of the scale, as "epochs_ce=1, n_scored=64"')
    shared.add_argument("--download", type=_truth, default=False, help="whether missing data may be downloaded")
    return shared


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _notebooks(text: str) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, text.split(",")):
        here = sorted(path.glob("*.ipynb")) if path.is_dir() else [path] if path.is_file() else []
        if not here:
            raise argparse.ArgumentTypeError(f"expected notebooks or a folder of notebooks, got {str(path)!r}")
        found += here
    return found


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"expected True or False, got {text!r}")
    return text.lower() in ("true", "1")


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to {2**31 - 1}, got {text!r}")
    return int(text)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing temporary is left
    sys.exit(main())
