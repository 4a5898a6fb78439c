"""The documents say what the code does, as far as a machine can compare them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from easel.problems import KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SETTINGS = sorted((ROOT / "platform/easel/settings").glob("*.py"))

FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
READ = re.compile(r'environment\.(?:text|number|flag|choice|words|networks|database)\(\s*"([A-Z][A-Z0-9_]*)"')
FIRST_CELL = re.compile(r"^\| ([^|]*) \|", re.MULTILINE)


def prose(document: Path) -> str:
    return FENCE.sub("", document.read_text(encoding="utf-8"))


def links(text: str) -> Iterator[str]:
    """Targets inside the project: a path, a path with an anchor, or an anchor alone."""
    for target in LINK.findall(INLINE_CODE.sub("", text)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(document: Path) -> set[str]:
    """As code hosts derive them from headings."""
    headings = [heading.lower() for heading in HEADING.findall(prose(document))]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in headings}


def leads_somewhere(document: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    there = (document.parent / path).resolve() if path else document
    if not there.exists() or not there.is_relative_to(ROOT):
        return False
    return not anchor or anchor in anchors(there)


def first_cells(document: str) -> str:
    """The left column of every table: what the tables are about."""
    return "\n".join(FIRST_CELL.findall((ROOT / document).read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(document: Path) -> None:
    assert [target for target in links(prose(document)) if not leads_somewhere(document, target)] == []


def test_a_link_that_leads_nowhere_is_noticed() -> None:
    readme = ROOT / "README.md"
    assert list(links("[a](docs/api.md) `[b](c)` [d](https://example.org) [e](#start)")) == ["docs/api.md", "#start"]
    assert leads_somewhere(readme, "docs/api.md#tokens")
    assert not leads_somewhere(readme, "docs/api.md#no-such-heading")
    assert not leads_somewhere(readme, "docs/none.md")


def test_every_variable_the_settings_read_is_in_the_configuration() -> None:
    read = {name for path in SETTINGS for name in READ.findall(path.read_text(encoding="utf-8"))}
    listed = first_cells("docs/configuration.md")
    assert len(read) > 30
    assert {name for name in read if f"`{name}`" not in listed} == set()


def test_the_configuration_lists_no_variable_that_nobody_reads() -> None:
    listed = set(re.findall(r"`(EASEL_[A-Z0-9_]+)`", first_cells("docs/configuration.md")))
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*(ROOT / "platform/easel").rglob("*.py"), *(ROOT / "moderation/screening").glob("*.py")]
    )
    assert {name for name in listed if f'"{name}"' not in sources} == set()


def test_every_setting_that_docker_compose_does_not_take_from_its_file_is_said_to_be_fixed() -> None:
    """The others "go into easel.env, too"."""
    listed = set(re.findall(r"`(EASEL_[A-Z0-9_]+)`", first_cells("docs/configuration.md")))
    compose = (ROOT / "deploy/compose/compose.yml").read_text(encoding="utf-8")
    taken = set(re.findall(r"^ +(EASEL_[A-Z0-9_]+):$|\$\{(EASEL_[A-Z0-9_]+)", compose, re.MULTILINE))
    deployment = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    section = deployment.partition("## Docker Compose")[2].partition("\n## ")[0]
    fixed = listed - {name for pair in taken for name in pair}
    fixed -= {name for name in fixed if name.endswith("_DATABASE_URL")}  # "the addresses of the database"
    fixed -= {"EASEL_PROCESS", "EASEL_RABBITMQ_URL"}  # what a process is; of `make up`
    assert len(fixed) > 10
    assert {name for name in fixed if f"`{name}`" not in section} == set()


def test_every_duty_of_the_clock_is_in_the_operations_with_its_period() -> None:
    from easel.clock import _duties

    table = (
        (ROOT / "docs/operations.md")
        .read_text(encoding="utf-8")
        .partition("## Periodic duties")[2]
        .partition("\n## ")[0]
    )
    seconds = {"s": 1, "min": 60, "h": 3600, "day": 86_400}
    rows = re.findall(r"^\| `([\w.]+)` \| ([\d.]+) (\w+) \|", table, re.MULTILINE)
    told = {name: float(number) * seconds[unit] for name, number, unit in rows}
    ours = [duty for duty in _duties.values() if not duty.act.__module__.startswith("tests")]
    assert len(rows) == len(told)
    assert told == {duty.name: duty.every for duty in ours}


def test_every_problem_is_in_the_api_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)`", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {code: int(status) for status, code in rows} == {code: kind.status for code, kind in KINDS.items()}


def test_every_field_of_a_request_is_in_the_api() -> None:
    from generation.request import GenerationRequest

    listed = first_cells("docs/api.md")
    assert [name for name in GenerationRequest().fields if f"`{name}`" not in listed] == []


def test_every_sampler_can_be_read_from_the_api() -> None:
    from generation.samplers import SAMPLERS

    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    table = text.partition("### Samplers")[2].partition("###")[0]
    rows = re.findall(r"^\| (`.*`) \| ?(.*) ?\|$", table, re.MULTILINE)
    told = {
        f"{solver} {schedule}".strip()
        for solvers, schedules in rows
        for solver in re.findall(r"`([^`]+)`", solvers)
        for schedule in ["", *re.findall(r"`([^`]+)`", schedules)]
    }
    assert told == {sampler.name for sampler in SAMPLERS}


def test_every_decision_is_listed_and_every_listed_one_exists() -> None:
    folder = ROOT / "docs/adr"
    written = {path.name for path in folder.glob("[0-9]*.md")}
    assert written
    assert set(LINK.findall((folder / "README.md").read_text(encoding="utf-8"))) == written


def test_every_decision_has_its_four_parts() -> None:
    for path in (ROOT / "docs/adr").glob("[0-9]*.md"):
        headings = HEADING.findall(path.read_text(encoding="utf-8"))
        assert headings[0].startswith(f"{path.name[:4]} · "), path.name
        assert headings[1:] == ["Context", "Decision", "Consequences", "Alternatives"], path.name


def failures_for_good() -> set[str]:
    """The codes of the engine's errors that no further attempt follows. Any other becomes `attempts_exhausted`."""
    found = set()
    for path in (ROOT / "generation").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not call.args or not isinstance(call.args[0], ast.Constant):
                continue
            permanent = next((each.value for each in call.keywords if each.arg == "permanent"), None)
            if permanent is not None and not (isinstance(permanent, ast.Constant) and permanent.value is False):
                found.add(str(call.args[0].value))
    return found


def test_the_codes_of_failed_generations_are_those_that_they_can_have() -> None:
    table = (ROOT / "docs/api.md").read_text(encoding="utf-8").partition("`error.code` is one of:")[2]
    told = set(re.findall(r"`(\w+)`", "\n".join(FIRST_CELL.findall(table.partition("`credits` is")[0]))))
    # Only whoever uses the engine by itself sets a deadline.
    assert "deadline=" not in (ROOT / "generation/production.py").read_text(encoding="utf-8")
    assert told == (failures_for_good() - {"deadline_exceeded"}) | {"attempts_exhausted", "internal_error"}
