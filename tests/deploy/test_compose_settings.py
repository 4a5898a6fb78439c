"""Whatever the configuration names can be set for Docker Compose, and no process is told a secret of another."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (ROOT / "platform/easel/settings/base.py").read_text()
READ = set(re.findall(r'environment\.\w+\(\s*"(EASEL_[A-Z0-9_]+)"', SETTINGS))
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy/compose/compose.yml").read_text())["services"]
OURS = {"web", "staff", "clock", "worker", "setup"}
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
    assert {name for name in OURS if "EASEL_OWNER_DATABASE_URL" in told[name]} == {"setup"}


def test_the_bucket_is_made() -> None:
    assert "create_bucket()" in SERVICES["setup"]["command"][-1]


def test_every_command_that_a_comment_shows_names_the_file_of_secrets() -> None:
    for path in (ROOT / "deploy/compose").iterdir():
        for line in path.read_text().splitlines():
            if "docker compose" in line:
                assert "docker compose --env-file easel.env" in line, f"{path.name}: {line}"
