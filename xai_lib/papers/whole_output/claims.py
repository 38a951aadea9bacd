"""What the whole-output paper claims, as comparisons on the same pairs of a class and its rivals, about these networks
on new images. An image counts once, with the mean over its pairs; a pair counts where both sides have a value.
"""

import itertools
from collections.abc import Iterator
from functools import partial

import pandas as pd

from xai_lib import published, statistics
from xai_lib.page.names import METHOD_NAMES, WHOLE_OUTPUT_NAMES, network_name
from xai_lib.papers.whole_output.analysis.scores import BETTER, RANGES, TABLES, of_pairs, of_two_settings, paired
from xai_lib.papers.whole_output.method.evaluation import COARSE, CONTRASTIVE
from xai_lib.run.settings import Study
from xai_lib.statistics import Claim, Decided, decide

_UNTESTED = ("wordnet", "surer", "experts")
_NAMES = {"cauc": "CAUC", "cdrop": "CDROP", "cauc-bases": "CAUC", "salient-share": "share of salient pixels",
          "overlap": "overlap of the maps of two rivals"}  # fmt: skip
_IN_PRINT = {"cauc-bases": "cauc", "salient-share": "salient-pixels"}
_BASELINES = ("swox", "cwox-1sa", "cwox-1sb")
_PRINTED_BASES = ("grad-cam", "rise")  # of Tables 1 and 2
_OTHERS = ("grad-cam", "excitation-backprop", "lime")
_SAID = published.sentences("whole_output")
_SENTENCES = {name: sentence for name, (_, sentence, _) in _SAID.items()}


def verdicts(study: Study) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    parts = (_methods, _bases, _overlap, _observer, _planted)
    models = dict.fromkeys(explained.model for explained in study.networks)
    tested = statistics.verdict_table(found for model in models for part in parts for found in part(study, model))
    shared = {"paper": "whole_output", "dataset": study.run.label, "between": "method"}
    untested = statistics.untested(
        Claim(f"whole-output-{name}", *_SAID[name][:2], "none", "higher", CONTRASTIVE, "swox", **shared)
        for name in _UNTESTED
    )
    return pd.concat([tested, untested], ignore_index=True)


def tested_on(study: Study, model: str) -> str:
    """In a sentence, what claims about two stages are tested on, and what of two stages that exercises."""
    pairs = of_pairs(study).query("model == @model").drop_duplicates(["seed", "index", "class"])
    several = pairs["rivals"].str.contains(" ").mean()
    alone = "every cluster with rivals is a pair, so a union of rivals is not tested"
    rivals = f"{100 * several:.0f} % of the pairs have several rivals" if several else alone
    who = network_name(model) or f"{pairs['seed'].nunique()} of our own networks"
    return f"Tested with {who} on {pairs['index'].nunique()} images of {study.run.label}: {rivals}."


def _methods(study: Study, model: str) -> Iterator[Decided]:
    asked = [("two", "5.1", CONTRASTIVE, other) for other in _BASELINES]
    asked += [("1sa", "5", "cwox-1sa", "cwox-1sb"), ("1sb", "5.1", "swox", "cwox-1sb")]
    for metric, base, (key, section, a, b) in itertools.product(TABLES, _PRINTED_BASES, asked):
        text = _than(metric, a, b, base) + _printed(TABLES[metric], metric, model, a, b, base=base)
        sentence = _SENTENCES[key] + (f" {tested_on(study, model)}" if key == "two" else "")
        yield _decided(study, model, f"{section}, Tables 1-2", text, metric, a, b, base=base, sentence=sentence)
    for (of, base), metric in itertools.product(of_two_settings(study), TABLES):
        if of == model and base in _PRINTED_BASES:
            text, a, b = _than(metric, CONTRASTIVE, COARSE, base).rstrip(), CONTRASTIVE, COARSE
            yield _decided(study, model, "4.2", text, metric, a, b, base=base, sentence=_SENTENCES["fine"])


def _bases(study: Study, model: str) -> Iterator[Decided]:
    after = (("grad-cam", "excitation-backprop"), ("excitation-backprop", "lime"))
    asked = [("few", "salient-share", "rise", other) for other in _OTHERS]
    asked += [("many", "salient-share", other, "excitation-backprop") for other in ("grad-cam", "lime")]
    for metric in ("cauc-bases", "cdrop"):
        asked += [("rise", metric, "rise", other) for other in _OTHERS]
        asked += [("order", metric, a, b) for a, b in after]
    for key, metric, a, b in asked:
        text = f"Under CWOX-2s, {METHOD_NAMES[a]} has a {BETTER[metric]} {_NAMES[metric]} than {METHOD_NAMES[b]}. "
        text += _printed(3, _IN_PRINT.get(metric, metric), model, a, b)
        yield _decided(study, model, "5.1, Table 3", text, metric, a, b, sentence=_SENTENCES[key])


def _overlap(study: Study, model: str) -> Iterator[Decided]:
    sides = (("1, Figure 1", "cwox-1sa", "swox"), ("5.3, Figure 8", CONTRASTIVE, "swox"))
    for section, a, b in (*sides, ("5.3, Figure 9", CONTRASTIVE, "cwox-1sa")):
        text = _than("overlap", a, b, "grad-cam") + "Shown in print for single images."
        text += " Of two rivals alone CWOX-2s has none by construction." * (a == CONTRASTIVE)
        sentence = _SENTENCES["alike"] if b == "swox" else ""
        yield _decided(study, model, section, text, "overlap", a, b, base="grad-cam", sentence=sentence)


def _observer(study: Study, model: str) -> Iterator[Decided]:
    if not (of_pairs(study)["metric"] == "matching-accuracy").any():
        return
    experts = published.table("whole_output", 4).query("metric == 'matching-accuracy'").set_index("method")["value"]
    for other in ("cwox-1sb", "swox"):
        text = (
            f"Maps of CWOX-2s are matched with their classes more often than {WHOLE_OUTPUT_NAMES[other]}'s, with RISE. "
            f"Here by another network, not by people (0.83 against {experts[other]:.2f} among experts)."
        )
        how = {"base": "rise", "sentence": _SENTENCES["people"]}
        yield _decided(study, model, "5.2, Tables 4-5", text, "matching-accuracy", CONTRASTIVE, other, **how)


def _planted(study: Study, model: str) -> Iterator[Decided]:
    """Questions of ours, where planted images say where a map should be."""
    where = {
        "part-energy": ("4.2", "what tells a class from its rival", "the differing part"),
        "own-object": ("5.3, Figure 8", "its own object of a composite one", "that object, not the other,"),
    }
    for metric, (section, what, place) in where.items():
        if not of_pairs(study).query("metric == @metric")["value"].notna().any():
            continue
        for base, other in itertools.product(_PRINTED_BASES, _BASELINES):
            text = (
                f"A second-stage map lights up {what}: more of its energy lies in {place} than with "
                f"{WHOLE_OUTPUT_NAMES[other]}, with {METHOD_NAMES[base]}."
            )
            yield _decided(study, model, section, text, metric, CONTRASTIVE, other, base=base, ours=True)


def _decided(
    study: Study, model: str, section: str, text: str, metric: str, a: str, b: str, *,
    base: str = "", sentence: str = "", ours: bool = False,
) -> Decided:  # fmt: skip
    """The claim that ``a`` is better than ``b``, methods of a base explainer or, without one, bases of CWOX-2s."""
    name = "-".join(filter(None, ("whole-output", model, metric, base or CONTRASTIVE, a, b)))
    between, dataset = "method" if base else "base", " ".join(filter(None, (study.run.label, model)))
    about = partial(Claim, paper="whole_output", dataset=dataset, between=between, sentence=sentence, ours=ours)
    about = partial(about, range=RANGES[metric], relevant=(RANGES[metric][1] - RANGES[metric][0]) / 100)
    claim = about(name, section, text, metric, BETTER[metric], a, b)
    found = of_pairs(study)
    found = found[(found["model"] == model) & (found["base" if base else "method"] == (base or CONTRASTIVE))]
    return decide(claim, paired(found, metric, between, a, b), unit="image")


def _than(metric: str, a: str, b: str, base: str) -> str:
    a, b = WHOLE_OUTPUT_NAMES[a], WHOLE_OUTPUT_NAMES[b]
    return f"{a} has a {BETTER[metric]} {_NAMES[metric]} than {b}, with {METHOD_NAMES[base]}. "


def _printed(number: int, metric: str, model: str, a: str, b: str, *, base: str = "") -> str:
    rows = published.of_network(published.table("whole_output", number), model, "resnet50")
    rows = rows[rows["metric"] == metric]
    printed = rows[rows["base"] == base].set_index("method") if base else rows.set_index("base")
    return f"Printed: {printed.loc[a, 'printed']} against {printed.loc[b, 'printed']}."
