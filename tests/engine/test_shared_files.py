"""Models under several names that share their files are loaded once and drawn together."""

from dataclasses import replace

import pytest

from generation.engine.loop import LoopEngine
from generation.engine.protocol import Checkpoint
from tests.engine.asking import a_drawing, admit


def test_three_names_of_one_folder_are_one_loaded_model(
    checkpoint: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "generation.engine.loading")
    engine = LoopEngine(device="cpu", threads=1, models_held=1, most_slots=3)
    names = [replace(checkpoint, name=name, native_size=64) for name in ("landscape", "portrait", "cartoon")]
    futures = [admit(engine, a_drawing(each, steps=8, width=128, height=128)) for each in names]
    drawn = [future.result(timeout=60) for future in futures]
    engine.close()
    assert caplog.text.count("Loaded model") == 1
    assert [picture.warnings[0].split()[0] for picture in drawn] == ["landscape", "portrait", "cartoon"]


def test_another_digest_or_revision_is_another_model(checkpoint: Checkpoint) -> None:
    assert checkpoint == replace(checkpoint, name="another")
    assert checkpoint != replace(checkpoint, digest="00")
    assert checkpoint != replace(checkpoint, revision="2")
