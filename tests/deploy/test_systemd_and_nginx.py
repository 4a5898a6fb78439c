"""Without containers: a unit for every kind of process, and a proxy as patient as the calls that wait behind it."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
UNITS = {path.name: path.read_text() for path in (ROOT / "deploy/systemd").iterdir()}
NGINX = (ROOT / "deploy/nginx/easel.conf").read_text()
LOCATION = re.compile(r"^    location (?:~ )?(\S+) \{\n(.*?)^    \}", re.MULTILINE | re.DOTALL)


def test_every_kind_of_process_has_a_unit() -> None:
    kinds = {re.sub(r"easel-(\w+)@?\.service", r"\1", name) for name in UNITS}
    assert kinds == {"web", "staff", "worker", "clock", "screening"}


@pytest.mark.parametrize("name", UNITS)
def test_no_unit_may_more_than_it_needs(name: str) -> None:
    for line in ("User=easel", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes"):
        assert f"\n{line}\n" in UNITS[name]


def test_the_screening_process_is_given_no_keys() -> None:
    assert "EnvironmentFile=/etc/easel/common.env" not in UNITS["easel-screening.service"]
    assert "EnvironmentFile=/etc/easel/screening.env" in UNITS["easel-screening.service"]


def test_calls_that_are_held_for_their_pictures_are_not_cut_off() -> None:
    locations = dict(LOCATION.findall(NGINX))
    (seconds,) = re.findall(r"proxy_read_timeout (\d+)s;", locations["/compat/"])
    assert int(seconds) > settings.HOLD_SECONDS
    assert "proxy_buffering off;" in locations["/compat/"]


def test_the_web_is_told_the_same_of_every_call() -> None:
    headers = {tuple(re.findall(r"proxy_set_header .*;", body)) for _, body in LOCATION.findall(NGINX)}
    assert len(headers) == 1
