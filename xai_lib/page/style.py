"""The look that all figures share: colours of losses and families, markers, sizes."""

import matplotlib.pyplot as plt
import seaborn as sns

PAGE_WIDTH = 7.2  # inches, of a figure that fills a page of the book
# Okabe and Ito's palette, told apart by readers with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LOSS_COLOURS = dict(zip(("ce", "scl", "tl"), COLOURS))
FAMILY_COLOURS = {"uninformed": "#777777"}
FAMILY_COLOURS |= dict(zip(("gradient", "cam", "occlusion", "learning", "relevance", "elsewhere"), COLOURS))
MARKERS = "osD^vPX*p"
TEXT, SMALL = 10, 9  # points; a figure as wide as a page leaves two thirds of it on a phone


def plain(text: object) -> str:
    """A user's text, such as a class's name, whose dollars do not begin a formula in a figure."""
    return str(text).replace("$", r"\$")


def use_style() -> None:
    """Set the look that all figures of the book share."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=0.9)
    plt.rcParams.update({"figure.dpi": 120, "savefig.bbox": "tight", "figure.constrained_layout.use": True})
