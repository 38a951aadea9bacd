import json
import os
import shutil
import subprocess

import pytest
from bs4 import BeautifulSoup

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def browsed(tmp_path):
    """Function (HTML, flags) -> what its scripts leave in <pre> as JSON, in a Chromium; skipped without one."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")

    def run(html, *flags):
        page = tmp_path / "page.html"
        page.write_text(f"<!doctype html><meta charset='utf-8'>{html}", encoding="utf-8")
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", *flags]
        command = [CHROMIUM, *flags, "--dump-dom", page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=os.environ | {"LANG": "C"})
        return json.loads(BeautifulSoup(done.stdout, "html.parser").pre.get_text())

    return run
