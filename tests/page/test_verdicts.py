import math

from xai_lib import statistics
from xai_lib.page import verdicts
from xai_lib.papers.contrastive import claims


def test_a_verdict_table_shows_the_rule_and_says_on_what_each_claim_rests(smoke_run, read):
    found = claims.verdicts(smoke_run).iloc[:18].assign(n_seeds=1, n_images=4, sentence="")
    rows = read(verdicts.verdicts(found.assign(ours=[False] * 14 + [True] * 4), "planted"))
    assert rows["claim"].str.contains("networks").all() and len(rows) == 18
    assert rows["verdict"].str.startswith("undecided").all()
    assert (
        "of the paper's 14, 0 hold, 0 reverse and 14 are undecided; of our 4, 0 hold, 0 reverse and 4 are undecided."
        in rows.attrs["caption"]
    )
    assert list(rows)[:2] == ["claim", "verdict"] and list(rows)[-2:] == ["would decide", "section"]
    assert statistics.RULE in verdicts.verdict_rule().data


def test_the_method_is_shown_where_asked_and_questions_of_ours_are_counted_apart(smoke_run, read):
    found = claims.verdicts(smoke_run).iloc[:18]
    found = found.assign(verdict="holds", reason="holds", scope="this network, new images", sentence="")
    found["ours"] = [True] * 3 + [False] * 15
    rows = read(verdicts.verdicts(found, "planted", with_method=True))
    assert rows["with"].tolist() == found["method"].tolist()
    assert set(rows["verdict"]) == {"holds: this network, new images"}
    assert "of the paper's 15, 15 hold, 0 reverse and 0 are undecided; of our 3, 3 hold," in rows.attrs["caption"]
    assert rows["section"].tolist()[:3] == ["ours"] * 3


def test_what_would_decide_says_the_power_and_how_many(smoke_run, read):
    found = (
        claims.verdicts(smoke_run)
        .iloc[:4]
        .assign(
            power=[0.25, 0.5, math.nan, 0.1],
            needed=[12.0, 3000.0, math.nan, math.inf],
            unit=["seed", "image", "image", "seed"],
            sentence="",
        )
    )
    shown = read(verdicts.verdicts(found, "planted"))["would decide"].tolist()
    assert shown == ["25 % here; 12 trainings", "50 % here; 3,000 images", "–", "10 % here; more images"]


def test_a_sentence_of_the_paper_counts_once_and_stands_above_its_comparisons(smoke_run, read):
    found = (
        claims.verdicts(smoke_run).iloc[:18].assign(sentence="", ours=False, verdict="undecided", reason="undecided")
    )
    found.loc[:2, "sentence"] = "The first three are one sentence."
    found.loc[:1, "verdict"] = "holds"
    found.loc[3, "verdict"] = "reverses"
    page = verdicts.verdicts(found, "planted")
    above, below = read(page, which=0), read(page, which=1)
    assert len(above) == len(found) - 2 and len(below) == len(found)
    assert above.iloc[0].tolist()[:3] == ["The first three are one sentence.", "holds in part", "3: 2 hold, 0 reverse"]
    expected = "of the paper's 16, 0 hold, 1 holds in part, 1 reverses and 14 are undecided. A difference above"
    assert expected in above.attrs["caption"]
