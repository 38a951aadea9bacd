import matplotlib.pyplot as plt

from xai_lib.page import style


def test_the_style_is_set_for_every_figure():
    style.use_style()
    assert plt.rcParams["figure.constrained_layout.use"] and plt.rcParams["savefig.bbox"] == "tight"
    plt.figure()
