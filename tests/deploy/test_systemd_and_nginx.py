"""Without containers: a unit for every kind of process, and a proxy as patient as the calls that wait behind it."""

import json
import re
from pathlib import Path

import pytest
import yaml
from django.conf import settings

from easel.embedded.web import Web

ROOT = Path(__file__).resolve().parents[2]
UNITS = {path.name: path.read_text() for path in (ROOT / "deploy/systemd").iterdir()}
NGINX = (ROOT / "deploy/nginx/easel.conf").read_text()
LOCATION = re.compile(r"^    location (?:~ )?(\S+) \{\n(.*?)^    \}", re.MULTILINE | re.DOTALL)


def test_every_kind_of_process_has_a_unit() -> None:
    kinds = {re.sub(r"easel-(\w+)@?\.service", r"\1", name) for name in UNITS}
    assert kinds == {"web", "staff", "worker", "clock", "screening"}


def test_units_are_where_systemd_looks_before_they_are_enabled() -> None:
    """As somebody does who copies one line after the other."""
    steps = (ROOT / "docs/deployment.md").read_text().partition("## systemd")[2].partition("\n## ")[0]
    copied, known, enabled = (
        steps.find(step) for step in ("/etc/systemd/system/", "daemon-reload", "systemctl enable")
    )
    assert 0 < copied < known < enabled
    assert all(f" {name}" in steps[enabled:] for name in ("easel-web", "easel-staff", "easel-clock", "easel-screening"))


@pytest.mark.parametrize("name", UNITS)
def test_no_unit_may_more_than_it_needs(name: str) -> None:
    for line in ("User=easel", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"):
        assert f"\n{line}\n" in UNITS[name]


def test_the_screening_process_is_given_no_keys() -> None:
    assert "EnvironmentFile=/etc/easel/common.env" not in UNITS["easel-screening.service"]
    assert "EnvironmentFile=/etc/easel/screening.env" in UNITS["easel-screening.service"]


def metrics_ports() -> dict[str, str]:
    """Of the first worker, where a machine may have several."""
    found = {name: re.search(r"EASEL_METRICS_PORT=(\S+)", text) for name, text in UNITS.items()}
    return {
        re.sub(r"easel-(\w+)@?\.service", r"\1", name): port[1].replace("%i", "0")
        for name, port in found.items()
        if port
    }


def test_every_process_of_a_machine_has_a_metrics_port_of_its_own() -> None:
    assert len(set(metrics_ports().values())) == 4


def test_prometheus_is_told_the_ports_of_every_process() -> None:
    """By what is in `targets/metrics.json`; alerts ask for the process by its label."""
    told = {
        name: {
            entry["labels"]["process"]: entry["targets"][0]
            for entry in json.loads((ROOT / f"deploy/prometheus/{name}.json").read_text())
        }
        for name in ("systemd", "compose")
    }
    assert told["systemd"] == {
        "screening": "127.0.0.1:8090",
        **{process: f"127.0.0.1:{port}" for process, port in metrics_ports().items()},
    }
    services = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())["services"]
    assert told["compose"] == {
        "screening": "screening:8002",
        **{
            name: f"{name}:{services[name]['environment']['EASEL_METRICS_PORT']}"
            for name in ("web", "staff", "worker", "clock")
        },
    }


def test_a_worker_keeps_models_from_a_hub_where_it_may_write() -> None:
    unit = UNITS["easel-worker@.service"]
    (folder,) = re.findall(r"ReadWritePaths=(\S+)", unit)
    (hub,) = re.findall(r"HF_HOME=(\S+)", unit)
    assert hub.startswith(f"{folder}/")


def test_calls_that_are_held_for_their_pictures_are_not_cut_off() -> None:
    locations = dict(LOCATION.findall(NGINX))
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s;", locations["/compat/"])
    assert int(seconds) > settings.HOLD_SECONDS
    assert "proxy_buffering off;" in locations["/compat/"]


def test_no_server_closes_a_connection_that_the_proxy_still_takes_for_open() -> None:
    """nginx keeps idle ones for 60 s, load balancers too. What is sent while the other side closes is lost: a 502."""
    places = [*(ROOT / "deploy").rglob("*"), ROOT / "docs/operations.md"]
    texts = [path.read_text() for path in places if path.suffix in {".service", ".yml", ".Dockerfile", ".md"}]
    commands = [line for text in texts for line in text.splitlines() if re.search(r"uvicorn\W+easel.asgi", line)]
    assert len(commands) == 6
    commands.append(" ".join(Web({}, host="127.0.0.1", port=1).command()))
    for command in commands:
        (seconds,) = re.findall(r"--timeout-keep-alive=(\d+)", command)
        assert int(seconds) > 60, command


def test_staff_are_behind_the_proxy_too_on_a_port_of_their_own() -> None:
    """Production speaks TLS only. A form's Origin is compared with the Host, port and all."""
    blocks = {re.findall(r"listen (\d+)", block)[0]: block for block in NGINX.split("\nserver {")[1:]}
    assert "proxy_pass http://easel_staff;" in blocks["8443"]
    assert "proxy_set_header Host $http_host;" in blocks["8443"]
    assert all("easel_staff" not in block for port, block in blocks.items() if port != "8443")


def test_no_access_log_keeps_addresses_that_let_their_holder_in() -> None:
    servers = NGINX.split("\nserver {")[1:]
    assert len(servers) == 3
    assert all("access_log off;" in server for server in servers)


def test_the_web_is_told_the_same_of_every_call() -> None:
    headers = {tuple(re.findall(r"proxy_set_header .*;", body)) for _, body in LOCATION.findall(NGINX)}
    assert len(headers) == 1
