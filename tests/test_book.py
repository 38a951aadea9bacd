"""A small book, built strictly from the prose and every notebook at smoke, and read as a browser would."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BUILD = "build book --path-output book --all -W --keep-going -n"
NOTEBOOKS = sorted(path.relative_to(ROOT / "notebooks").as_posix() for path in (ROOT / "notebooks").glob("*/*.ipynb"))

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """Tags of a page with their attributes, and the ids that links may point to."""

    def __init__(self, path):
        super().__init__()
        self.path, self.text, self.tags = path, path.read_text(encoding="utf-8"), []
        self.feed(self.text)
        self.ids = {attributes["id"] for _, attributes in self.tags if "id" in attributes}

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def of(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def book(tmp_path_factory, executed):
    """The built pages: address below the root -> Page."""
    folder = tmp_path_factory.mktemp("book")
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", "book", "_config.yml", "*.md"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name in NOTEBOOKS:
        target = folder / "book/executed" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(executed(name), target)
    command = [str(Path(sys.executable).with_name("jupyter-book")), *BUILD.split()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    root = folder / "book/_build/html"
    pages = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.html"))}
    return {name: Page(path) for name, path in pages.items() if not name.startswith("_static/")}  # a theme's templates


@pytest.fixture
def chapters(book):
    """The pages of the table of contents."""
    contents = yaml.safe_load((ROOT / "book/_toc.yml").read_text())
    files = [contents["root"], *(chapter["file"] for part in contents["parts"] for chapter in part["chapters"])]
    return {f"{file}.html": book[f"{file}.html"] for file in files}


def test_the_build_is_the_workflows(book):
    assert BUILD in (ROOT / "Snakefile").read_text()


def test_every_chapter_has_a_language_and_one_heading(chapters):
    for name, page in chapters.items():
        assert page.of("html")[0].get("lang"), name
        article = page.text.partition("<article")[2].partition("</article>")[0]
        assert article.count("<h1") == 1, name
        assert page.of("meta")[0].get("charset"), name


def test_every_picture_says_what_it_shows(book):
    for name, page in book.items():
        for picture in page.of("img"):
            alt = picture.get("alt") or ""
            assert alt.strip(), f"{name}: {picture}"
            assert not re.search(r"/|\.(png|svg|jpe?g)$", alt), f"{name}: {picture}"


def _caption(cell):
    return cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption")


def test_figures_of_notebooks_are_shown_with_their_captions(chapters):
    for name in NOTEBOOKS:
        page = chapters[f"executed/{name}".replace(".ipynb", ".html")]
        captioned = [cell for cell in json.loads((ROOT / "notebooks" / name).read_text())["cells"] if _caption(cell)]
        always = [cell for cell in captioned if not cell["source"][0].startswith("if ")]  # those need some kind of data
        drawn = [figure for figure in page.of("figure") if figure.get("class") != "latent-tree"]
        assert len(always) <= len(drawn) <= len(captioned), name
        assert len(page.of("figcaption")) == len(page.of("figure"))


def test_nothing_is_loaded_from_elsewhere(book):
    """Pages must work without a network: scripts, styles, fonts and pictures are local, links may go out."""
    for name, page in book.items():
        assert not re.findall(r"<script\b[^>]*>[^<]*?(https?://[^<\"']*\.js)", page.text), name
        loaded = [tag["src"] for tag in page.of("script", "img", "iframe", "source", "video", "audio") if "src" in tag]
        loaded += [tag["href"] for tag in page.of("link") if tag.get("rel") not in ("canonical", "author", "license")]
        for address in loaded:
            assert not re.match(r"(https?:)?//", address), f"{name}: {address}"
            if not address.startswith("data:"):
                assert _file(page, address).exists(), f"{name}: {address}"


def test_no_style_loads_from_elsewhere(book):
    root = book["index.html"].path.parent
    sheets = [path.read_text(encoding="utf-8") for path in root.rglob("*.css")]
    sheets += [style for page in book.values() for style in re.findall(r"<style.*?</style>", page.text, re.DOTALL)]
    assert len(sheets) > 3
    for sheet in sheets:
        assert not re.search(r"""(@import\s+(url\()?|url\()\s*['"]?(https?:)?//""", sheet)


def test_formulas_need_no_network(chapters):
    with_formulas = [page for page in chapters.values() if 'class="math' in page.text]
    assert len(with_formulas) >= 3
    for page in with_formulas:
        [script] = _formula_scripts(page)  # two would typeset each formula twice
        assert "_static/vendor/mathjax/" in script
        fonts = _file(page, script).parent / "output/chtml/fonts/woff-v2"
        assert (fonts / "MathJax_Main-Regular.woff").exists()


def test_a_page_without_formulas_does_not_wait_for_them(chapters):
    for name in ("rerun.html", "contrastive/index.html"):
        assert 'class="math' not in chapters[name].text
        assert _formula_scripts(chapters[name]) == []


def test_links_within_the_book_arrive(book):
    root = book["index.html"].path.parent
    for name, page in book.items():
        for link in page.of("a"):
            address, fragment = urldefrag(link.get("href", ""))
            if re.match(r"[a-z]+:|//", address):
                continue
            target = _file(page, address) if address else page.path
            assert target.exists(), f"{name}: {link['href']}"
            other = book.get(target.relative_to(root).as_posix()) if target.is_relative_to(root) else None
            if fragment and other:
                assert unquote(fragment) in other.ids, f"{name}: {link['href']}"


def test_no_page_shows_an_error_or_a_path_of_this_machine(book):
    for name, page in book.items():
        for sign in ("Traceback", "NotebookError", str(ROOT), sys.prefix, str(Path.home()) + "/"):
            assert sign not in page.text, f"{name}: {sign}"


def test_evaluation_ends_with_verdicts_and_what_made_them(chapters):
    text = chapters["executed/contrastive/evaluation.html"].text
    caption = r"<caption>Claims on planted: of the paper\S+ \d+, 0 hold, 0 reverse, \d+ are undecided and \d+ are"
    assert re.search(caption, text) and "<caption>Provenance.</caption>" in text
    assert text.count("undecided (") >= 18
    assert "A claim holds if the interval of the difference" in text


def test_pages_show_no_parameters_but_how_to_run_them_again(chapters):
    for name in NOTEBOOKS:
        page = chapters[f"executed/{name}".replace(".ipynb", ".html")].text
        assert "# Parameters" not in page and ">begin</span>" not in page, name
        assert f".venv/bin/papermill notebooks/{name} out.ipynb -r scale smoke" in page, name


def test_tables_of_results_keep_their_box(chapters):
    boxes = [box for page in chapters.values() for box in page.of("div") if box.get("class") == "companion-table"]
    assert len(boxes) >= 10
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)


def _formula_scripts(page):
    return [tag["src"] for tag in page.of("script") if "mathjax" in tag.get("src", "").lower()]


def _file(page, address):
    return (page.path.parent / unquote(address.partition("?")[0].partition("#")[0])).resolve()
