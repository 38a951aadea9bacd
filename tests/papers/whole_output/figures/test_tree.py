"""The tree as HTML, and, where there is a Chromium, used in it."""

import re
from base64 import b64decode

import pytest
import torch
from bs4 import BeautifulSoup

from xai_lib.papers.whole_output.figures.inline import png
from xai_lib.papers.whole_output.figures.tree import zoomable_tree
from xai_lib.papers.whole_output.latent_tree import Tree

NAMES = ["boat", "fish", "mug", "cup", "key", "<b>&co", "arrow", "kite", "tree", "tree fern"]
TREE = Tree(10, (((0,), (1,), (2, 3), (4, 5, 6, 7), (8, 9)), ((0, 1), (2, 3), (4,))), ((0, 1), (1, 2)))
CLUSTERS = [["boat"], ["fish"], ["mug", "cup"], ["key", "<b>&co", "arrow", "kite"], ["tree", "tree fern"]]
PICTURE = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def pyplot():
    """A tree is no figure of matplotlib's."""


def large(n=1000, cluster=5):
    """Clusters of so many, groups of so many of them, and groups of so many of those."""
    levels, below = [], n
    for _ in range(3):
        levels.append([list(range(first, min(first + cluster, below))) for first in range(0, below, cluster)])
        below = len(levels[-1])
    return Tree(n, tuple(levels), tuple((place, place + 1) for place in range(below - 1)))


def parsed(tree=TREE, names=NAMES, title="", images=None):
    return BeautifulSoup(zoomable_tree(tree, names, title=title, images=images).data, "html.parser")


def numbers(element, *names):
    return tuple(float(element[name]) for name in names)


def test_each_cluster_is_a_group_of_its_labels():
    page = parsed(title="A <tree>")
    assert page.figcaption.get_text() == "A <tree>"
    groups = page.svg.select("g.cluster, g.alone")
    assert [[text.get_text() for text in group.select("text")] for group in groups] == CLUSTERS
    assert ["alone" in group["class"] for group in groups] == [len(cluster) == 1 for cluster in CLUSTERS]
    above = page.svg.select("g.above")
    assert [len(group.find_all("g", recursive=False)) for group in above] == [2, 2, 1]
    assert len(page.svg.select("path.bridge")) == 2


def test_lines_lead_to_every_child():
    page = parsed(large(), [f"class {label}" for label in range(1000)])
    step = float(page.svg["data-step"])
    for group in page.svg.select("g.above"):
        starts = re.findall(r"M(-?[\d.]+) (-?[\d.]+)h", group.path["d"])
        ends = {(float(x) + step, float(y)) for x, y in starts}
        below = group.find_all("g", recursive=False)
        dots = [numbers(child.find("circle", recursive=False), "cx", "cy") for child in below]
        assert ends == set(dots)
        corners = {float(x) for x in re.findall(r"[MH](-?[\d.]+)", group.path["d"])}
        assert corners >= {x - step for x, _ in dots} | {numbers(group.find("circle", recursive=False), "cx")[0]}


def test_the_list_holds_the_same_as_the_drawing_and_without_scripts_no_control_does_nothing():
    page = parsed()
    entries = [entry.get_text() for entry in page.details.select("li") if not entry.ul]
    assert entries == [", ".join(cluster) for cluster in CLUSTERS]
    groups = [entry for entry in page.details.select("li") if entry.ul]
    assert [entry.contents[0] for entry in groups] == ["2 classes", "6 classes"]  # the third top node has one cluster
    assert page.summary.get_text() == "Latent tree of 10 classes in 5 clusters, as a list"
    assert page.svg["role"] == "img" and page.svg["aria-label"].startswith("Latent tree of 10 classes in 5 clusters")
    assert all(control.find_parent(hidden=True) for control in page.select("button, input"))
    assert page.svg.find_parent(hidden=True) is None and page.details.find_parent(hidden=True) is None


def test_it_can_be_told_from_what_the_page_holds_besides():
    both = BeautifulSoup("".join(zoomable_tree(TREE, NAMES, title="twice").data for _ in range(2)), "html.parser")
    ids = [element["id"] for element in both.select("[id]")]
    assert len(ids) == len(set(ids)) == 6
    for element, attribute in ((both.input, "list"), (both.select_one(".frame"), "aria-describedby")):
        assert element[attribute] in ids
    icons = {"fa", "fas", "far", "fal", "fab", "fad", "fass"}  # which the book's theme replaces by pictures
    assert not icons & {name for element in both.select("[class]") for name in element["class"]}
    assert all(selector.startswith((".latent-tree", "html[data-theme", ".text_html:has(> .latent-tree)"))
               for selector in re.findall(r"^[^\s}/@*].*?(?=,$| \{$)", both.style.string, re.M))  # fmt: skip


def test_it_needs_nothing_else():
    page = parsed(images={3: PICTURE})
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bsrc=", str(page).replace("// ", ""))
    (picture,) = page.select("image")
    assert b64decode(picture["href"].removeprefix("data:image/png;base64,")) == png(PICTURE, 48)
    assert picture.find_next("text").get_text() == "cup"
    x, left, side = float(picture.find_next("text")["x"]), *numbers(picture, "x", "width")
    assert x >= left + side


def test_a_thousand_labels_are_small_and_have_captions_and_wrong_names_and_images_are_named():
    tree, names = large(), [f"a class of number {label}" for label in range(1000)]
    page = parsed(tree, names)
    assert len(str(page).encode()) < 200_000
    assert len(page.svg.select("g > text")) == 1000
    captions = [caption.get_text() for caption in page.svg.select(".caption")]
    assert captions == [f"{names[first]}and 124 more" for first in range(0, 1000, 125)]
    assert "distant" in page.figure["class"]
    (caption, *_) = parsed(large(cluster=6), names).svg.select(".caption")
    assert caption.get_text() == f"{names[0]}and 35 more"  # of 216 too many to stand for
    assert "distant" not in parsed().figure["class"]
    with pytest.raises(ValueError, match=r"a name for each of 10 labels.*Got 9 names"):
        parsed(names=NAMES[1:])
    with pytest.raises(ValueError, match=r"images of \[10\]"):
        parsed(images={10: PICTURE})


USE = """<script>
addEventListener("load", () => setTimeout(() => {
  const found = [...document.querySelectorAll(".latent-tree")].map((root) => {
    const [svg, input, frame] = ["svg", "input", ".frame"].map((name) => root.querySelector(name));
    const steps = [];
    const note = (what) => steps.push({
      what,
      said: root.querySelector(".said").textContent,
      matches: [...root.querySelectorAll(".match")].map((text) => text.textContent),
      way: root.querySelector(".route").getAttribute("d"),
      scale: Number(svg.style.getPropertyValue("--scale")),
      view: svg.getAttribute("viewBox"),
    });
    const type = (text) => { input.value = text; input.dispatchEvent(new Event("input")); };
    const press = (element, key) =>
      element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    const click = (element) => element.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    note("start");
    type("cup"); note("one match");
    type("tree"); note("exact match");
    type("e"); note("several");
    press(input, "Enter"); press(input, "Enter"); note("second of several");
    type("xyz"); note("none");
    press(frame, "+"); note("larger");
    press(frame, "ArrowDown"); note("moved");
    press(frame, "0"); note("whole");
    click(root.querySelector(".above > circle")); note("node");
    click(root.querySelector("g > text")); note("label");
    return { steps, hidden: root.querySelectorAll("[hidden]").length, options: root.querySelectorAll("option").length };
  });
  const pre = document.body.appendChild(document.createElement("pre"));
  pre.textContent = JSON.stringify(found);
}, 300));
</script>"""


@pytest.mark.slow
def test_two_trees_on_a_page_are_searched_and_moved(browsed):
    trees = "".join(zoomable_tree(TREE, NAMES, title="A tree").data for _ in range(2))
    first, second = browsed(
        trees + USE, "--force-prefers-reduced-motion", "--window-size=800,900", "--virtual-time-budget=5000"
    )
    assert [step["matches"] for step in first["steps"]] == [step["matches"] for step in second["steps"]]
    assert first["hidden"] == 0 and first["options"] == 10
    steps = {step["what"]: step for step in first["steps"]}
    assert steps["one match"]["said"] == "cup: in a cluster with mug." and steps["one match"]["matches"] == ["cup"]
    assert steps["exact match"]["matches"] == ["tree"]
    assert steps["several"]["matches"] == ["key", "kite", "tree", "tree fern"] and not steps["several"]["way"]
    assert steps["second of several"]["matches"] == ["kite"]
    assert steps["none"]["said"] == "No class matches." and not steps["none"]["matches"]
    assert steps["larger"]["scale"] == pytest.approx(1.5 * steps["none"]["scale"])
    assert steps["moved"]["view"] != steps["larger"]["view"] and steps["moved"]["scale"] == steps["larger"]["scale"]
    assert steps["whole"]["scale"] == pytest.approx(steps["start"]["scale"])
    assert steps["node"]["said"] == "2 classes in 2 clusters." and not steps["node"]["matches"]
    assert steps["label"]["said"] == "boat: in a cluster of its own."
    assert steps["label"]["way"] == way_up("boat")


def way_up(name):
    """From the label to its dot, and to the dot of every node above."""
    page = parsed()
    text = page.svg.find("text", string=name)
    indent, step = numbers(page.svg, "data-indent", "data-step")
    x = float(text["x"]) - indent
    path = f"M{x + 8:g} {text['y']}H{x:g}"
    for group in text.find_parents("g"):
        across, down = numbers(group.find("circle", recursive=False), "cx", "cy")
        path += f"V{down:g}H{across:g}"
        path += f"H{across - step:g}" if group.find_parent("g") else ""
    return path
