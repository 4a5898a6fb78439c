"""Whatever is sent: no 500, no status and no body that the description does not know. Schemathesis makes the requests
from `/openapi.json`, good ones and bad ones. `EASEL_FUZZ_CASES` says how many (`make soak`: 10,000)."""

import os
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.cast import make_customer
from tests.generation.conftest import make_workshop

CASES = int(os.environ.get("EASEL_FUZZ_CASES", "1000"))
CHECKS = [checks.not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

application = get_wsgi_application()
schema = schemathesis.openapi.from_wsgi("/openapi.json", application)
OPERATIONS = {found.ok().label: found.ok() for found in schema.get_all_operations()}


@pytest.fixture(scope="module")
def headers() -> dict[str, str]:
    customer = make_customer("Fuzz")
    make_workshop("nowhere", is_default=True)
    return {"Authorization": f"Bearer {customer.token()}", "X-Forwarded-For": "192.0.2.1"}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("mode", GenerationMode)
def test_an_operation_keeps_to_its_description(label: str, mode: GenerationMode, headers: dict[str, str]) -> None:
    operation = OPERATIONS[label]

    @settings(
        max_examples=max(1, CASES // (2 * len(OPERATIONS))),
        deadline=None,
        database=None,
        derandomize=CASES <= 1000,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def keeps(case: Any) -> None:
        case.headers = {**(case.headers or {}), **headers}
        response = case.call()
        case.validate_response(response, checks=CHECKS)

    try:
        keeps()
    except Unsatisfiable:
        pytest.skip("nothing about this call can be wrong")
