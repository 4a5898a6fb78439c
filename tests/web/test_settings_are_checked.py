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
