from xai_lib import statistics
from xai_lib.page import verdicts
from xai_lib.papers.contrastive import claims


def test_a_verdict_table_shows_the_rule_and_says_on_what_each_claim_rests(smoke_run, read):
    rows = read(verdicts.verdicts(claims.verdicts(smoke_run).assign(n_seeds=1, n_images=4), "planted"))
    assert set(rows["verdict"]) == {"undecided (seeds)"} and set(rows["units"]) == {"1 training"}
    assert rows["claim"].str.contains("networks").all() and len(rows) == 18
    assert "0 hold, 0 reverse, 18 are undecided" in rows.attrs["caption"]
    assert list(rows)[5:] == ["images won (%)", "units", "verdict"]
    assert statistics.RULE in verdicts.verdict_rule().data


def test_claims_over_images_show_the_test_and_the_method_where_asked(smoke_run, read):
    found = claims.verdicts(smoke_run).assign(unit="image", n_images=1, verdict="holds", test="Wilcoxon")
    rows = read(verdicts.verdicts(found, "planted", with_method=True))
    assert set(rows["units"]) == {"1 image"} and set(rows["test"]) == {"Wilcoxon"}
    assert rows["with"].tolist() == found["method"].tolist()
    assert "18 hold" in rows.attrs["caption"]
