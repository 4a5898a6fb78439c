"""The index fits what Easel logs, and the dashboards ask for fields and events that there are."""

import ast
import io
import json
import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import yaml
from django.conf import settings

from deploy.elk import build
from deploy.elk.fields import BORROWED, ECS, FIELD_SETS, FIELDS, OWN
from easel import logs
from tests.deploy.log_fields import FITS, faults

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("generation", "tenants", "billing", "moderation", "platform")
WRITERS = {"debug", "info", "warning", "error", "exception", "critical"}
TURNED = {"exc_info", "error"}  # easel.logs makes error.* of them


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call of a logger in what Easel runs."""
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and _is_a_logger_s(node.func):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _is_a_logger_s(func: ast.expr) -> bool:
    """`log.info(…)`, or `log(…)` where the level was chosen before."""
    if isinstance(func, ast.Attribute) and func.attr in WRITERS:
        func = func.value
        return isinstance(func, ast.Name) and func.id in {"log", "logger"}
    return isinstance(func, ast.Name) and func.id == "log"


def names(call: ast.Call) -> Iterator[str]:
    """What it binds, also by `**{…}`."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
        elif isinstance(keyword.value, ast.Dict):
            yield from (key.value for key in keyword.value.keys if isinstance(key, ast.Constant))


def test_the_files_are_what_the_code_makes() -> None:
    for path, text in build.files().items():
        assert path.read_text() == text, f"python -m deploy.elk.build ({path.name})"


def test_every_name_that_is_logged_has_a_type_in_the_index() -> None:
    named = {(name, place) for place, call in calls() for name in names(call)}
    assert {"http.route", "client.ip", "attempt"} <= {name for name, _ in named}
    assert {(name, place) for name, place in named if name not in FIELDS and name not in TURNED} == set(), (
        "deploy/elk/fields.py gives each name its type; then: python -m deploy.elk.build"
    )


def test_an_own_field_is_below_no_field_set_of_the_schema() -> None:
    assert {name for name in OWN if name.partition(".")[0] in FIELD_SETS} == BORROWED
    assert {name.partition(".")[0] for name in ECS} - {"@timestamp"} <= FIELD_SETS
    assert set(FIELDS.values()) <= set(FITS)
    assert {"request_id", "tenant", "model_version", "generation_time", "quality_score"} <= set(OWN)


def test_no_field_is_both_an_object_and_a_value() -> None:
    above = {name.rpartition(".")[0] for name in FIELDS if "." in name}
    assert above.isdisjoint(FIELDS)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    structlog.contextvars.clear_contextvars()
    logs.configure({"level": "INFO", "form": "ecs", "process": "worker"})
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream
    logs.configure(settings.LOGGING)


def test_an_error_that_is_told_as_text_is_no_text_where_the_schema_has_an_object(written: io.StringIO) -> None:
    """The index would refuse the line, and it is the one that somebody looks for."""
    log = structlog.get_logger("easel.test")
    log.warning("bell.lost", pool="default", error="the broker is away")
    try:
        raise OSError("no space left")
    except OSError:
        log.exception("media.unreadable", image="1")
    told, raised = (json.loads(line) for line in written.getvalue().splitlines())
    assert ("error" not in told, told["error.message"]) == (True, "the broker is away")
    assert (raised["error.type"], raised["error.message"]) == ("OSError", "no space left")
    assert [*faults(told), *faults(raised)] == []


@pytest.mark.parametrize(
    "line",
    [
        {"error": "text"},
        {"prompts_seen": 3},
        {"quality_score": "good"},
        {"event.duration": 1.5},
        {"client.ip": "somewhere"},
        {"@timestamp": "yesterday"},
    ],
)
def test_the_check_of_lines_finds_what_an_index_would_refuse(line: dict[str, object]) -> None:
    assert list(faults(line))


def test_kibana_s_objects_refer_to_each_other_to_fields_and_to_events_that_exist() -> None:
    objects = [json.loads(line) for line in (ROOT / "deploy/elk/kibana/easel.ndjson").read_text().splitlines()]
    there = {(each["type"], each["id"]) for each in objects}
    assert len(there) == len(objects) == 1 + len(build.CHARTS) + len(build.BOARDS)
    for each in objects:
        assert {(ref["type"], ref["id"]) for ref in each["references"]} <= there
        for state in re.findall(r'"([a-zA-Z]+(?:JSON|State))": "((?:[^"\\]|\\.)*)"', json.dumps(each)):
            json.loads(json.loads(f'"{state[1]}"'))
    events = {
        call.args[0].value for _, call in calls() if call.args and isinstance(call.args[0], ast.Constant)
    }  # what a line's `message` can be
    for chart in build.CHARTS:
        assert {field for field in (chart.metric[1], chart.split) if field} <= set(FIELDS)
        for field, value in re.findall(r'([\w.@]+): "([^"]+)"', chart.query):
            assert field in FIELDS
            assert field != "message" or value in events, value


def test_the_quality_of_each_model_version_is_a_chart() -> None:
    (chart,) = [chart for chart in build.CHARTS if chart.metric == ("avg", "quality_score")]
    assert chart.split == "model_version"


def test_filebeat_reads_the_log_of_every_process() -> None:
    configuration = yaml.safe_load((ROOT / "deploy/elk/filebeat.yml").read_text())
    (source,) = configuration["filebeat.inputs"]
    read = {Path(path).stem.rstrip("*") for path in source["paths"]}
    assert read == {"web", "staff", "worker", "clock", "screening"}
    (parser,) = source["parsers"]
    assert parser["ndjson"]["expand_keys"] is True
    assert parser["ndjson"]["overwrite_keys"] is True


def test_the_install_script_is_a_script() -> None:
    subprocess.run(["bash", "-n", ROOT / "deploy/elk/install.sh"], check=True)
