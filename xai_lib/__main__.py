"""The command line: list the cells of a run, compute one, execute a notebook, record a run's tables.

python -m xai_lib cells --scale demo
python -m xai_lib train --loss ce --seed 0 --scale demo
python -m xai_lib score --loss ce --seed 0 --scale demo
python -m xai_lib tune --name tuned --seed 0 --scale demo
python -m xai_lib saliency --seed 0 --methods grad-cam,rise --scale demo
python -m xai_lib whole-output --network 0 --part paper --chunks 0,1 --scale demo
python -m xai_lib dominance --network 0 --scale demo
python -m xai_lib rarity --training 0 --scale demo
python -m xai_lib execute notebooks/contrastive/evaluation.ipynb out.ipynb --scale demo
python -m xai_lib record contrastive book/recorded/contrastive/laptop --scale laptop --dataset folder:<path>
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

_SETTINGS = ("scale", "dataset", "label", "device", "overrides", "download")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it did what was asked, 1 and one line on stderr if not."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _cells(options: argparse.Namespace) -> None:
    from xai_lib.run import workflow

    json.dump(workflow.plan(_run(options)), sys.stdout)


def _compute(options: argparse.Namespace) -> None:
    from xai_lib.run.workflow import compute

    compute(_run(options), options.command, options.loss, options.seed)


def _tune(options: argparse.Namespace) -> None:
    from xai_lib.run import tune

    tune.tuned(_run(options), options.name, options.seed)


def _saliency(options: argparse.Namespace) -> None:
    from xai_lib.run.workflow import compute_saliency

    compute_saliency(_run(options), options.seed, [name.strip() for name in options.methods.split(",")])


def _whole_output(options: argparse.Namespace) -> None:
    from xai_lib.run.workflow import compute_whole_output

    compute_whole_output(_run(options), options.network, options.part, options.chunks)


def _dominance(options: argparse.Namespace) -> None:
    from xai_lib.run.workflow import compute_dominance

    compute_dominance(_run(options), options.network)


def _rarity(options: argparse.Namespace) -> None:
    from xai_lib.run.workflow import compute_rarity

    compute_rarity(_run(options), options.training)


def _execute(options: argparse.Namespace) -> None:
    from xai_lib.run.notebook import declared, execute

    known = declared(options.notebook)  # a notebook about one data set does not ask for it
    given = {name: getattr(options, name) for name in _SETTINGS if name in known and getattr(options, name) != ""}
    execute(options.notebook, options.output, given)


def _record(options: argparse.Namespace) -> None:
    from xai_lib import record

    getattr(record, options.part.replace("-", "_")).record(_run(options), options.folder)


def _record_documents(options: argparse.Namespace) -> None:
    from xai_lib import record
    from xai_lib.papers.whole_output import experiment

    corpus = experiment.corpus_of_file(options.documents, experiment.class_names(options.class_index), options.label)
    record.whole_output.record_documents(_run(options), corpus, options.folder)


def _run(options: argparse.Namespace) -> "Settings":  # noqa: F821
    from xai_lib.run import settings  # torch takes seconds to import: a wrong option should not

    return settings.settings(**{name: getattr(options, name) for name in _SETTINGS})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m xai_lib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)

    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--scale", default="demo", help="smoke, demo, laptop or paper")
    shared.add_argument(
        "--dataset",
        default="",
        help="planted, cifar10, cifar100, folder:<path> or imagenet:<path>; default: the scale's",
    )
    shared.add_argument("--label", default="", help="how pages call the data")
    shared.add_argument("--device", default="auto", help="auto, cpu or cuda")
    shared.add_argument("--overrides", default="", help='values of the scale, as "epochs_ce=1, n_scored=64"')
    shared.add_argument("--download", type=_truth, default=False, help="whether missing data may be downloaded")

    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--loss", required=True, choices=("ce", "scl", "tl"))
    one.add_argument("--seed", required=True, type=int)

    def add(name: str, function: object, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, parents=[*parents, shared])
        command.set_defaults(run=function)
        return command

    add("cells", _cells, "list the jobs of a run as JSON")
    add("train", _compute, "train one network", one)
    add("score", _compute, "explain and score one network", one)
    tune = add("tune", _tune, "fine-tune one network")
    tune.add_argument("--name", required=True, help="name of a fine-tuning of the scale's recipe, as tuned")
    tune.add_argument("--seed", required=True, type=int)
    saliency = add("saliency", _saliency, "score saliency methods on one network")
    saliency.add_argument("--seed", required=True, type=int)
    saliency.add_argument("--methods", required=True, help="names, separated by commas")
    whole = add("whole-output", _whole_output, "score whole-output explanations of one network")
    whole.add_argument("--network", required=True, type=int, help="its place in the list of networks, from 0")
    whole.add_argument("--part", required=True, help="paper, released or clusterings")
    whole.add_argument("--chunks", required=True, type=_numbers, help="places of chunks of images, separated by commas")
    dominance = add("dominance", _dominance, "rank the clusters of each class by one network")
    dominance.add_argument("--network", required=True, type=int, help="its place in the list of networks, from 0")
    rarity = add("rarity", _rarity, "train on planted images with rare modes, and look for them")
    rarity.add_argument("--training", required=True, type=int, help="its number, from 0")
    execute = add("execute", _execute, "run a notebook with parameters")
    execute.add_argument("notebook", type=Path)
    execute.add_argument("output", type=Path)
    record = add("record", _record, "write a run's tables, figures and provenance into a folder of the book")
    record.add_argument("part", choices=("contrastive", "saliency", "whole-output", "dominance", "rarity"))
    record.add_argument("folder", type=Path)
    record = add("record-documents", _record_documents, "write the latent tree of a file of documents into a folder")
    record.add_argument("documents", type=Path, help="image -> ranked classes, JSON")
    record.add_argument("class_index", type=Path, help="class number -> [WordNet id, name], JSON")
    record.add_argument("folder", type=Path)
    return parser


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"expected True or False, got {text!r}")
    return text.lower() == "true"


if __name__ == "__main__":
    sys.exit(main())
