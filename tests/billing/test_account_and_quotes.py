from datetime import UTC, datetime, timedelta

import pytest
from django.core import signing

from billing import ledger
from billing.models import NOBODY, Allowance
from easel.database import platform_role
from easel.identifiers import new_id
from generation import quotes
from generation.models import Generation, Model
from generation.registry import register
from tests.billing.purses import purse
from tests.cast import Customer, make_customer


@pytest.fixture
def model() -> Model:
    with platform_role():
        made = register(f"quoted-{new_id().hex}", "quoted", pool="quoted", title="Quoted")
    return made


def body(model: Model, **fields: object) -> dict[str, object]:
    return {"model": model.name, "steps": 20, "width": 512, "height": 512, "n": 2, "sampler": "Euler"} | fields


def ask(customer: Customer, path: str, fields: dict[str, object]):
    return customer.client().post(path, fields, format="json")


def test_a_quote_is_the_exact_price_and_runs_nothing(ada: Customer, model: Model) -> None:
    before = purse(ada.id)
    quote = ask(ada, "/v1/quotes", body(model)).json()
    assert (quote["credits"], quote["credits_per_image"], quote["n"]) == (12, 6, 2)
    assert (quote["model"], quote["wait_seconds"]) == (model.name, None)
    assert purse(ada.id) == before
    made = ask(ada, "/v1/generations", body(model, prompt="apple")).json()
    assert made["quote"]["credits"] == quote["credits"]


def test_a_quote_binds_when_the_model_grows_dearer(ada: Customer, model: Model) -> None:
    quote = ask(ada, "/v1/quotes", body(model)).json()
    with platform_role():
        Model.objects.filter(id=model.id).update(factor=3.0)
    dear = ask(ada, "/v1/generations", body(model, prompt="apple")).json()
    kept = ask(ada, "/v1/generations", body(model, prompt="apple", quote=quote["quote"])).json()
    assert (dear["quote"]["credits"], kept["quote"]["credits"]) == (32, 12)
    with platform_role():
        assert Generation.objects.get(id=kept["id"]).quote == 12


def test_a_quote_never_makes_dearer(ada: Customer, model: Model) -> None:
    quote = ask(ada, "/v1/quotes", body(model)).json()
    with platform_role():
        Model.objects.filter(id=model.id).update(factor=0.5)
    made = ask(ada, "/v1/generations", body(model, prompt="apple", quote=quote["quote"])).json()
    assert made["quote"]["credits"] == 6


def test_a_quote_holds_for_its_own_request_alone(ada: Customer, bob: Customer, model: Model) -> None:
    word = ask(ada, "/v1/quotes", body(model)).json()["quote"]
    for customer, fields in ((ada, {"n": 1}), (ada, {"steps": 21}), (bob, {})):
        answer = ask(customer, "/v1/generations", body(model, prompt="apple", quote=word, **fields))
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["code"] == "quote_mismatch"


@pytest.mark.parametrize("word", ["x", "a.b.c", "", "é"])
def test_what_is_no_quote_of_ours_is_refused(ada: Customer, model: Model, word: str) -> None:
    answer = ask(ada, "/v1/generations", body(model, prompt="apple", quote=word))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "quote"


def test_a_quote_ends(ada: Customer, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    word = ask(ada, "/v1/quotes", body(model)).json()["quote"]
    monkeypatch.setattr(quotes, "QUOTE_SECONDS", -1)
    answer = ask(ada, "/v1/generations", body(model, prompt="apple", quote=word))
    assert answer.json()["errors"][0]["code"] == "quote_expired"
    assert signing.loads(word, salt="easel.quote")["credits"] == 12


def test_a_quote_beyond_the_plan_is_refused_like_the_request() -> None:
    customer = make_customer("Free", plan="free")
    with platform_role():
        model = register(f"quoted-{new_id().hex}", "quoted", pool="quoted", title="Quoted")
    answer = ask(customer, "/v1/quotes", body(model, steps=51))
    assert answer.json()["errors"][0]["code"] == "over_plan_limit"


def test_the_account_tells_plan_limits_wallet_and_quotas(model: Model) -> None:
    customer = make_customer("Ada", plan="free")
    with platform_role():
        Allowance.objects.create(tenant_id=customer.id, key_id=NOBODY, spend_cap=400, generations_per_day=50)
        ledger.grant(customer.id, 5, operation_id="grant:old", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    ask(customer, "/v1/generations", body(model, prompt="apple"))
    account = customer.client().get("/v1/account").json()
    assert account["plan"]["slug"] == "free"
    assert account["limits"]["max_steps"] == 50
    assert account["wallet"]["available"] == 10_000 - 12, "what is past its date does not count"
    assert account["wallet"]["held"] == 12
    assert [lot["source"] for lot in account["wallet"]["lots"]] == ["opening"]
    day, month = account["quotas"]["day"], account["quotas"]["month"]
    assert (day["used"], day["allowed"], month["used"], month["allowed"]) == (1, 50, 1, 5_000)
    assert account["spend"] == {"this_month": 12, "cap": 400}
