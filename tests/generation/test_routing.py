""" "auto" goes by what the prompt is about: in English and Chinese, with a default, and as each tenant sets it."""

from typing import Any

import pytest

from easel.database import changed, platform_role
from easel.embedded.stack import Stack
from generation import categories, router_training
from generation.categories import CATEGORIES, DATA, Head
from generation.router_training import Labeled
from moderation.screening import client
from moderation.screening.client import embed
from tests.cast import Customer
from tests.generation.conftest import Workshop

LEAST_RIGHT = 0.92


@pytest.fixture
def zoo(workshop: Workshop) -> Workshop:
    """Everybody's model for animals; nobody else's is, and it is the default of no one."""
    with platform_role():
        changed("UPDATE generation_model SET categories = '[]' WHERE tenant_id IS NULL")
        changed("UPDATE generation_model SET categories = '[\"animal\"]' WHERE id = %s", [workshop.model.id])
    return workshop


@pytest.fixture
def default(zoo: Workshop, tiny_folder: Any) -> Any:
    from tests.generation.conftest import make_workshop

    other = make_workshop(str(tiny_folder), is_default=True)
    yield other
    with platform_role():
        changed("UPDATE generation_model SET is_default = false WHERE id = %s", [other.model.id])


def ask(customer: Customer, prompt: str) -> Any:
    body = {"prompt": prompt, "steps": 2, "width": 64, "height": 64}
    answer = customer.client().post("/v1/generations", body, format="json")
    assert answer.status_code == 202, answer.content
    return answer.json()


@pytest.mark.parametrize("prompt", ["a kitten asleep in a basket", "草地上奔跑的小狗"])
def test_a_prompt_goes_to_its_categorys_model_and_the_answer_says_so(
    ada: Customer, zoo: Workshop, default: Workshop, prompt: str
) -> None:
    body = ask(ada, prompt)
    assert (body["model"], body["asked_model"]) == (zoo.model.name, "auto")
    route = body["route"]
    assert (route["category"], route["decided_by"]) == ("animal", "category")
    assert categories.head().threshold <= route["confidence"] <= 1
    assert route["version"] == categories.head().version


def test_a_category_without_a_model_and_a_doubtful_prompt_go_to_the_default(
    ada: Customer, zoo: Workshop, default: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = ask(ada, "a gothic cathedral in the rain")
    assert (body["model"], body["route"]["decided_by"]) == (default.model.name, "default")
    head = categories.head()
    sure = Head(head.labels, head.weights, head.bias, 1.1, head.version)
    monkeypatch.setattr(categories, "head", lambda: sure)
    body = ask(ada, "a kitten asleep in a basket")
    assert (body["model"], body["route"]["category"]) == (default.model.name, "animal")


def test_a_tenant_sets_its_own_routes(ada: Customer, bob: Customer, zoo: Workshop, default: Workshop) -> None:
    client_ = ada.client()
    answer = client_.put("/v1/routes/animal", {"model": default.model.name}, format="json")
    assert answer.json() == {"category": "animal", "model": default.model.name, "own": True}
    body = ask(ada, "a kitten asleep in a basket")
    assert (body["model"], body["route"]["decided_by"]) == (default.model.name, "tenant")
    assert ask(bob, "a kitten asleep in a basket")["model"] == zoo.model.name
    listed = {each["category"]: each for each in client_.get("/v1/routes").json()["data"]}
    assert set(listed) == set(CATEGORIES)
    assert listed["animal"]["own"]
    client_.delete("/v1/routes/animal")
    assert ask(ada, "a kitten asleep in a basket")["model"] == zoo.model.name


def test_a_route_names_what_there_is(ada: Customer) -> None:
    assert ada.client().put("/v1/routes/nonsense", {"model": "starter"}, format="json").status_code == 404
    answer = ada.client().put("/v1/routes/animal", {"model": "nobody"}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "model")


def test_without_the_screening_process_the_default_draws(
    ada: Customer, zoo: Workshop, default: Workshop, stack: Stack
) -> None:
    stack.halt("screening")
    client.forget()
    try:
        body = ask(ada, "a kitten asleep in a basket")
        assert (body["model"], body["route"]["category"]) == (default.model.name, None)
    finally:
        stack.start("screening")
        client.forget()


def test_the_data_is_what_it_says_it_is() -> None:
    train, held_out = Labeled.read(DATA / "train.tsv"), Labeled.read(DATA / "held_out.tsv")
    assert len(train.prompts) + len(held_out.prompts) >= 600
    assert not set(train.prompts) & set(held_out.prompts)
    for part in (train, held_out):
        assert set(part.languages) == {"en", "zh"}
        assert set(part.labels.tolist()) == set(range(len(CATEGORIES)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_was_held_out_is_recognized(language: str) -> None:
    texts = Labeled.read(DATA / "held_out.tsv")
    chosen = [at for at, each in enumerate(texts.languages) if each == language]
    embeddings = [embedding for at in chosen for embedding in embed([texts.prompts[at]])]
    guesses = [categories.head().guess(each) for each in embeddings]
    right = [guess.category == CATEGORIES[texts.labels[at]] for at, guess in zip(chosen, guesses, strict=True)]
    assert sum(right) / len(right) >= LEAST_RIGHT


def test_the_head_belongs_to_the_data_that_is_here() -> None:
    import hashlib

    digest = hashlib.sha256((DATA / "train.tsv").read_bytes()).hexdigest()
    assert categories.head().version == digest[:12]
    assert categories.head().labels == router_training.CATEGORIES
