"""How a notebook begins: what papermill put in is checked before anything is computed."""

from types import SimpleNamespace

import pytest

from xai_lib.page.notebook import _check_parameters

OWN = """# Parameters: papermill replaces these.
mean = "0.485, 0.456"  # colours
images = ""  # folder
size = 224  # pixels
download = False  # whether"""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mean = 0.5", "Expected text for mean. Got 0.5: use -r mean in place of -p mean."),
        ("images = 202405", "Expected text for images. Got 202405: use -r images"),
        ("images = None", "Expected text for images. Got None"),
        ("mean = float('nan')", "Expected text for mean. Got nan"),
        ('maen = "0.5"', "Expected parameters that the notebook declares: mean, images, size, download. Got maen."),
        ('mean = "0.5"\nsize = 16\ndownload = True', None),
        ("", None),
    ],
)
def test_numbers_for_texts_and_names_that_are_not_declared_are_refused(given, message):
    names = {}
    exec(f"{OWN}\n{given}", names)
    shell = SimpleNamespace(user_ns=names | {"In": ["", OWN, f"# Parameters\n{given}\n", "from xai_lib import data"]})
    if message is None:
        return _check_parameters(shell)
    with pytest.raises(ValueError) as refusal:
        _check_parameters(shell)
    assert message in str(refusal.value)
