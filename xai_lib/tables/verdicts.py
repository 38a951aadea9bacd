"""The rule of verdicts, as every part shows it."""

from IPython.display import Markdown

from xai_lib import statistics


def verdict_rule() -> Markdown:
    """The rule, as the library states it."""
    return Markdown(f"> {statistics.RULE}")
