"""`POST /v1/quotes`: what a request would cost, and a promise of it.

The promise is a signed word that the client sends along as `quote`: for QUOTE_SECONDS, the same request is never held
or charged for more, even if the model's price rises meanwhile. Nothing is stored and nothing runs.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from django.core import signing
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import plans
from easel.database import rows
from easel.fields import StrictString
from easel.problems import invalid
from generation import inputs, routing
from generation.models import Model
from generation.request import GenerationRequest, spec_for, within_plan
from generation.spec import GenerationSpec
from tenants.authentication import principal_of
from tenants.scope import tenant_scope

QUOTE_SECONDS: Final = 900
_SALT: Final = "easel.quote"

# How long this tenant's last jobs of the model took to draw and how much of its work waits before a new one.
_WAIT: Final = """
SELECT (SELECT coalesce(sum(queued + running), 0)::int FROM generation_flow
        WHERE tenant_id = %(tenant)s AND pool_id = %(pool)s),
       (SELECT avg((timings ->> 'drawing_seconds')::float) FROM (
            SELECT timings FROM generation_generation
            WHERE tenant_id = %(tenant)s AND model_id = %(model)s AND status = 'completed' ORDER BY id DESC LIMIT 10
        ) AS latest)
"""


class QuoteRequest(GenerationRequest):
    """The body of a generation; only what decides the price matters."""

    prompt = StrictString(max_length=4_000, required=False, default="", allow_blank=True)


class QuoteList(APIView):
    scopes: ClassVar = {"POST": "generations:write"}

    def post(self, request: Request) -> Response:
        tenant_id = principal_of(request).tenant_id
        form = QuoteRequest(data=request.data)
        form.is_valid(raise_exception=True)
        quote, _model = quote_for(inputs.measure(form.validated_data, tenant_id=tenant_id), tenant_id)
        return Response(quote, status=200)


def quote_for(asked: dict[str, Any], tenant_id: UUID) -> tuple[dict[str, Any], Model]:
    """The quote of validated fields whose pictures were measured, and the model that would draw. Raises Problem."""
    guess = routing.guess(asked)
    with tenant_scope(tenant_id):
        choice = routing.choose(asked["model"], tenant_id, guess)
        model = choice.model
        spec = spec_for(asked, model)
        limits = plans.limits_of(tenant_id)
        within_plan(spec, limits)
        wait = _wait(tenant_id, model, cap=limits.running_jobs)
    return _quote(tenant_id, spec, model) | {"wait_seconds": wait, "route": choice.route}, model


def price(asked: dict[str, Any], spec: GenerationSpec, model: Model, tenant_id: UUID) -> int:
    """What a request is held for: today's price, or the one it was promised if that is lower. Raises Problem."""
    today = spec.price(factor=model.factor, native_size=model.native_size)
    word = asked.get("quote")
    if word is None:
        return today
    try:
        promise = signing.loads(word, salt=_SALT, max_age=QUOTE_SECONDS)
    except signing.SignatureExpired as error:
        raise invalid("quote", "quote_expired", f"A quote holds for {QUOTE_SECONDS} s. Ask for a new one.") from error
    except signing.BadSignature as error:
        raise invalid("quote", "invalid_quote", "This is no quote of ours.") from error
    if promise["for"] != _priced(tenant_id, spec, model):
        raise invalid("quote", "quote_mismatch", "The quote was given for another request.")
    return min(today, int(promise["credits"]))


def _quote(tenant_id: UUID, spec: GenerationSpec, model: Model) -> dict[str, Any]:
    credits_ = spec.price(factor=model.factor, native_size=model.native_size)
    word = signing.dumps({"for": _priced(tenant_id, spec, model), "credits": credits_}, salt=_SALT)
    return {
        "object": "quote",
        "quote": word,
        "credits": credits_,
        "credits_per_image": credits_ // spec.n,
        "n": spec.n,
        "model": model.name,
        "model_version": model.version,
        "steps": spec.steps,
        "width": spec.width,
        "height": spec.height,
        "sampler": spec.sampler,
        "expires_at": (datetime.now(UTC) + timedelta(seconds=QUOTE_SECONDS)).isoformat().replace("+00:00", "Z"),
    }


def _priced(tenant_id: UUID, spec: GenerationSpec, model: Model) -> list[Any]:
    """All that decides the price, the model's factor aside: that is what a quote protects from."""
    size = [spec.width, spec.height]
    return [str(tenant_id), str(model.id), spec.steps, spec.planned_steps, *size, spec.sampler, spec.n]


def _wait(tenant_id: UUID, model: Model, *, cap: int) -> float | None:
    """An estimate from the tenant's own last jobs; None while there are none to go by."""
    ((ahead, drawing),) = rows(_WAIT, {"tenant": tenant_id, "pool": model.pool_id, "model": model.id})
    return None if drawing is None else round(float(drawing) * (1 + ahead // cap), 1)
