"""The dashboards come from code, and name no metric that nobody feeds."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/grafana"
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
NAME = re.compile(r"(?<![\w:])easel_[a-z0-9_]+")
DEFINITION = re.compile(r'^(\w+)(?:: Final)? = (?:Counter|Gauge|Histogram)\(\s*"(easel_\w+)"', re.MULTILINE)
SUFFIXES = re.compile(r"_(total|bucket|sum|count)$")


@cache
def queries() -> dict[str, str]:
    """Dashboard and panel, or alert → PromQL."""
    found = {}
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                found[f"{path.stem}: {panel['title']} {target['refId']}"] = target["expr"]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            found[rule.get("alert") or rule["record"]] = rule["expr"]
    return found


@cache
def known() -> set[str]:
    """Every metric that any process of Easel defines."""
    for package in ("easel", "tenants", "billing", "moderation", "generation"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not re.search(r"migrations|embedded|settings|asgi|urls|__main__|\.engine\.", module.name):
                importlib.import_module(module.name)
    importlib.import_module("generation.engine.loop")
    return {metric.name for metric in REGISTRY.collect()}


@cache
def written() -> set[str]:
    """Every metric whose object somebody takes in hand: those of `easel.metrics` anywhere, others in their own file."""
    packages = ("platform/easel", "tenants", "billing", "moderation", "generation")
    sources = {path: path.read_text() for package in packages for path in (ROOT / package).rglob("*.py")}
    found = set()
    for path, source in sources.items():
        shared = path.name == "metrics.py"
        everywhere = "\n".join(sources.values()) if shared else source
        for variable, name in DEFINITION.findall(source):
            taken = rf"\b(metrics\.{variable}\b|{variable}\.)" if shared else rf"\b{variable}\."
            if re.search(taken, everywhere):
                found.add(name)
    return found


def test_the_files_are_what_the_code_says(tmp_path: Path) -> None:
    built = "import build, pathlib, sys; build.FOLDER = pathlib.Path(sys.argv[1]); build.main()"
    subprocess.run([sys.executable, "-c", built, str(tmp_path)], cwd=FOLDER, check=True)
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in DASHBOARDS}


def test_no_panel_lies_on_another() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(path.read_text())["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert not cells & taken, f"{path.stem}: {panel['title']}"
            taken |= cells


@pytest.mark.parametrize("where", queries())
def test_every_metric_that_is_asked_for_is_one_that_some_process_feeds(where: str) -> None:
    asked = {SUFFIXES.sub("", name) for name in NAME.findall(queries()[where])}
    assert asked <= {SUFFIXES.sub("", name) for name in known()}


@pytest.mark.parametrize("where", queries())
def test_every_metric_that_is_asked_for_is_written_somewhere(where: str) -> None:
    asked = {SUFFIXES.sub("", name) for name in NAME.findall(queries()[where])}
    assert asked <= {SUFFIXES.sub("", name) for name in written()}


def test_a_metric_that_is_only_defined_would_be_noticed() -> None:
    defined = DEFINITION.findall('FORGOTTEN: Final = Counter(\n    "easel_forgotten", "Nobody counts."\n)\n')
    assert defined == [("FORGOTTEN", "easel_forgotten")]
    assert "easel_store_seconds" in written()
    assert "easel_forgotten" not in written()


def test_a_metric_that_does_not_exist_would_be_noticed() -> None:
    assert NAME.findall("rate(easel_no_such_total[5m])") == ["easel_no_such_total"]
    assert "easel_no_such" not in known()
