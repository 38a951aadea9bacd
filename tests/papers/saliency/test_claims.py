import numpy as np
import pytest

from xai_lib.papers.saliency import claims as verdicts
from xai_lib.papers.saliency.method import lineup
from xai_lib.papers.saliency.method.fidelity import TARGETS

NAN = float("nan")
N = 20
GRADIENT = ("gradient", "integrated-gradients", "guided-backprop")
CAM = ("grad-cam", "grad-cam++", "score-cam")
UP = ("average-increase", "average-gain", "insertion", "monotonicity")  # higher is better
DOWN = ("average-drop", "deletion")
TRUE, PREDICTED, LEAST = TARGETS
# What each claim says, read off the paper: the direction of a against b that supports it.
CLAIMS = {
    **{f"gradients-{metric}": ("lower", "gradient", "cam") for metric in UP},
    **{f"gradients-{metric}": ("higher", "gradient", "cam") for metric in DOWN},
    "cams-occlusion": ("lower", "cam", "occlusion"),
    "cams-learning": ("lower", "cam", "learning"),
    "fake-cam-average-increase": ("higher", "fake-cam", "informed"),
    "fake-cam-average-drop": ("lower", "fake-cam", "informed"),
    "fake-cam-monotonicity": ("higher", "fake-cam", "informed"),
    "fake-cam-average-gain": ("lower", "fake-cam", "informed"),
    "fake-cam-insertion": ("lower", "fake-cam", "informed"),
    "fake-cam-deletion": ("higher", "fake-cam", "informed"),
    "probability-insertion": ("higher", "probability", "none"),
    "probability-deletion": ("higher", "probability", "none"),
    "probability-average-gain": ("higher", "probability", "none"),
    "probability-average-drop": ("lower", "probability", "none"),
    **{f"discrimination-{name}": ("higher", "one half", "Kendall's W") for name in (*lineup.FIDELITY, *lineup.TABLE_3)},
    **{f"truth-{metric}": ("higher", TRUE, PREDICTED) for metric in UP[:3]},
    **{f"truth-{metric}": ("lower", TRUE, PREDICTED) for metric in DOWN},
    "least-average-increase": ("higher", LEAST, TRUE),
    **{f"least-{metric}": ("lower", LEAST, TRUE) for metric in (*UP[1:3], *DOWN)},
    **{f"moves-{name}": ("higher", "gradient", "cam") for name in ("mixup", "resize", "rotation", "crop")},
    **{f"stable-{metric}": ("lower", "average-gain", metric) for metric in (*UP[:1], *DOWN, "insertion")},
}


def gradients(made_up, frames, sign):
    """Gradients score worse than class activation maps."""
    made_up.add(frames["fidelity"], -0.2 * sign, metric=UP[:3], method=GRADIENT)
    made_up.add(frames["fidelity"], 0.2 * sign, metric=DOWN, method=GRADIENT)
    made_up.add(frames["repeated"], -0.2 * sign, metric="monotonicity", method=GRADIENT)


def cams(made_up, frames, sign):
    """Class activation maps score best, and others worse, under every fidelity metric."""
    made_up.add(frames["fidelity"], 0.2 * sign, metric=UP[:3], method=CAM)
    made_up.add(frames["fidelity"], -0.2 * sign, metric=DOWN, method=CAM)


def fake_cam(made_up, frames, sign):
    """Fake-CAM fools AI, AD and monotonicity, and fails under AG, I and D."""
    made_up.add(frames["fidelity"], 0.2 * sign, metric="average-increase", method="fake-cam")
    made_up.add(frames["fidelity"], -0.2 * sign, metric="average-drop", method="fake-cam")
    made_up.add(frames["repeated"], 0.2 * sign, metric="monotonicity", method="fake-cam")
    made_up.add(frames["fidelity"], -0.2 * sign, metric=("average-gain", "insertion"), method="fake-cam")
    made_up.add(frames["fidelity"], 0.2 * sign, metric="deletion", method="fake-cam")


def probability(made_up, frames, sign):
    """I and D of all, AG of class activation maps rise with the probability, AD of these falls."""
    for index in range(N):
        here = {"index": index, "target": TRUE, "reading": "paper"}
        made_up.put(frames["fidelity"], index / N, metric="probability", **here)
        made_up.add(frames["fidelity"], 0.1 * sign * index, metric=("insertion", "deletion"), **here)
        made_up.add(frames["fidelity"], 0.1 * sign * index, metric="average-gain", method=CAM, **here)
        made_up.add(frames["fidelity"], -0.1 * sign * index, metric="average-drop", method=CAM, **here)
        made_up.add(frames["fidelity"], -0.5 * sign * index, metric=("average-gain",), method=GRADIENT, **here)


def discrimination(made_up, frames, sign):
    """Images do not agree on an order of the methods, as they do not where all is noise."""
    for place, method in enumerate(lineup.INFORMED if sign < 0 else ()):
        made_up.add(frames["fidelity"], place, metric=(*lineup.FIDELITY, *lineup.TABLE_3), method=method)
        made_up.add(frames["repeated"], place, metric=lineup.TABLE_3, method=method)


def truth(made_up, frames, sign):
    """Scores are better for the true class than for the predicted one."""
    made_up.add(frames["fidelity"], -0.2 * sign, metric=UP[:3], target=PREDICTED)
    made_up.add(frames["fidelity"], 0.2 * sign, metric=DOWN, target=PREDICTED)


def least(made_up, frames, sign):
    """For the least probable class AI is higher, AD, D, AG and I are lower."""
    made_up.add(frames["fidelity"], 0.2 * sign, metric="average-increase", target=LEAST)
    others = ("average-drop", "deletion", "average-gain", "insertion")
    made_up.add(frames["fidelity"], -0.2 * sign, metric=others, target=LEAST)


def moves(made_up, frames, sign):
    """Transformed images change the scores of gradients, and lower them as much as they raise them."""
    who = GRADIENT if sign > 0 else CAM
    made_up.add(frames["transformed"], -0.2, metric=("insertion", "average-gain"), method=who)
    made_up.add(frames["transformed"], 0.2, metric=("deletion", "average-drop"), method=who)


def stable(made_up, frames, sign):
    """Transformed images change all fidelity metrics but AG."""
    others = tuple(name for name in lineup.FIDELITY if (name == "average-gain") == (sign < 0))
    made_up.add(frames["transformed"], -0.2, metric=others)


PLANTS = {  # those beside each other do not touch each other's claims
    "gradients": [gradients],
    "cams, least": [cams, least],
    "fake-cam, moves": [fake_cam, moves],
    "truth, stable": [truth, stable],
    "probability": [probability],
    "discrimination": [discrimination],
}


def found(study):
    rows = verdicts.verdicts(study)
    return rows.set_index(rows["claim"].str.removeprefix("saliency-"))


def test_every_claim_points_where_the_paper_does(study_of, made_up):
    rows = found(study_of(made_up.frames(lineup.PAPER, n_images=N)))
    assert rows.index.is_unique and len(rows) == 46
    assert {name: tuple(row) for name, row in rows[["better", "a", "b"]].iterrows()} == CLAIMS
    assert set(rows["paper"]) == {"saliency"} and set(rows["dataset"]) == {"planted"}
    assert set(rows["unit"]) == {"image"} and (rows["n_images"] == N).all()


@pytest.mark.parametrize(("sign", "verdict"), [(1, "holds"), (-1, "reverses")])
@pytest.mark.parametrize("families", PLANTS)
def test_a_planted_truth_decides_its_claims(study_of, made_up, families, sign, verdict):
    frames = made_up.frames(lineup.PAPER, n_images=N)
    for plant in PLANTS[families]:
        plant(made_up, frames, sign)
    rows = found(study_of(frames))
    decided = rows[rows.index.str.startswith(tuple(families.split(", ")))]
    assert set(decided["reason"]) == {verdict}, decided["reason"]
    assert (np.sign(decided["difference"]) == sign).all()


def test_every_claim_has_a_planted_truth():
    families = tuple(name for names in PLANTS for name in names.split(", "))
    assert all(name.startswith(families) for name in CLAIMS)


def test_where_all_is_noise_only_the_lack_of_order_is_found(study_of, made_up):
    rows = found(study_of(made_up.frames(lineup.PAPER, n_images=N)))
    noise = ~rows.index.str.startswith("discrimination-")
    assert (rows.loc[noise, "verdict"] == "undecided").mean() > 0.95
    assert (rows.loc[~noise, "verdict"] == "holds").all()


def test_images_without_a_score_of_every_method_do_not_count_for_the_order(study_of, made_up):
    frames = made_up.frames(lineup.PAPER, n_images=N)
    made_up.put(frames["fidelity"], NAN, metric="insertion", method="lime", index=tuple(range(5)))
    made_up.put(frames["fidelity"], NAN, metric="sparseness", method="iba")
    made_up.put(frames["fidelity"], NAN, metric="complexity", method="fake-cam")
    rows = found(study_of(frames))["n_images"]
    assert rows["discrimination-insertion"] == N - 5
    assert rows["discrimination-sparseness"] == rows["discrimination-complexity"] == N


def test_a_method_without_any_value_is_not_in_its_familys_mean(study_of, made_up):
    frames = made_up.frames(lineup.PAPER, n_images=N)
    gradients(made_up, frames, 1)
    made_up.put(frames["repeated"], NAN, metric="monotonicity", method=("gradient", "lime"))
    rows = found(study_of(frames))
    assert rows.loc["gradients-monotonicity", "reason"] == "holds"
    assert rows.loc["gradients-monotonicity", "difference"] == pytest.approx(0.2, abs=0.01)
    assert rows.loc["gradients-monotonicity", "n_images"] == N


def test_a_change_is_from_the_same_image_of_the_same_network(study_of, made_up):
    """Images and networks lie far apart, which changes nothing; one transformed image moved by 0.4, both ways."""
    frames = made_up.frames(n_images=4, n_seeds=2)
    for frame in frames.values():
        if "index" in frame:
            frame["value"] = 10.0 * frame["index"] + 100.0 * frame["seed"]
    moved = {"seed": 1, "index": 2, "method": "rise", "metric": "insertion", "transform": "crop"}
    for setting, amount in ((0.9, 0.4), (0.8, -0.4)):
        made_up.add(frames["transformed"], amount, setting=setting, **moved)
    frames["transformed"] = frames["transformed"].sample(frac=1, random_state=0, ignore_index=True)
    change = verdicts._change(study_of(frames))
    assert len(change) == 2 * 4 * 14 * 5 * 4
    chosen = made_up.rows(change, **moved)
    assert change.loc[chosen, "value"].tolist() == pytest.approx([0.2])
    assert (change.loc[~chosen, "value"] == 0).all()


def test_the_text_says_what_is_printed(study_of, made_up):
    """Table 1: AI of gradients 2.2, 2.5, 2.6, of class activation maps 44.4, 42.3, 50.0; AD̄ of Fake-CAM 99.2."""
    rows = found(study_of(made_up.frames(lineup.PAPER, n_images=2)))
    assert "Printed: 2.43 against 45.6, higher being better." in rows.loc["gradients-average-increase", "text"]
    nine = np.mean([4.0, 5.1, 4.8, 87.6, 87.0, 89.3, 86.0, 31.8, 82.3])
    assert f"Printed: 99.2 against {nine:.1f}" in rows.loc["fake-cam-average-drop", "text"]
    assert rows.loc["moves-mixup", "text"].startswith("Under MixUp, ")
    assert "does not fool AG: it scores worse" in rows.loc["fake-cam-average-gain", "text"]
    assert "Insertion of the nine methods rises" in rows.loc["probability-insertion", "text"]
    assert "AD of class activation maps falls" in rows.loc["probability-average-drop", "text"]


def test_controls_and_methods_beyond_the_papers_have_no_say(study_of, made_up):
    frames = made_up.frames(n_images=6)
    before = found(study_of(frames))["difference"]
    strangers = (*lineup.CONTROLS, *lineup.BEYOND)
    made_up.add(frames["fidelity"], 7, method=strangers)
    made_up.add(frames["repeated"], 7, method=strangers)
    made_up.add(frames["transformed"], 3, method=lineup.CONTROLS)
    assert found(study_of(frames))["difference"].equals(before)
