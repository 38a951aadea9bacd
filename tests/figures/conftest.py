import matplotlib
import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def pyplot():
    """Every function draws exactly one figure and the test closes it."""
    matplotlib.use("Agg")
    plt.close("all")
    with plt.rc_context():
        yield
        assert len(plt.get_fignums()) == 1
        plt.gcf().canvas.draw()
        plt.close("all")
