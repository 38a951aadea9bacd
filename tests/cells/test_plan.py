from xai_lib import cells
from xai_lib.__main__ import _parser
from xai_lib.artefacts import read_json
from xai_lib.cells.plan import compute
from xai_lib.store import Store


def test_ids_are_unique_and_needs_exist_before_they_are_needed(empty_store):
    run = cells.settings(scale="smoke")
    jobs = cells.plan(run)
    assert len(jobs) == len({job["id"] for job in jobs}) == len({job["key"] for job in jobs}) == 3 * 2 * 2
    seen = set()
    for job in jobs:
        assert set(job["needs"]) <= seen
        seen.add(job["id"])
    needs = {job["id"]: job["needs"] for job in jobs}
    assert needs["score-scl-1"] == ["train-scl-1"]


def test_commands_are_those_of_the_command_line(empty_store):
    for job in cells.plan(cells.settings(scale="smoke")):
        options = _parser().parse_args([*job["command"], "--scale", "smoke"])
        assert f"{options.command}-{options.loss}-{options.seed}" == job["id"]


def test_a_job_is_done_once_it_is_computed(empty_store):
    run = cells.settings(scale="smoke", device="cpu", overrides="seeds=1, n_train=50, width=4")
    assert not any(job["done"] for job in cells.plan(run))
    compute(run, "train", "ce", 0)
    assert [job["id"] for job in cells.plan(run) if job["done"]] == ["train-ce-0"]


def test_the_jobs_of_the_plan_compute_every_cell_of_the_run(smoke_run):
    """The store was filled by them."""
    store = Store()
    assert all(job["done"] for job in cells.plan(smoke_run))
    found = cells.of_run(smoke_run)
    assert [cell.stage for cell in found] == ["train"] * 3 + ["predict"] * 3 + ["explain"] * 6 + ["score"] * 6
    assert len({cell.key for cell in found}) == len(found)
    assert all(store.is_done(cell) for cell in found)
    in_store = {path.name for stage in cells.STAGES for path in (store.root / stage).iterdir() if path.is_dir()}
    assert {cell.key for cell in found} == in_store
    assert {job["key"] for job in cells.plan(smoke_run)} <= in_store


def test_parents_come_first_and_are_on_record(smoke_run):
    seen = set()
    for cell in cells.of_run(smoke_run):
        parents = read_json(Store().path(cell) / "provenance.json")["parents"]
        assert set(parents) <= seen
        assert bool(parents) == (cell.stage != "train")
        seen.add(cell.key)
