import pandas as pd

from xai_lib.papers.contrastive import analysis as results
from xai_lib.papers.contrastive import checks, claims, experiment, fine_print
from xai_lib.run.budgets import VARIANTS


def test_temperatures_name_the_confidence_and_the_images(smoke_run, read):
    rows, numbers = read(checks.temperatures(smoke_run)), experiment.temperatures(smoke_run)
    assert rows["loss"].tolist() == ["CE", "SCL", "TL"]
    assert rows["temperature"].tolist() == [f"{value:.3f}" for value in numbers["temperature"]]
    assert rows.attrs["caption"].startswith("On 64 held-out images")
    assert f"a mean confidence of {numbers['target'].iloc[0]:.3f}" in rows.attrs["caption"]


def test_removal_shows_the_gap_to_a_random_order(smoke_run, read):
    rows, numbers = read(checks.removal(smoke_run)), results.removal(smoke_run)
    gap = (numbers["random"] - numbers["most"]).iloc[0]
    assert rows["random minus the map's"][0] == f"{gap:+.3f}".replace("-", "−")
    assert "4 images per network" in rows.attrs["caption"] and len(rows) == 9


def test_noise_has_a_column_a_strength(smoke_run, read):
    rows, numbers = read(checks.noise(smoke_run)), results.noise(smoke_run)
    assert [name for name in rows if name.startswith("σ")] == [f"σ = {s}" for s in (0.005, 0.01, 0.02, 0.05, 0.1)]
    one = numbers[(numbers["sigma"] == 0.1) & (numbers["method"] == "grad-cam") & (numbers["loss"] == "ce")]
    assert rows["σ = 0.1"][0] == f"{one['value'].iloc[0]:.3f}"


def test_maps_without_information_are_listed(smoke_run, read):
    assert read(checks.controls(smoke_run)).set_index("metric").loc["Complexity: CM ↓", "uniform map"] == "6.931"


def test_the_share_of_negative_similarities_is_said(smoke_run, monkeypatch):
    rows = pd.DataFrame({"loss": ["ce"], "mean": [0.01], "negative": [0.25], "size": [0.2]})
    monkeypatch.setattr(results, "contrastivity", lambda run: rows)
    assert "CE 0.010 (25 % negative, mean size 0.200)." in checks.sentences_on_contrastivity(smoke_run).data


def test_it_is_said_why_claims_are_undecided(smoke_run):
    rows = claims.verdicts(smoke_run)
    said = checks.sentences_on_power(rows).data
    assert said.startswith(f"{len(rows) - 3} of {len(rows)} comparisons are undecided: ")
    for reason, n in rows.loc[rows["verdict"] == "undecided", "reason"].value_counts().items():
        assert f"{n} because of: {reason.removeprefix('undecided (').removesuffix(')')}" in said
    decided = rows.head(1).assign(verdict="holds")
    assert checks.sentences_on_power(decided).data == "0 of 1 comparisons are undecided: none."


def test_the_fine_print_says_what_each_reading_turns(smoke_run, read, changed, monkeypatch):
    asked = []

    def against(run, methods):
        asked.append((run.contrastive.variant, *methods, run.contrastive.n_scored, run.networks.seeds))
        shift = {"paper": 0.5, "clamped-noise": -0.5, "true-class": 0.4}.get(run.contrastive.variant, 0.5)
        row = {"claim": "c", "metric": "continuity", "method": methods[0], "a": "tl", "relevant": 0.02}
        return pd.DataFrame([row | {"difference": shift, "verdict": "holds" if shift > 0 else "undecided"}])

    monkeypatch.setattr(claims, "against_ce", against)
    rows = fine_print.compared(smoke_run)
    assert rows["variant"].tolist() == ["clamped-noise", "true-class"]
    assert rows["turned"].tolist() == [True, False]
    assert {name for name, *_ in asked} == {"paper", "released", *VARIANTS}
    assert {tuple(more[-2:]) for more in asked} == {(4, 1)}
    assert ("text-eigen-cam", "eigen-cam", 4, 1) in asked and ("paper", "eigen-cam-tool", 4, 1) in asked
    table = read(checks.fine_print(rows, smoke_run)).set_index("variant")
    assert table.loc["clamped-noise"].tolist()[1:] == ["1", "1", "1", "Continuity: SSIM ↑, TL"]
    assert table.loc["true-class"].tolist()[1:] == ["1", "0", "0", "–"] and len(table) == len(VARIANTS) + 1
    said = checks.sentences_on_fine_print(rows).data
    assert said.startswith(
        "1 of the 2 differences that move turn, under 1 of 2 readings (clamped-noise). Verdicts that change: 1."
    )


def test_the_fine_print_lists_the_cells_it_stands_on(smoke_run):
    cells = fine_print.cells(smoke_run)
    assert {cell.stage for cell in cells} == {"score"} and len({cell.key for cell in cells}) == len(cells)
    trainings = {fine_print.under(smoke_run, name).recipe("tl").triplets for name, _ in fine_print.readings()}
    assert trainings == {"paper", "released"}
