"""The shared cast: customers that each test makes for itself, so that no test sees another's rows."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from billing import ledger, plans
from billing.models import Lot, Plan, PlanVersion
from easel.database import atomic, platform_role
from tenants import keys, tokens
from tenants.lifecycle import create_tenant
from tenants.models import APIKey, Tenant


@dataclass(frozen=True)
class Customer:
    """A tenant with one API key, and how its programs call us."""

    tenant: Tenant
    key: APIKey
    secret: str

    @property
    def id(self) -> UUID:
        return self.tenant.id

    def token(self) -> str:
        record = keys.find(self.key.public_id)
        assert record is not None
        return tokens.issue(record, record.scopes)

    def client(self) -> APIClient:
        """DRF's client, signed in."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {self.token()}")
        return client


def make_customer(name: str, scopes: list[str] | None = None, *, plan: str = "") -> Customer:
    """On a plan that stands in no test's way unless told otherwise, with the opening credits and none of the plan's."""
    with platform_role():
        tenant = create_tenant(name=name)
        plans.change(tenant.id, plans.newest(plan) if plan else _wide())
        ledger.take(tenant.id, 10**9, operation_id="take:cast", source=Lot.Source.PLAN, partial=True)
        key, secret = keys.mint(tenant, name="test", scopes=scopes or sorted(keys.SCOPES))
    return Customer(tenant, key, secret)


def _wide() -> PlanVersion:
    """Everything that can be asked for, at the weight, priority and number of running jobs that are nothing special."""
    with atomic():
        plan, made = Plan.objects.get_or_create(slug="suite", defaults={"name": "Suite", "offered": False})
        if made:
            wide = plans.Limits.of(plans.newest("business")).as_dict()
            ordinary = {"requests_per_minute": 100_000, "priority": 0, "queue_weight": 1.0, "running_jobs": 4}
            plans.publish(plan, **{**wide, **ordinary})
    return plans.newest("suite")


@pytest.fixture
def ada() -> Customer:
    return make_customer("Ada")


@pytest.fixture
def bob() -> Customer:
    return make_customer("Bob")
