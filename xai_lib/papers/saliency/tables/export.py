"""The leaderboard as files to pass on: numbers as CSV, and a page that needs nothing else."""

from pathlib import Path

from xai_lib import files
from xai_lib.page import standalone
from xai_lib.page.names import METHOD_NAMES
from xai_lib.papers.saliency import analysis
from xai_lib.papers.saliency.analysis import scores
from xai_lib.papers.saliency.tables import benchmark
from xai_lib.run.study import Study

_WORDS = """<p>Scores are means over images, of maps for each image's true class. Arrows say which direction is better.
A dash stands where a method or a metric does not apply. Uninformed methods never ask the network: a metric that one of
them wins says little about the others on these images. Where the intervals of two methods overlap, in
<code>leaderboard-intervals.csv</code>, their difference is uncertain.</p>"""


def export(study: Study, folder: Path | str) -> tuple[Path, Path, Path]:
    """Write a leaderboard into a folder, made if need be; returns its files.

    ``leaderboard.csv`` has a row a method and a column a metric, as the page; ``leaderboard-intervals.csv`` a row a
    metric and method, with mean, 95 % interval, median and number of images; ``leaderboard.html`` is the page.
    """
    folder, names = Path(folder), scores.present(study)
    folder.mkdir(parents=True, exist_ok=True)
    wide, rows = analysis.printed.leaderboard(study, names), analysis.printed.unprinted(study, names)
    wide.insert(1, "title", [METHOD_NAMES[name] for name in wide["method"]])
    files.write_frame(folder / "leaderboard.csv", wide)
    files.write_frame(folder / "leaderboard-intervals.csv", rows)
    parts = (_WORDS, benchmark.leaderboard(study).data, benchmark.networks(study).data)
    page = standalone.write(folder / "leaderboard.html", f"Leaderboard of methods: {study.run.label}", *parts)
    return folder / "leaderboard.csv", folder / "leaderboard-intervals.csv", page
