"""A blocked case that concerns minors: neither its prompt nor anything of its picture is in logs, metrics, e-mails,
webhooks, audit records or the answers of the API."""

import io
import logging
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core import mail
from django.test import override_settings
from prometheus_client import generate_latest

from easel import clock, logs
from easel.database import platform_role, rows
from generation.production import Production
from moderation.categories import MINORS
from moderation.models import Verdict
from tenants import webhooks
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production
from tests.moderation.scripted import ScriptedJudge, judgment
from tests.stub_engine import StubEngine

MARK = "zanzibarquux"  # a word that is nowhere else
PROMPT = f"{MARK}, nude schoolgirl, loli"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that this process logs, from the lowest level on."""
    logs.configure({"level": "DEBUG", "form": "ecs", "process": "web"})
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    into = io.StringIO()
    handler.setStream(into)
    yield into
    logs.configure(settings.LOGGING)


@pytest.fixture
def drawing() -> Iterator[Production]:
    production = make_production(StubEngine(step_seconds=0), judge=ScriptedJudge(gray7=judgment("block", MINORS)))
    yield production
    production.close()


@override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend")
def test_a_blocked_case_is_told_by_its_category_alone(
    ada: Customer, workshop: Workshop, drawing: Production, written: io.StringIO
) -> None:
    mail.outbox = []
    kinds = [kind for kind in webhooks.SUBSCRIBABLE if kind.startswith("generation.")]
    with platform_role():
        webhooks.create(ada.tenant, url="https://example.com/hook", kinds=kinds)
    answer = ada.client().post("/v1/generations", workshop.body(prompt=PROMPT), format="json")
    assert (answer.status_code, answer.json()["category"]) == (422, MINORS)
    drawn = workshop.submit(ada, seed=7, prompt=f"{MARK} on a table")
    drawing.drain(workshop.pool)
    assert (ended(drawn).status, ended(drawn).category) == ("rejected", MINORS)
    clock.perform("moderation.gauges")
    with platform_role():
        told = rows("SELECT payload::text FROM tenants_webhookevent WHERE tenant_id = %s", [ada.id])
        audited = rows("SELECT to_json(a)::text FROM tenants_auditrecord a WHERE tenant_id = %s", [ada.id])
        kept = Verdict.objects.filter(tenant=ada.tenant, category=MINORS).count()
    assert len(told) == 2
    assert kept >= 2
    assert str(drawn) in written.getvalue(), "it is the log that is looked at"
    places = {
        "answer": answer.content.decode(),
        "log": written.getvalue(),
        "metrics": generate_latest().decode(),
        "webhooks": "".join(text for (text,) in told),
        "audit": "".join(text for (text,) in audited),
        "e-mails": "".join(str(message.message()) for message in mail.outbox),
    }
    for place, text in places.items():
        for word in (MARK, "schoolgirl", "loli"):
            assert word not in text, f"{word} is in the {place}"


def test_staffs_try_out_of_rules_is_not_shown_such_prompts(ada: Customer, workshop: Workshop) -> None:
    from moderation.subjects import subjects

    workshop.submit(ada, prompt=f"{MARK} on a chair")
    ada.client().post("/v1/generations", workshop.body(prompt=PROMPT), format="json")
    with platform_role():
        seen = [prompt for prompt in subjects().last_prompts(200) if MARK in prompt]
    assert f"{MARK} on a chair" in seen
    assert PROMPT not in seen
