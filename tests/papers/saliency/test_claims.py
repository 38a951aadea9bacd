import numpy as np
import pandas as pd
import pytest

from xai_lib import metrics, statistics
from xai_lib.page.verdicts import counted
from xai_lib.papers.saliency import claims
from xai_lib.papers.saliency.analysis import evidence, found
from xai_lib.papers.saliency.analysis.found import HowMany
from xai_lib.papers.saliency.claims import SENTENCES
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS

NAN = float("nan")
N = 20
GRADIENT = ("gradient", "integrated-gradients", "guided-backprop")
CAM = ("grad-cam", "grad-cam++", "score-cam")
UP = ("average-increase", "average-gain", "insertion")  # higher is better
DOWN = ("average-drop", "deletion")
MONOTONE = ("monotonicity", "monotonicity-quantus")
TRUE, PREDICTED, LEAST = TARGETS
NINE = {
    "gradient": "Gradient", "integrated-gradients": "IG", "guided-backprop": "GuidedBP", "grad-cam": "Grad-CAM",
    "grad-cam++": "Grad-CAM++", "score-cam": "Score-CAM", "rise": "RISE", "lime": "LIME", "iba": "IBA",
}  # fmt: skip
# What each claim says, read off the paper: the direction of a against b that supports it.
CLAIMS = {
    **{f"ranges-{name}": ("higher", "values", "ranks") for name in (*UP[:2], "average-drop")},
    **{f"complete-{name}": ("higher", title, "half") for name, title in NINE.items()},
    **{f"monotone-{name}": ("higher", "half", "informed") for name in MONOTONE},
    **{f"explains-{name}": ("higher", "half", "correlation") for name in lineup.TABLE_3},
    "localisation-attribution-localisation": ("higher", "half", "correlation"),
    "sanity-order": ("higher", "correlation", "none"),
    "echoes-sanity": ("higher", "gradient", "cam"),
    **{f"gradients-{metric}": ("lower", "gradient", "cam") for metric in (*UP, *MONOTONE)},
    **{f"gradients-{metric}": ("higher", "gradient", "cam") for metric in DOWN},
    **{f"cams-{who}-{other}": ("lower", who, other)
       for who in ("cam", "fake-cam") for other in ("gradient", "occlusion", "learning")},
    **{f"top-{name}": ("higher", "fake-cam", "third") for name in ("average-increase", "average-drop", *MONOTONE)},
    **{f"fooled-{name}": ("lower", "fake-cam", "half") for name in ("average-gain", "insertion", "deletion")},
    **{f"extent-{name}": ("higher", "deletion", name) for name in ("average-gain", "insertion")},
    **{f"regions-{name}": ("higher", "correlation", "none") for name in lineup.FIDELITY},
    **{f"probability-{name}": ("higher", "probability", "none") for name in ("insertion", "deletion")},
    "pronounced-deletion": ("higher", "insertion/informed", "deletion/informed"),
    "follow-average-gain": ("higher", "probability", "none"),
    "follow-average-drop": ("lower", "probability", "none"),
    "apparent-average-gain": ("higher", "average-gain/cam", "average-gain/others"),
    "apparent-average-drop": ("lower", "average-drop/cam", "average-drop/others"),
    **{f"discrimination-{name}": ("higher", "half", "pairs") for name in lineup.FIDELITY},
    **{f"specific-{name}": ("higher", title, "half") for name, title in NINE.items()},
    **{f"truth-{metric}": ("higher", TRUE, PREDICTED) for metric in UP},
    **{f"truth-{metric}": ("lower", TRUE, PREDICTED) for metric in DOWN},
    **{f"slightly-{metric}": ("higher", "a tenth", "what is lost") for metric in lineup.FIDELITY},
    "least-average-increase": ("higher", LEAST, TRUE),
    **{f"least-{metric}": ("lower", LEAST, TRUE) for metric in (*UP[1:], *DOWN)},
    **{f"differentiation-{name}": ("higher", "half", "pairs") for name in lineup.TABLE_3},
    **{f"sensitive-{name}": ("higher", title, "0.01") for name, title in NINE.items()},
    **{f"moves-{name}": ("higher", "gradient", "cam") for name in ("mixup", "resize", "rotation", "crop")},
    "baseline-average-increase": ("higher", "Rotation", "untouched"),
    "baseline-average-drop": ("higher", "Resize", "untouched"),
    **{f"changes-{name}": ("lower", "transformed", "untouched") for name in ("insertion", "deletion")},
    **{f"crop-{name}": ("higher", "crop", "others") for name in ("insertion", "deletion")},
    **{f"linked-{name}": ("higher", "probability", "none") for name in ("insertion", "deletion")},
    **{f"{kind}-{metric}": ("lower", "average-gain", metric)
       for kind in ("stable", "share") for metric in ("average-increase", *DOWN, "insertion")},
}  # fmt: skip


def better(metric):
    return 1 if metrics.about(metric).better == "higher" else -1


def in_order(made_up, frames, names, sign=1, step=0.013):
    """The nine methods score better, one after the other, under some metrics (worse, where the sign is negative)."""
    for part in ("fidelity", "repeated"):
        for metric in set(names) & set(frames[part]["metric"]):
            for place, method in enumerate(lineup.INFORMED):
                made_up.add(frames[part], sign * better(metric) * step * place, metric=metric, method=method)


def tied(made_up, frames, part, amount, methods, names, **where):
    """Scores rise with the number of the image, as the probability does."""
    for index in range(N):
        made_up.add(frames[part], amount * index, metric=names, method=methods, index=index, **where)


def ranges(made_up, frames, sign):
    """Values set gradients and class activation maps apart, ranks do not (or the other way round)."""
    reading = ("absolute", "signed") if sign > 0 else "ranks"
    made_up.add(frames["fidelity"], 0.2, method=CAM, reading=reading, metric=(*UP[:2], "average-drop"))


def complete(made_up, frames, sign):
    made_up.put(frames["fidelity"], 0.5 if sign > 0 else 0.01, metric="completeness")


def monotone(made_up, frames, sign):
    made_up.add(frames["repeated"], -0.2 * sign, metric=MONOTONE)


def specific(made_up, frames, sign):
    """Maps for two classes are alike, or not."""
    made_up.add(frames["classes"], 0.2 * sign, metric="class-similarity")


def explains(made_up, frames, sign):
    if sign < 0:
        in_order(made_up, frames, (*lineup.FIDELITY, *lineup.TABLE_3, "attribution-localisation"))


def sanity(made_up, frames, sign):
    in_order(made_up, frames, lineup.FIDELITY, step=0.006)
    in_order(made_up, frames, ("parameter-randomisation",), sign, step=0.006)


def echoes(made_up, frames, sign):
    made_up.add(frames["repeated"], 0.2 * sign, metric="parameter-randomisation", method=GRADIENT)


def gradients(made_up, frames, sign):
    """Gradients score worse than class activation maps."""
    made_up.add(frames["fidelity"], -0.2 * sign, metric=UP, method=GRADIENT)
    made_up.add(frames["fidelity"], 0.2 * sign, metric=DOWN, method=GRADIENT)
    made_up.add(frames["repeated"], -0.2 * sign, metric=MONOTONE, method=GRADIENT)


def cams(made_up, frames, sign):
    """Class activation maps and Fake-CAM score better than all others under every fidelity metric."""
    made_up.add(frames["fidelity"], 0.2 * sign, metric=UP, method=(*CAM, "fake-cam"))
    made_up.add(frames["fidelity"], -0.2 * sign, metric=DOWN, method=(*CAM, "fake-cam"))


def top(made_up, frames, sign):
    made_up.add(frames["fidelity"], 0.2 * sign, metric="average-increase", method="fake-cam")
    made_up.add(frames["fidelity"], -0.2 * sign, metric="average-drop", method="fake-cam")
    made_up.add(frames["repeated"], 0.2 * sign, metric=MONOTONE, method="fake-cam")


def fooled(made_up, frames, sign):
    made_up.add(frames["fidelity"], -0.2 * sign, metric=("average-gain", "insertion"), method="fake-cam")
    made_up.add(frames["fidelity"], 0.2 * sign, metric="deletion", method="fake-cam")


def extent(made_up, frames, sign):
    made_up.add(frames["fidelity"], -0.2 * sign, metric=("average-gain", "insertion", "deletion"), method="fake-cam")


def regions(made_up, frames, sign):
    """Large maps, which complexity scores badly, are the good ones."""
    in_order(made_up, frames, lineup.FIDELITY)
    in_order(made_up, frames, ("complexity",), -sign)


def probability(made_up, frames, sign):
    """I and D of all, AG of class activation maps rise with the probability, AD of these falls."""
    here = {"target": TRUE, "reading": ("absolute", "signed")}
    tied(made_up, frames, "fidelity", 1 / N, lineup.PAPER, "probability", **here)
    tied(made_up, frames, "fidelity", 0.1 * sign, lineup.PAPER, ("insertion", "deletion"), **here)
    tied(made_up, frames, "fidelity", 0.1 * sign, CAM, "average-gain", **here)
    tied(made_up, frames, "fidelity", -0.1 * sign, CAM, "average-drop", **here)


def apparent(made_up, frames, sign):
    """Insertion, and AG and AD of class activation maps, follow the probability; Deletion and the others do not."""
    here, tight = {"target": TRUE, "reading": ("absolute", "signed")}, CAM if sign > 0 else ("gradient", "lime", "iba")
    tied(made_up, frames, "fidelity", 1 / N, lineup.PAPER, "probability", **here)
    tied(made_up, frames, "fidelity", 0.1 * sign, lineup.PAPER, "insertion", **here)
    tied(made_up, frames, "fidelity", -0.1 * sign, lineup.PAPER, "deletion", **here)
    for methods, amount in ((lineup.INFORMED, -0.1), (tight, 0.3)):
        tied(made_up, frames, "fidelity", amount, methods, "average-gain", **here)
        tied(made_up, frames, "fidelity", -amount, methods, "average-drop", **here)


def discrimination(made_up, frames, sign):
    """All methods score alike, far below what matters, or each its own."""
    for part in ("fidelity", "repeated"):
        frames[part]["value"] = 0.5 + 0.01 * (frames[part]["value"] - 0.5)
    if sign < 0:
        in_order(made_up, frames, (*lineup.FIDELITY, *lineup.TABLE_3))


def truth(made_up, frames, sign):
    """Scores are better for the true class than for the predicted one."""
    made_up.add(frames["fidelity"], -0.2 * sign, metric=UP, target=PREDICTED)
    made_up.add(frames["fidelity"], 0.2 * sign, metric=DOWN, target=PREDICTED)


def slightly(made_up, frames, sign):
    if sign < 0:
        truth(made_up, frames, 1)


def least(made_up, frames, sign):
    """For the least probable class AI is higher, AD, D, AG and I are lower."""
    made_up.add(frames["fidelity"], 0.2 * sign, metric="average-increase", target=LEAST)
    made_up.add(frames["fidelity"], -0.2 * sign, metric=(*UP[1:], *DOWN), target=LEAST)


def sensitive(made_up, frames, sign):
    for part in ("fidelity", "transformed"):
        made_up.put(frames[part], 0.5, metric=lineup.FIDELITY)
    if sign > 0:
        made_up.add(frames["transformed"], 0.2, metric=lineup.FIDELITY)


def moves(made_up, frames, sign):
    """Transformed images change the scores of gradients, and lower them as much as they raise them."""
    who = GRADIENT if sign > 0 else CAM
    made_up.add(frames["transformed"], -0.2, metric=("insertion", "average-gain"), method=who)
    made_up.add(frames["transformed"], 0.2, metric=("deletion", "average-drop"), method=who)


def baseline(made_up, frames, sign):
    here = {"method": "fake-cam"}
    made_up.add(frames["transformed"], 0.2 * sign, metric="average-increase", transform="rotation", **here)
    made_up.add(frames["transformed"], 0.2 * sign, metric="average-drop", transform="resize", **here)


def changes(made_up, frames, sign):
    """I and D fall, less under Crop, and most where the probability does."""
    names = ("insertion", "deletion")
    made_up.add(frames["transformed"], -0.4 * sign, metric=names, transform=("mixup", "resize", "rotation"))
    made_up.add(frames["transformed"], -0.1 * sign, metric=names, transform="crop")
    tied(made_up, frames, "transformed", -0.01, lineup.PAPER, "probability")
    tied(made_up, frames, "transformed", -0.01 * sign, lineup.PAPER, names)


def stable(made_up, frames, sign):
    """Transformed images change all fidelity metrics but AG."""
    others = tuple(name for name in lineup.FIDELITY if (name == "average-gain") == (sign < 0))
    made_up.add(frames["transformed"], -0.2, metric=others)


PLANTS = {  # those beside each other do not touch each other's claims
    "ranges least": (ranges, least),
    "complete echoes moves slightly": (complete, echoes, moves, slightly),
    "sanity top": (sanity, top),
    "fooled baseline": (fooled, baseline),
    "extent truth": (extent, truth),
    "explains localisation": (explains,),
    "probability follow": (probability,),
    "pronounced apparent": (apparent,),
    "discrimination differentiation": (discrimination,),
    "changes crop linked": (changes,),
    "stable share": (stable,),
    **{plant.__name__: (plant,) for plant in (gradients, cams, regions, sensitive, monotone, specific)},
}


def verdicts(study, reading="absolute"):
    rows = claims.verdicts(study, reading)
    return rows.set_index(rows["claim"].str.removeprefix("saliency-"))


def test_every_claim_points_where_the_paper_does(study_of, made_up):
    rows = verdicts(study_of(made_up.frames(lineup.PAPER, n_images=N)))
    assert rows.index.is_unique and len(rows) == len(CLAIMS)
    assert {name: tuple(row) for name, row in rows[["better", "a", "b"]].iterrows()} == CLAIMS
    assert set(rows["paper"]) == {"saliency"} and set(rows["dataset"]) == {"planted"} and not rows["ours"].any()
    within = rows.index.str.startswith("ranges-")
    assert set(rows["unit"]) == {"image"} and (rows.loc[~within, "n_images"] == N).all()
    assert (rows.loc[within, "n_images"] == made_up.N_READ).all()


def test_every_takeaway_has_a_row(study_of, made_up):
    """One in §3, four in §4, five in §5.2 and three in §5.3, and the claims of the text of §§5.2, 5.3 and 6."""
    table = claims.sentences(study_of(made_up.frames(lineup.PAPER, n_images=N)))
    takeaways = {"3", *(f"4 ({n})" for n in range(1, 5)), *(f"5.2 ({n})" for n in range(1, 6))}
    takeaways |= {f"5.3 ({n})" for n in range(1, 4)}
    assert takeaways <= {part for section in table["section"] for part in section.split("; ")}
    assert len(table) == len({sentence for _, sentence, _ in SENTENCES.values()}) == 28
    assert table["comparisons"].sum() == len(CLAIMS) and table["text"].is_unique


@pytest.mark.parametrize(("sign", "verdict"), [(1, "holds"), (-1, "reverses")])
@pytest.mark.parametrize("families", PLANTS)
def test_a_planted_truth_decides_its_claims(study_of, made_up, families, sign, verdict):
    frames = made_up.frames(lineup.PAPER, n_images=N)
    for plant in PLANTS[families]:
        plant(made_up, frames, sign)
    rows = verdicts(study_of(frames))
    decided = rows[rows.index.str.partition("-").get_level_values(0).isin(families.split())]
    if families.startswith("discrimination") and sign > 0:  # without a smallest difference none is too small
        decided = decided[decided["relevant"] > 0]
    assert len(decided) and (np.sign(decided["difference"]) == sign).all()
    few = decided.index.str.startswith("ranges-")  # five images
    assert set(decided.loc[~few, "reason"]) == {verdict}, decided["reason"]


def test_every_claim_has_a_planted_truth():
    assert {name.partition("-")[0] for name in CLAIMS} == set(" ".join(PLANTS).split()) == set(SENTENCES)


def test_where_all_is_noise_no_difference_is_found(study_of, made_up):
    rows = verdicts(study_of(made_up.frames(lineup.PAPER, n_images=N)))
    by_default = ("complete", "explains", "localisation", "slightly", "sensitive")  # noise is no agreement, no loss, …
    noise = ~rows.index.str.startswith(by_default)
    assert (rows.loc[noise, "verdict"] == "undecided").mean() > 0.95


def test_the_reading_of_gradients_decides_what_is_said_of_them(study_of, made_up):
    frames = made_up.frames(lineup.PAPER, n_images=N)
    for reading, sign in (("absolute", 1), ("signed", -1)):
        for names, amount in ((UP, -0.2 * sign), (DOWN, 0.2 * sign)):
            made_up.add(frames["fidelity"], amount, metric=names, method=GRADIENT, reading=reading)
        made_up.add(frames["repeated"], -0.2 * sign, metric=MONOTONE, method=GRADIENT, reading=reading)
    study = study_of(frames)
    for reading, verdict in (("absolute", "holds"), ("signed", "reverses")):
        rows = verdicts(study, reading)
        assert set(rows.loc[rows.index.str.startswith("gradients-"), "verdict"]) == {verdict}
    row = claims.sentences(study).set_index("section").loc["5.2 (1)"]
    assert (row["verdict"], row["holds"], row["verdict_signed"], row["reverses_signed"]) == ("holds", 7, "reverses", 7)
    said = claims.finding(study)
    assert "“Gradient-based methods score badly under most fidelity metrics.” holds, then reverses" in said
    assert said.startswith(f"Of the paper's 28 sentences {counted(claims.sentences(study)['verdict'])} on planted, ")


def test_one_reading_alone_is_said_to_change_nothing(study_of, made_up):
    frames = made_up.frames(lineup.PAPER, n_images=6)
    frames = {
        name: frame[frame["reading"] != "signed"] if "reading" in frame else frame for name, frame in frames.items()
    }
    assert claims.finding(study_of(frames)).endswith(
        "With maps scaled as its text says, every sentence has the same verdict."
    )


def test_an_image_counts_where_every_method_has_a_value(study_of, made_up):
    """Means over what is left would differ where the methods do, and say so of the families."""
    frames = made_up.frames(lineup.PAPER, n_images=N)
    made_up.add(frames["fidelity"], 1.0, metric="insertion", method=("gradient", "score-cam"))
    made_up.put(frames["fidelity"], NAN, metric="insertion", method="gradient", index=tuple(range(8)))
    made_up.put(frames["repeated"], NAN, metric="monotonicity", method=("gradient", "lime"))
    rows = verdicts(study_of(frames))
    assert rows.loc["gradients-insertion", ["n_images", "verdict"]].tolist() == [N - 8, "undecided"]
    assert rows.loc["discrimination-insertion", "n_images"] == N - 8
    assert rows.loc["gradients-monotonicity", "n_images"] == N  # a method without any value is in no mean


def test_a_change_is_from_the_same_image_of_the_same_network(study_of, made_up):
    """Images and networks lie far apart, which changes nothing; one transformed image moved by 0.4, both ways."""
    frames = made_up.frames(n_images=4, n_seeds=2)
    for name, frame in frames.items():
        if "index" in frame and name != "classes":
            frame["value"] = 10.0 * frame["index"] + 100.0 * frame["seed"]
    moved = {"seed": 1, "index": 2, "method": "rise", "metric": "insertion", "transform": "crop"}
    for setting, amount in ((0.9, 0.4), (0.8, -0.4)):
        made_up.add(frames["transformed"], amount, setting=setting, **moved)
    frames["transformed"] = frames["transformed"].sample(frac=1, random_state=0, ignore_index=True)
    change = found.found(study_of(frames), "absolute").moved
    chosen = made_up.rows(change, **moved)
    assert change.loc[chosen, ["change", "shift"]].to_numpy().ravel().tolist() == pytest.approx([0.2, 0.0])
    assert (change.loc[~chosen, ["change", "shift"]] == 0).all(axis=None)


def test_fooled_is_the_same_on_every_page(study_of, made_up):
    """Claims and the table of what is fooled stand on one statistic, and never contradict each other."""
    frames = made_up.frames(n_images=N)
    made_up.add(frames["fidelity"], -0.2, metric="insertion", method="fake-cam")
    made_up.put(frames["fidelity"], NAN, metric="deletion", method=("lime", "iba"), index=3)
    study = study_of(frames)
    rows, table = verdicts(study), evidence.fooled(study).set_index(["metric", "control"])
    for name in ("average-gain", "insertion", "deletion"):
        share = table.loc[(name, "fake-cam"), "superiority"]
        assert rows.loc[f"fooled-{name}", "difference"] == pytest.approx(0.5 - share)
    assert (rows.loc["fooled-insertion", "verdict"], table.loc[("insertion", "fake-cam"), "verdict"]) == (
        "holds", "not fooled"
    )  # fmt: skip


def test_pairs_told_apart_are_counted_by_holm():
    """Of six comparisons Holm's method keeps four at 0.05: three of them one way, one the other."""
    p_values = np.array([0.001, 0.002, 0.012, 0.2, 0.5, 0.001])
    many = HowMany(np.array([True, True, True, True, False, False]), p_values, asked=2.5)
    assert statistics.holm(p_values).round(3).tolist() == [0.006, 0.008, 0.036, 0.4, 0.5, 0.006]
    assert many.value == 1.5 and many.interval() == (0.5, 2.5) and many.interval(0.99) == (-0.5, 2.5)
    assert many.p_value() == pytest.approx(0.036)  # at a level of 1 - 0.036 the third becomes certain
    opposite = many.opposite()
    assert opposite.value == -1.5 and opposite.interval() == (-2.5, -0.5) and opposite.p_value() == many.p_value()


def test_orders_agree_where_they_are_the_same(made_up):
    """Spearman's correlation on an image, against scipy's."""
    frames = made_up.frames(lineup.PAPER, n_images=5)["fidelity"]
    rows = frames[(frames["target"] == TRUE) & (frames["reading"] == "absolute")].drop(columns=["target", "reading"])
    rho = found.alike(rows, {"insertion": "higher"}, {"deletion": "lower"})
    wide = rows[rows["method"].isin(lineup.INFORMED)].pivot(index="method", columns=["metric", "index"], values="value")
    expected = [wide["insertion"][i].corr(-wide["deletion"][i], method="spearman") for i in range(5)]
    np.testing.assert_allclose(rho, expected)


def test_the_text_says_what_is_printed(study_of, made_up):
    """Table 1: AI of gradients 2.2, 2.5, 2.6, of class activation maps 44.4, 42.3, 50.0; I of Fake-CAM 60.1."""
    rows = verdicts(study_of(made_up.frames(lineup.PAPER, n_images=2)))["text"]
    assert rows["gradients-average-increase"].endswith("Printed: 2.43 against 45.6, higher being better.")
    assert "Printed: 60.1 against 61.6" in rows["fooled-insertion"]
    assert (
        rows["gradients-monotonicity"].partition("Printed")[2]
        == rows["gradients-monotonicity-quantus"].partition("Printed")[2]
    )
    assert rows["moves-mixup"].startswith("Under MixUp, ") and "than Insertion (" in rows["stable-insertion"]
    assert not rows.str.contains("[{}]").any() and not rows.duplicated().any()


def test_controls_and_methods_beyond_the_papers_have_no_say(study_of, made_up):
    frames = made_up.frames(n_images=6)
    before = verdicts(study_of(frames))["difference"]
    strangers = (*lineup.CONTROLS, *lineup.BEYOND)
    made_up.add(frames["fidelity"], 7, method=strangers)
    made_up.add(frames["repeated"], 7, method=strangers)
    made_up.add(frames["transformed"], 3, method=lineup.CONTROLS)
    pd.testing.assert_series_equal(verdicts(study_of(frames))["difference"], before)
