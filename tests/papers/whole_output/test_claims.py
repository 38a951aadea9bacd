import itertools

import numpy as np
import pytest

from xai_lib import published, statistics
from xai_lib.papers.whole_output import claims

NAN = float("nan")
N = 12  # images: Wilcoxon's smallest p-value, 2 / 2^12, is below 0.05 after Holm's correction over 68 claims
METHODS = ("swox", "cwox-1sa", "cwox-1sb")
CORNERS = [(metric, base) for metric in ("cauc", "cdrop") for base in ("grad-cam", "rise")]
ORDER = [  # §5.1: RISE outperforms others, Grad-CAM follows, then MWP, LIME has the weakest performance
    ("rise", "grad-cam"),
    ("rise", "excitation-backprop"),
    ("rise", "lime"),
    ("grad-cam", "excitation-backprop"),
    ("excitation-backprop", "lime"),
]
BETTER = {"cauc": "lower", "cauc-bases": "lower"}


def expected():
    """What each claim says, read off the paper: section, direction, a, b."""
    found = {}
    for metric, base in CORNERS:
        better = BETTER.get(metric, "higher")
        for other in METHODS:
            found[f"{metric}-{base}-cwox-2s-{other}"] = ("5.1, Tables 1-2", better, "cwox-2s", other)
        found[f"{metric}-{base}-cwox-1sa-cwox-1sb"] = ("5, Tables 1-2", better, "cwox-1sa", "cwox-1sb")
    for metric, (a, b) in itertools.product(("cauc-bases", "cdrop"), ORDER):
        found[f"{metric}-cwox-2s-{a}-{b}"] = ("5.1, Table 3", BETTER.get(metric, "higher"), a, b)
    for other in ("cwox-1sb", "swox"):
        found[f"matching-accuracy-rise-cwox-2s-{other}"] = ("5.2, Table 4", "higher", "cwox-2s", other)
    for base, other in itertools.product(("grad-cam", "rise"), METHODS):
        found[f"part-energy-{base}-cwox-2s-{other}"] = ("4.2", "higher", "cwox-2s", other)
    return found


CLAIMS = expected()


def plant(frames, sign):
    """Let every claim be true, or turned round: CWOX-2s before 1sA, that before 1sB and SWOX; and RISE before the rest.

    Within a base, methods differ by more than 10 %; of one method, bases by more than 3 %.
    """
    steps = {"cwox-2s": 2, "cwox-1sa": 1, "cwox-1sb": 0, "swox": 0}
    places = {"rise": 3, "grad-cam": 2, "excitation-backprop": 1, "lime": 0}
    directions = {"cauc": -1, "cauc-bases": -1, "cdrop": 1, "part-energy": 1, "matching-accuracy": 1}
    frame = frames["paper"]
    step = frame["method"].map(steps).fillna(0) * 0.1 + frame["base"].map(places) * 0.03
    frame["value"] *= 1 + sign * frame["metric"].map(directions).fillna(0) * step


def check_print(rows, model):
    """Every text about Tables 1 to 3 ends with the two printed values, and these say what is claimed but for MWP."""
    for name, row in rows.iterrows():
        if row["metric"] in ("matching-accuracy", "part-energy"):
            assert "Printed" not in row["text"]
            continue
        metric, table_3 = row["metric"].removesuffix("-bases"), row["a"] in ("rise", "grad-cam", "excitation-backprop")
        table = published.table("whole_output", 3 if table_3 else {"cauc": 1, "cdrop": 2}[metric])
        table = table[(table["model"] == model) & (table["metric"] == metric)]
        if not table_3:
            table = table[table["base"] == ("grad-cam" if "grad-cam" in name else "rise")]
        cells = table.set_index("base" if table_3 else "method")
        a, b = cells.loc[row["a"]], cells.loc[row["b"]]
        assert row["text"].endswith(f" Printed: {a['printed']} against {b['printed']}."), name
        claimed = a["value"] < b["value"] if row["better"] == "lower" else a["value"] > b["value"]
        assert claimed or (model, name) == ("googlenet", "cauc-bases-cwox-2s-grad-cam-excitation-backprop")


@pytest.fixture
def found(study_of, made_up):
    """Function (frames, networks) -> verdicts by claim, without the beginning that all ids share."""

    def decide(frames, networks=made_up.OURS):
        rows = claims.verdicts(study_of(frames, networks))
        return rows.set_index(rows["claim"].str.removeprefix("whole-output-"))

    return decide


def test_a_planted_truth_decides_every_claim(found, made_up):
    frames = made_up.frames(n_images=N)
    plant(frames, 1)
    rows = found(frames)
    assert set(rows["verdict"]) == {"holds"}, rows["verdict"]
    assert rows.index.is_unique and (rows["difference"] > 0).all()
    assert {name: tuple(row) for name, row in rows[["section", "better", "a", "b"]].iterrows()} == CLAIMS
    assert set(rows["paper"]) == {"whole_output"} and set(rows["dataset"]) == {"planted"}
    assert set(rows["unit"]) == {"image"} and (rows["n_images"] == N).all() and (rows["n_seeds"] == 2).all()


def test_networks_of_torchvision_have_claims_and_print_of_their_own(found, made_up):
    """GoogLeNet's scores bear the claims out, ResNet-50's turn them round."""
    frames = made_up.frames(made_up.PRINTED, n_images=N, planted=False)
    plant(frames, np.where(frames["paper"]["network"] == "resnet50", -1, 1))
    rows = found(frames, made_up.PRINTED)
    assert len(rows) == 2 * 28
    for model, verdict, sign in (("googlenet", "holds", 1), ("resnet50", "reverses", -1)):
        own = rows[rows.index.str.startswith(f"{model}-")]
        own = own.set_index(own.index.str.removeprefix(f"{model}-"))
        assert set(own.index) == {name for name in CLAIMS if "part-energy" not in name}
        assert set(own["verdict"]) == {verdict} and (np.sign(own["difference"]) == sign).all()
        assert set(own["dataset"]) == {f"planted {model}"}
        assert (own["n_seeds"] == 1).all() and (own["n_images"] == N).all()
        check_print(own, model)
    np.testing.assert_allclose(rows["p_holm"], statistics.holm(rows["p_value"]))  # over both networks


def test_noise_decides_nothing_and_texts_say_what_is_printed(found, made_up):
    rows = found(made_up.frames(n_images=N))
    assert len(rows) == 34 and set(rows["verdict"]) == {"undecided"}
    check_print(rows, "resnet50")  # for networks of our own
    said = {
        "cauc-grad-cam-cwox-2s-swox": "CWOX-2s has a lower CAUC than SWOX, with Grad-CAM. Printed: 5.78",
        "cdrop-rise-cwox-1sa-cwox-1sb": "CWOX-1sA has a higher CDROP than CWOX-1sB, with RISE (as both tables and §5 "
        "have it; the text of §5.1 says the opposite). Printed: ",
        "cauc-bases-cwox-2s-excitation-backprop-lime": "Under CWOX-2s, MWP has a lower CAUC than LIME. Printed: 3",
        "matching-accuracy-rise-cwox-2s-cwox-1sb": "by another network, not by people (0.83 against 0.57",
        "matching-accuracy-rise-cwox-2s-swox": "(0.83 against 0.45 among experts)",
        "part-energy-grad-cam-cwox-2s-cwox-1sb": "differing part than with CWOX-1sB, with Grad-CAM.",
    }
    for name, part in said.items():
        assert part in rows["text"][name]


def test_a_difference_is_of_the_right_two(found, made_up):
    """All is equal but one image under one method and base, and what no claim is about."""
    frames = made_up.frames(n_images=6)
    paper = frames["paper"]
    paper["value"] = 0.5
    made_up.put(paper, 0.8, metric="cdrop", base="rise", index=3, method="cwox-2s")
    made_up.put(paper, 1e6, method=("cwox-1sa-fine", "random"))
    made_up.put(paper, 1e6, metric=("salient-pixels", "degenerate", "matching-margin"))
    made_up.put(paper, 1e6, metric=("cauc", "part-energy"), base=("lime", "excitation-backprop"), method=METHODS)
    made_up.put(paper, 1e6, metric="matching-accuracy", base=("lime", "excitation-backprop", "grad-cam"))
    made_up.put(paper, 1e6, metric="matching-accuracy", method="cwox-1sa")
    made_up.put(frames["released"], 1e6)
    rows = found(frames)
    assert rows.loc["cdrop-rise-cwox-2s-swox", "difference"] == pytest.approx(0.3 / 6)
    assert set(rows.index[rows["difference"].abs() > 1e-12]) == {
        *(f"cdrop-rise-cwox-2s-{other}" for other in METHODS),
        *(f"cdrop-cwox-2s-rise-{other}" for other in ("grad-cam", "excitation-backprop", "lime")),
    }


def test_without_observer_or_planted_part_their_claims_are_absent(found, made_up, study_of):
    alone = made_up.OURS[:1]
    rows = found(made_up.frames(alone, n_images=3, observed=False, planted=False), alone)
    assert set(rows.index) == {name for name in CLAIMS if not name.startswith(("matching", "part"))}
    frames = made_up.frames(alone, n_images=3)
    made_up.put(frames["paper"], NAN, metric="part-energy")  # there, but never a class together with its look-alike
    assert list(claims._planted_part(study_of(frames, alone), "")) == []
