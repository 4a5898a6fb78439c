"""Every alert fires in the world that it is for and is silent in a healthy one, says Prometheus' own promtool."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.programs import needs
from tests.deploy.worlds import BROKEN, COMPLETED, FAILED, HARMLESS, HEALTHY, Series

pytestmark = needs("promtool", "amtool")
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


def promtool(tmp_path: Path, world: Series, *, at: str, expression: str, gives: list[dict[str, object]]) -> str:
    """What promtool says when `expression` at that time is not what is expected; empty: it is."""
    test = {
        "rule_files": [str(FOLDER / "alerts.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in world.items()],
                "promql_expr_test": [{"expr": expression, "eval_time": at, "exp_samples": gives}],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(test))
    ran = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def firing(alert: str) -> str:
    return f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'


@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires_in_the_world_it_is_for(alert: str, tmp_path: Path) -> None:
    change, at = BROKEN[alert]
    assert promtool(tmp_path, {**HEALTHY, **change}, at=at, expression=firing(alert), gives=[{"value": 1}]) == ""


@pytest.mark.parametrize("at", ["20m", "390m"])
def test_all_are_silent_while_all_is_well(at: str, tmp_path: Path) -> None:
    assert promtool(tmp_path, HEALTHY, at=at, expression='ALERTS{alertstate="firing"}', gives=[]) == ""


@pytest.mark.parametrize("name", HARMLESS)
def test_all_are_silent_when(name: str, tmp_path: Path) -> None:
    world = {**HEALTHY, **HARMLESS[name]}
    assert promtool(tmp_path, world, at="390m", expression='ALERTS{alertstate="firing"}', gives=[]) == ""


@pytest.mark.parametrize(("at", "fires"), [("20m", False), ("390m", True)])
def test_a_duty_that_never_ended_well_is_overdue_from_the_clocks_start_on(at: str, fires: bool, tmp_path: Path) -> None:
    never = {
        'easel_clock_started_timestamp_seconds{duty="reconcile_ledger"}': "0x400",
        'easel_clock_period_seconds{duty="reconcile_ledger"}': "3600x400",
    }
    expected: list[dict[str, object]] = [{"value": 1}] if fires else []
    assert promtool(tmp_path, {**HEALTHY, **never}, at=at, expression=firing("EaselDutyOverdue"), gives=expected) == ""


def test_when_all_fail_few_are_enough(tmp_path: Path) -> None:
    world = {**HEALTHY, COMPLETED: "0x400", FAILED: "0+2x400"}
    for alert in ("EaselSuccessRateLow", "EaselErrorBudgetBurnsFast"):
        assert promtool(tmp_path, world, at="20m", expression=firing(alert), gives=[{"value": 1}]) == ""


def test_a_clock_that_was_never_there_is_silent_too(tmp_path: Path) -> None:
    world = {name: values for name, values in HEALTHY.items() if "clock" not in name}
    assert promtool(tmp_path, world, at="5m", expression=firing("EaselClockSilent"), gives=[{"value": 1}]) == ""


def test_promtool_would_say_so_if_one_did_not_fire(tmp_path: Path) -> None:
    assert promtool(tmp_path, HEALTHY, at="20m", expression=firing("EaselNoWorker"), gives=[{"value": 1}]) != ""


def test_every_alert_has_a_severity_and_a_section_of_the_runbook_of_its_own() -> None:
    sections = set(re.findall(r"^### (Easel\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE))
    assert sections == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"]["summary"]


def test_the_configurations_are_valid(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "config", "--syntax-only", FOLDER / "prometheus.yml"], check=True)
    subprocess.run(["amtool", "check-config", FOLDER / "alertmanager.yml"], check=True)
