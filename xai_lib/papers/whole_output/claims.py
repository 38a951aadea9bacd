"""What the whole-output paper's §5 claims, as comparisons on the same pairs of a class and its rivals.

All are about these networks on new images, as the paper's own tables are. An image counts once, with the mean over its
pairs; a pair counts where both sides have a value.
"""

from collections.abc import Iterator

import pandas as pd

from xai_lib import published, statistics
from xai_lib.page.names import METHOD_NAMES, WHOLE_OUTPUT_NAMES
from xai_lib.papers.whole_output.analysis.scores import BETTER, CONTRASTIVE, of_pairs, paired
from xai_lib.papers.whole_output.experiment.explanations import Study
from xai_lib.statistics import Claim, Decided, decide

_NAMES = {"cauc": "CAUC", "cdrop": "CDROP", "cauc-bases": "CAUC"}
_TABLES = {"cauc": 1, "cdrop": 2}
_BASELINES = ("swox", "cwox-1sa", "cwox-1sb")
_PRINTED_BASES = ("grad-cam", "rise")  # of Tables 1 and 2
_ORDER = ("rise", "grad-cam", "excitation-backprop", "lime")  # of §5.1, from the best


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    return statistics.verdict_table(
        decided
        for model in dict.fromkeys(explained.model for explained in study.networks)
        for part in (_two_stages, _difference_or_product, _bases, _observer, _planted_part)
        for decided in part(study, model)
    )


def _two_stages(study: Study, model: str) -> Iterator[Decided]:
    for metric in _TABLES:
        for base in _PRINTED_BASES:
            for other in _BASELINES:
                text = (
                    f"CWOX-2s has a {BETTER[metric]} {_NAMES[metric]} than {WHOLE_OUTPUT_NAMES[other]}, with "
                    f"{METHOD_NAMES[base]}. {_printed(_TABLES[metric], metric, model, base, CONTRASTIVE, other)}"
                )
                yield _decide(study, model, "5.1, Tables 1-2", text, metric, CONTRASTIVE, other, base=base)


def _difference_or_product(study: Study, model: str) -> Iterator[Decided]:
    for metric in _TABLES:
        for base in _PRINTED_BASES:
            text = (
                f"CWOX-1sA has a {BETTER[metric]} {_NAMES[metric]} than CWOX-1sB, with {METHOD_NAMES[base]} (as both "
                "tables and §5 have it; the text of §5.1 says the opposite). "
                f"{_printed(_TABLES[metric], metric, model, base, 'cwox-1sa', 'cwox-1sb')}"
            )
            yield _decide(study, model, "5, Tables 1-2", text, metric, "cwox-1sa", "cwox-1sb", base=base)


def _bases(study: Study, model: str) -> Iterator[Decided]:
    for metric in ("cauc-bases", "cdrop"):
        for better, worse in ((_ORDER[0], _ORDER[1]), (_ORDER[0], _ORDER[2]), (_ORDER[0], _ORDER[3]),
                              (_ORDER[1], _ORDER[2]), (_ORDER[2], _ORDER[3])):  # fmt: skip
            name = _NAMES[metric]
            text = (
                f"Under CWOX-2s, {METHOD_NAMES[better]} has a {BETTER[metric]} {name} than {METHOD_NAMES[worse]}. "
                f"{_printed_bases(name.lower(), model, better, worse)}"
            )
            yield _decide(study, model, "5.1, Table 3", text, metric, better, worse, method=CONTRASTIVE)


def _observer(study: Study, model: str) -> Iterator[Decided]:
    if not (of_pairs(study)["metric"] == "matching-accuracy").any():
        return
    for other in ("cwox-1sb", "swox"):
        text = (
            f"Maps of CWOX-2s are matched with their classes more often than {WHOLE_OUTPUT_NAMES[other]}'s, with RISE. "
            "Here by another network, not by people (0.83 against "
            f"{_people(other)} among experts)."
        )
        yield _decide(study, model, "5.2, Table 4", text, "matching-accuracy", CONTRASTIVE, other, base="rise")


def _planted_part(study: Study, model: str) -> Iterator[Decided]:
    if of_pairs(study).query("metric == 'part-energy'")["value"].notna().sum() == 0:
        return
    for base in _PRINTED_BASES:
        for other in _BASELINES:
            text = (
                "A second-stage map lights up what tells a class from its rival: more of its energy lies in the "
                f"differing part than with {WHOLE_OUTPUT_NAMES[other]}, with {METHOD_NAMES[base]}."
            )
            yield _decide(study, model, "4.2", text, "part-energy", CONTRASTIVE, other, base=base)


def _decide(
    study: Study, model: str, section: str, text: str, metric: str, a: str, b: str, *, base: str = "", method: str = ""
) -> Decided:
    """The claim that ``a`` is better than ``b``, methods of a base explainer or base explainers of a method."""
    between = "method" if base else "base"
    claim = Claim(
        id="-".join(filter(None, ("whole-output", model, metric, base or method, a, b))),
        paper="whole_output",
        section=section,
        text=text,
        metric=metric,
        better=BETTER[metric],
        a=a,
        b=b,
        dataset=" ".join(filter(None, (study.run.label, model))),
        between=between,
    )
    found = of_pairs(study)
    found = found[(found["model"] == model) & (found["base" if base else "method"] == (base or method))]
    return decide(claim, paired(found, metric, between, a, b), unit="image")


def _printed(number: int, metric: str, model: str, base: str, a: str, b: str) -> str:
    rows = published.table("whole_output", number)
    rows = rows[(rows["metric"] == metric) & (rows["model"] == (model or "resnet50")) & (rows["base"] == base)]
    printed = rows.set_index("method")["printed"]
    return f"Printed: {printed[a]} against {printed[b]}."


def _printed_bases(metric: str, model: str, a: str, b: str) -> str:
    rows = published.table("whole_output", 3)
    rows = rows[(rows["metric"] == metric) & (rows["model"] == (model or "resnet50"))]
    printed = rows.set_index("base")["printed"]
    return f"Printed: {printed[a]} against {printed[b]}."


def _people(method: str) -> str:
    rows = published.table("whole_output", 4)
    return f"{rows[(rows['metric'] == 'matching-accuracy') & (rows['method'] == method)]['value'].item():.2f}"
