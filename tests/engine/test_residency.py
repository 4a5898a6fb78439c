"""The engine holds the models used last, within its bound."""

from pathlib import Path

import pytest

from generation.engine.loading import Model, weigh
from generation.engine.protocol import Checkpoint, ModelUnavailable
from generation.engine.residency import BELIEVED_SECONDS, Residency

RED, GREEN, BLUE = (Checkpoint(name=name, source=name) for name in ("red", "green", "blue"))


class Shelf:
    """Loads nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def load(self, checkpoint: Checkpoint) -> Model:
        if checkpoint.source == "/nowhere":
            raise ModelUnavailable("gone")
        self.loaded.append(checkpoint.name)
        return Model(checkpoint=checkpoint, pipeline=object(), scheduler_config={})


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_a_held_model_is_not_loaded_again(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=2)
    assert models.model(RED) is models.model(RED)
    assert shelf.loaded == ["red"]


def test_the_one_unused_for_longest_leaves(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=2)
    for checkpoint in (RED, GREEN, RED, BLUE, RED, GREEN):
        models.model(checkpoint)
    assert shelf.loaded == ["red", "green", "blue", "green"]


def test_another_revision_is_another_model(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=2)
    models.model(RED)
    models.model(Checkpoint(name="red", source="red", revision="2"))
    assert shelf.loaded == ["red", "red"]


def test_a_model_that_cannot_be_loaded_takes_no_place_and_is_tried_again(shelf: Shelf) -> None:
    models, lost = Residency(shelf.load, most=2), Checkpoint(name="lost", source="/nowhere")
    models.model(RED)
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            models.model(lost)
    models.model(RED)
    assert shelf.loaded == ["red"]


def test_all_memory_can_go_to_one(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=3)
    for checkpoint in (RED, GREEN, BLUE):
        models.model(checkpoint)
    models.keep_only(GREEN)
    for checkpoint in (GREEN, RED):
        models.model(checkpoint)
    assert shelf.loaded == ["red", "green", "blue", "red"]


def test_an_engine_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Residency(Shelf().load, most=0)


WEIGHTS = {RED: 4, GREEN: 3, BLUE: 6}


def test_models_are_held_within_a_budget(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=3, budget=9, weigh=WEIGHTS.__getitem__)
    for checkpoint in (RED, GREEN, RED, GREEN):
        models.model(checkpoint)
    assert shelf.loaded == ["red", "green"]  # 7 of 9
    models.model(BLUE)  # with green 9, with red 10: red leaves
    models.model(GREEN)
    assert shelf.loaded == ["red", "green", "blue"]
    models.model(RED)
    assert shelf.loaded == ["red", "green", "blue", "red"]


def test_who_is_being_drawn_with_counts_against_the_budget(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=3, budget=9, weigh=WEIGHTS.__getitem__)
    assert models.has_room(BLUE, {GREEN})
    assert not models.has_room(BLUE, {RED})
    assert models.has_room(RED, {RED, GREEN})
    assert not Residency(shelf.load, most=1).has_room(RED, {GREEN})


def test_a_model_larger_than_the_budget_is_held_alone(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=3, budget=5, weigh=WEIGHTS.__getitem__)
    models.model(RED)
    models.model(BLUE)
    assert models.has_room(BLUE, ())
    models.model(RED)
    assert shelf.loaded == ["red", "blue", "red"]


def test_what_did_not_fit_together_is_held_apart_for_a_while(shelf: Shelf) -> None:
    now = [0.0]
    models = Residency(shelf.load, most=3, clock=lambda: now[0])
    models.model(RED)
    models.keep_only(GREEN)  # for which there was no memory
    models.model(GREEN)
    assert not models.has_room(RED, {GREEN})
    assert models.has_room(BLUE, {GREEN})
    models.model(RED)
    assert not models.holds(GREEN)
    now[0] += BELIEVED_SECONDS
    assert models.has_room(RED, {GREEN})


def test_of_three_that_did_not_fit_two_may_do(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=3)
    models.model(RED)
    models.model(GREEN)
    models.keep_only(BLUE)
    assert models.has_room(BLUE, {GREEN})
    assert not models.has_room(BLUE, {RED, GREEN})


def test_a_model_alone_always_has_room(shelf: Shelf) -> None:
    models = Residency(shelf.load, most=2)
    models.model(RED)
    models.keep_only(RED)
    assert models.has_room(RED, ())
    assert models.has_room(GREEN, {RED})


def test_a_model_of_the_hub_weighs_what_was_fetched_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    on_hub = Checkpoint(name="hub", source="owner/model", revision="v1")
    assert weigh(on_hub) == 0
    cached = tmp_path / "models--owner--model"
    snapshot = cached / "snapshots" / "0123abcd"
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "model_index.json").write_text("{}")
    (snapshot / "unet" / "weights.safetensors").write_bytes(bytes(7))
    (cached / "refs").mkdir()
    (cached / "refs" / "v1").write_text("0123abcd")
    assert weigh(on_hub) == 7
    assert weigh(Checkpoint(name="hub", source="owner/model", revision="v2")) == 0


def test_what_cannot_be_weighed_weighs_nothing_since_loading_it_says_why(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "weights.safetensors").write_bytes(bytes(7))
    (tmp_path / "unet" / "moved.safetensors").symlink_to(tmp_path / "nowhere")
    assert weigh(Checkpoint(name="half", source=str(tmp_path))) == 7
    assert weigh(Checkpoint(name="nameless", source="owner/a..b")) == 0
    assert weigh(Checkpoint(name="homeless", source="~nobody-by-this-name/model")) == 0
