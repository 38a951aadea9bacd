"""The takeaways of the saliency paper's §§3 to 5 and the claims of its §5.2 and §5.3, under both readings of its maps.

All are about these networks on new images: the paper, too, has one network. What its §5.2 says about single pictures
("gradient-based maps provide the least information") is left to the eye: no metric of the paper decides it.
"""

from functools import cache, partial

import pandas as pd

from xai_lib import statistics
from xai_lib.page.verdicts import counted
from xai_lib.papers.saliency.analysis.found import found
from xai_lib.papers.saliency.claims.asked import ask
from xai_lib.papers.saliency.claims.comparisons import concepts, fidelity, transformed
from xai_lib.papers.saliency.method.lineup import READINGS
from xai_lib.run.study import Study


@cache
def verdicts(study: Study, reading: str = READINGS[0]) -> pd.DataFrame:
    """A verdict for each claim, as :func:`statistics.verdict_table`, with Holm's correction over all of them."""
    here, asked = found(study, reading), partial(ask, study.run.label)
    return statistics.verdict_table(one for part in (concepts, fidelity, transformed) for one in part(asked, here))


def sentences(study: Study) -> pd.DataFrame:
    """The paper's sentences, as :func:`statistics.sentences`, with a verdict and a count of each for either reading.

    Columns section, text, comparisons, then verdict, holds, reverses under the default reading and, with the suffix
    ``_signed``, under the other.
    """
    first, second = (statistics.sentences(verdicts(study, reading)) for reading in READINGS)
    return first.join(second[["verdict", "holds", "reverses"]], rsuffix=f"_{READINGS[1]}")


def finding(study: Study) -> str:
    """What the verdicts come to, in sentences: how many of the paper's hold, and which the reading turns round."""
    table, other = sentences(study), f"verdict_{READINGS[1]}"
    said = (
        f"Of the paper's {len(table)} sentences {counted(table['verdict'])} on {study.run.label}, with maps scaled as "
        "the code does that the paper cites."
    )
    turned = table[table["verdict"] != table[other]]
    if turned.empty:
        return f"{said} With maps scaled as its text says, every sentence has the same verdict."
    changes = "; ".join(f"“{row.text}” {row.verdict}, then {getattr(row, other)}" for row in turned.itertuples())
    return f"{said} With maps scaled as its text says, the verdict changes for {len(turned)}: {changes}."
