"""What the whole-output paper's §5 claims, as comparisons on the same pairs of a class and its rivals.

All are about these networks on new images, as the paper's own tables are. An image counts once, with the mean over its
pairs; a pair counts where both sides have a value.
"""

import itertools
from collections.abc import Iterator

import pandas as pd

from xai_lib import published, statistics
from xai_lib.page.names import METHOD_NAMES, WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output.analysis.scores import BETTER, RANGES, TABLES, of_pairs, paired
from xai_lib.papers.whole_output.method.evaluation import CONTRASTIVE
from xai_lib.run.study import Study
from xai_lib.statistics import Claim, Decided, decide

_NAMES = {"cauc": "CAUC", "cdrop": "CDROP", "cauc-bases": "CAUC"}
_BASELINES = ("swox", "cwox-1sa", "cwox-1sb")
_PRINTED_BASES = ("grad-cam", "rise")  # of Tables 1 and 2
_BEFORE = (  # §5.1, from the best: RISE, Grad-CAM, MWP, LIME
    ("rise", "grad-cam"),
    ("rise", "excitation-backprop"),
    ("rise", "lime"),
    ("grad-cam", "excitation-backprop"),
    ("excitation-backprop", "lime"),
)


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    parts = (_methods, _bases, _observer, _planted_part)
    models = dict.fromkeys(explained.model for explained in study.networks)
    return statistics.verdict_table(found for model in models for part in parts for found in part(study, model))


def _methods(study: Study, model: str) -> Iterator[Decided]:
    corners = list(itertools.product(TABLES, _PRINTED_BASES))
    for (metric, base), other in itertools.product(corners, _BASELINES):
        text = (
            f"CWOX-2s has a {_better(metric)} than {WHOLE_OUTPUT_NAMES[other]}, with {METHOD_NAMES[base]}. "
            f"{_printed(TABLES[metric], metric, model, CONTRASTIVE, other, base=base)}"
        )
        yield _decided(study, model, "5.1, Tables 1-2", text, metric, CONTRASTIVE, other, base=base)
    for metric, base in corners:
        in_print = _printed(TABLES[metric], metric, model, "cwox-1sa", "cwox-1sb", base=base)
        text = (
            f"CWOX-1sA has a {_better(metric)} than CWOX-1sB, with {METHOD_NAMES[base]} (as both tables and §5 have "
            f"it; the text of §5.1 says the opposite). {in_print}"
        )
        yield _decided(study, model, "5, Tables 1-2", text, metric, "cwox-1sa", "cwox-1sb", base=base)


def _bases(study: Study, model: str) -> Iterator[Decided]:
    for metric, (a, b) in itertools.product(("cauc-bases", "cdrop"), _BEFORE):
        text = (
            f"Under CWOX-2s, {METHOD_NAMES[a]} has a {_better(metric)} than {METHOD_NAMES[b]}. "
            f"{_printed(3, _NAMES[metric].lower(), model, a, b)}"
        )
        yield _decided(study, model, "5.1, Table 3", text, metric, a, b, method=CONTRASTIVE)


def _observer(study: Study, model: str) -> Iterator[Decided]:
    if not (of_pairs(study)["metric"] == "matching-accuracy").any():
        return
    experts = published.table("whole_output", 4).query("metric == 'matching-accuracy'").set_index("method")["value"]
    for other in ("cwox-1sb", "swox"):
        text = (
            f"Maps of CWOX-2s are matched with their classes more often than {WHOLE_OUTPUT_NAMES[other]}'s, with RISE. "
            f"Here by another network, not by people (0.83 against {experts[other]:.2f} among experts)."
        )
        yield _decided(study, model, "5.2, Table 4", text, "matching-accuracy", CONTRASTIVE, other, base="rise")


def _planted_part(study: Study, model: str) -> Iterator[Decided]:
    if of_pairs(study).query("metric == 'part-energy'")["value"].notna().sum() == 0:
        return
    for base, other in itertools.product(_PRINTED_BASES, _BASELINES):
        text = (
            "A second-stage map lights up what tells a class from its rival: more of its energy lies in the "
            f"differing part than with {WHOLE_OUTPUT_NAMES[other]}, with {METHOD_NAMES[base]}."
        )
        yield _decided(study, model, "4.2", text, "part-energy", CONTRASTIVE, other, base=base)


def _decided(
    study: Study, model: str, section: str, text: str, metric: str, a: str, b: str, *, base: str = "", method: str = ""
) -> Decided:
    """The claim that ``a`` is better than ``b``, methods of a base explainer or base explainers of a method."""
    name = "-".join(filter(None, ("whole-output", model, metric, base or method, a, b)))
    between, dataset = "method" if base else "base", " ".join(filter(None, (study.run.label, model)))
    about = {"paper": "whole_output", "dataset": dataset, "between": between, "ours": metric == "part-energy"}
    about |= {"range": RANGES[metric], "relevant": (RANGES[metric][1] - RANGES[metric][0]) / 100}
    claim = Claim(name, section, text, metric, BETTER[metric], a, b, **about)
    found = of_pairs(study)
    found = found[(found["model"] == model) & (found["base" if base else "method"] == (base or method))]
    return decide(claim, paired(found, metric, between, a, b), unit="image")


def _better(metric: str) -> str:
    return f"{BETTER[metric]} {_NAMES[metric]}"


def _printed(number: int, metric: str, model: str, a: str, b: str, *, base: str = "") -> str:
    rows = published.table("whole_output", number)
    rows = rows[(rows["metric"] == metric) & (rows["model"] == (model or "resnet50"))]
    printed = rows[rows["base"] == base].set_index("method") if base else rows.set_index("base")
    return f"Printed: {printed.loc[a, 'printed']} against {printed.loc[b, 'printed']}."
