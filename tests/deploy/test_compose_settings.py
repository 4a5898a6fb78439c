"""Whatever the configuration names can be set for Docker Compose, and no process is told a secret of another."""

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "platform/easel/settings/base.py").read_text()
READ = set(re.findall(r'environment\.\w+\(\s*"(EASEL_[A-Z0-9_]+)"', SETTINGS))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"web", "staff", "clock", "worker", "setup", "commands"}
# Told to single processes; where files are in an image; who else may hold the keys, which easel.env has.
NOT_FOR_ALL = {
    *("EASEL_PROCESS", "EASEL_DATABASE_URL", "EASEL_PLATFORM_DATABASE_URL", "EASEL_OWNER_DATABASE_URL"),
    *("EASEL_BACKUP_DATABASE_URL", "EASEL_DEVICE"),
    *("EASEL_VAR", "EASEL_STARTER", "EASEL_POSTGRES_PROGRAMS"),
    *("EASEL_KEY_PROVIDER", "EASEL_KEY_ESCROW", "EASEL_PLATFORM_KEYS_FILE"),
    *("EASEL_KMS_KEYS", "EASEL_KMS_ENDPOINT", "EASEL_KMS_REGION"),
}


def test_every_process_is_told_every_setting() -> None:
    assert len(READ) > 60
    for name in OURS:
        assert READ - set(SERVICES[name]["environment"]) <= NOT_FOR_ALL, name


def test_no_file_hands_all_of_its_secrets_to_a_process() -> None:
    assert [name for name, service in SERVICES.items() if "env_file" in service] == []


def test_the_addresses_of_the_database_stay_apart() -> None:
    told = {name: set(SERVICES[name]["environment"]) for name in OURS}
    assert {name for name in OURS if "EASEL_PLATFORM_DATABASE_URL" in told[name]} == OURS - {"web"}
    assert {name for name in OURS if "EASEL_OWNER_DATABASE_URL" in told[name]} == {"setup", "commands"}
    assert {name for name in OURS if "EASEL_BACKUP_DATABASE_URL" in told[name]} == {"setup", "commands"}


def test_staff_are_called_through_a_tunnel_to_the_proxy() -> None:
    """Production answers over TLS only, and only to the names it knows."""
    assert "127.0.0.1:8001:8443" in SERVICES["proxy"]["ports"]
    assert "listen 8443 ssl;" in (ROOT / "deploy/nginx/easel.conf").read_text()
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert "localhost" in SERVICES["staff"]["environment"]["EASEL_ALLOWED_HOSTS"].split(",")
    assert "staff" in SERVICES["proxy"]["depends_on"]


def test_the_proxy_asks_anew_where_containers_are_that_were_replaced() -> None:
    """nginx looks names up once, when it starts: another container may have the address by then."""
    needs = SERVICES["proxy"]["depends_on"]
    assert {name for name, how in needs.items() if how.get("restart") is True} == {"web", "staff"}


def test_nobody_sets_up_in_the_server_that_postgres_starts_for_its_own_set_up() -> None:
    """It listens on a socket alone."""
    test = SERVICES["postgres"]["healthcheck"]["test"]
    assert test[test.index("-h") + 1] == "127.0.0.1"


def test_no_container_fills_the_disk_with_what_it_says() -> None:
    for name, service in SERVICES.items():
        assert {"max-size", "max-file"} <= set(service["logging"]["options"]), name


def test_the_screening_process_shares_no_network_with_a_database_or_a_store() -> None:
    (network,) = SERVICES["screening"]["networks"]
    assert COMPOSE["networks"][network] == {"internal": True}
    beside = {name for name, service in SERVICES.items() if network in service["networks"]}
    assert beside == {"screening", "web", "staff", "clock", "worker"}


def test_nobody_reaches_the_store_who_does_not_hold_its_keys() -> None:
    (network,) = SERVICES["s3"]["networks"]
    assert COMPOSE["networks"][network] == {"internal": True}
    assert {name for name, service in SERVICES.items() if network in service["networks"]} == OURS | {"s3"}
    words = SERVICES["s3"]["command"]
    assert {"-ip.bind=127.0.0.1", "-s3.ip.bind=0.0.0.0"} <= set(words)


def test_the_store_asks_for_a_key_at_every_port() -> None:
    """A filer without tokens hands every object to whoever reaches it (docs/adr/0005)."""
    assert {"source": "s3-tokens", "target": "/etc/seaweedfs/security.toml"} in SERVICES["s3"]["configs"]
    tokens = tomllib.loads(COMPOSE["configs"]["s3-tokens"]["content"])["jwt"]
    keys = [
        tokens["signing"]["key"],
        tokens["signing"]["read"]["key"],
        tokens["filer_signing"]["key"],
        tokens["filer_signing"]["read"]["key"],
    ]
    assert len(set(keys)) == 4
    assert all("${STORE_SECRET:?}" in key for key in keys)


def test_no_secret_is_on_a_command_line() -> None:
    for name, service in SERVICES.items():
        words = [*service.get("command", ()), *service.get("healthcheck", {}).get("test", ())]
        assert not any("${" in str(word) for word in words), name


def test_a_web_process_is_given_the_time_it_takes_to_end() -> None:
    dockerfile = (ROOT / "deploy/docker/web.Dockerfile").read_text()
    patience = {*re.findall(r"--timeout-graceful-shutdown=(\d+)", dockerfile + " ".join(SERVICES["staff"]["command"]))}
    assert patience == {"20"}
    for name in ("web", "staff"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) > 20 + settings.DRAIN_SECONDS


def test_commands_can_write_the_key_escrow_and_backups_elsewhere() -> None:
    """The root of every container is read-only."""
    commands = SERVICES["commands"]
    folders = dict(reversed(volume.rsplit(":", 1)) for volume in commands["volumes"])
    assert folders == {"/keys": "keys", "/backups": "${BACKUP_FOLDER:-backups}"}
    assert commands["environment"]["EASEL_KEY_ESCROW"].startswith("/keys/")
    assert commands["profiles"] == ["commands"]


def test_the_bucket_is_made() -> None:
    assert "create_bucket()" in SERVICES["setup"]["command"][-1]


def test_every_command_that_a_comment_shows_names_the_file_of_secrets() -> None:
    for path in (ROOT / "deploy/compose").iterdir():
        for line in path.read_text().splitlines():
            if "docker compose" in line:
                assert "docker compose --env-file easel.env" in line, f"{path.name}: {line}"
