"""Notes on what is known to be wrong with print, beside the numbers that they concern."""

from html import escape

from IPython.display import HTML

from xai_lib import published


def errata(paper: str, *names: str) -> HTML:
    """Notes on a paper, by their names in ``published/data/errata.csv``. KeyError if a name is not the paper's."""
    rows = published.errata(paper).set_index("id").loc[list(names)]
    notes = zip(rows["text"], rows["source"])
    return HTML("".join(f"<p><b>In print:</b> {escape(text)} <i>({escape(source)})</i></p>" for text, source in notes))
