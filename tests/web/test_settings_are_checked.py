"""A setting that is misspelled stops the process, by name, instead of meaning something else in silence."""

import os
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from easel.settings import environment


def test_a_choice_is_one_of_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EASEL_CHOICE", raising=False)
    assert environment.choice("EASEL_CHOICE", "a", "b") == "a"
    monkeypatch.setenv("EASEL_CHOICE", "b")
    assert environment.choice("EASEL_CHOICE", "a", "b") == "b"
    monkeypatch.setenv("EASEL_CHOICE", "c")
    with pytest.raises(ImproperlyConfigured, match="EASEL_CHOICE must be one of a, b, not 'c'"):
        environment.choice("EASEL_CHOICE", "a", "b")


def test_who_decides_on_plans_is_not_guessed() -> None:
    env = {**os.environ, "EASEL_PLAN_CHANGES": "selfservice"}
    ended = subprocess.run(
        [sys.executable, "-c", "import easel.settings.base"], env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "EASEL_PLAN_CHANGES must be one of staff, self-service, not 'selfservice'" in ended.stderr


@pytest.mark.parametrize("default", [True, False])
def test_a_switch_is_on_or_off_and_an_empty_one_is_not_set(default: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for said, means in {"1": True, "Yes": True, "on": True, "0": False, "no": False, "OFF": False, "": default}.items():
        monkeypatch.setenv("EASEL_SWITCH", said)
        assert environment.flag("EASEL_SWITCH", default=default) is means, said
    monkeypatch.delenv("EASEL_SWITCH")
    assert environment.flag("EASEL_SWITCH", default=default) is default


@pytest.mark.parametrize(
    ("name", "said", "known"),
    [
        ("EASEL_STAFF_SECOND_FACTOR", "enabled", "1 or 0"),
        ("EASEL_PROCESS", "Staff", "one of manage, web, staff, worker, clock"),
        ("EASEL_SEALING", "sm4", "one of sm4-gcm, aes-256-gcm"),
        ("EASEL_KEY_PROVIDER", "vault", "one of environment, file, kms"),
        ("EASEL_BACKUP_KIND", "open-ai", "one of openai, easel"),
        ("EASEL_LOG_FORM", "json", "one of ecs, console"),
        ("EASEL_LOG_LEVEL", "verbose", "one of DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_no_other_word_is_taken_for_one_that_is_known(name: str, said: str, known: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import easel.settings.base"],
        env=os.environ | {name: said}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode != 0
    assert f"{name} must be {known}, not" in ended.stderr
