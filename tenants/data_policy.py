"""What a tenant asks for its data: encrypted images, prompts in files, whose certificate, how long all is kept."""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar
from uuid import UUID

from easel.database import Question, atomic, rows
from tenants import audit
from tenants.models import DataPolicy

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A tenant's wishes; the defaults are those of a tenant that has said nothing."""

    seal_images: bool = False
    prompts_in_files: bool = False
    own_certificate: bool = False
    retention_days: int | None = None  # None: as long as the plan says


# For statements that read a policy along with something else: NULL where the tenant has said nothing.
AS_JSON = """(SELECT json_build_object('seal_images', seal_images, 'prompts_in_files', prompts_in_files,
    'own_certificate', own_certificate, 'retention_days', retention_days)
    FROM tenants_datapolicy WHERE tenant_id = {tenant})"""


def read(found: dict[str, Any] | None) -> Policy:
    """The policy from what `AS_JSON` yielded."""
    return Policy(**found) if found else Policy()


def along(question: Question[Answer], *, tenant_id: UUID) -> Question[tuple[Answer, Policy]]:
    """The policy by the statement of another question: one that yields one row, and has its parameters by place."""
    sql = f"SELECT asked.*, {AS_JSON.format(tenant='%s')} FROM ({question.sql}) asked"  # noqa: S608  no value is put in

    def answered(found: list[tuple[Any, ...]]) -> tuple[Answer, Policy]:
        return question.read([row[:-1] for row in found]), read(found[0][-1] if found else None)

    return Question(sql, [tenant_id, *question.parameters], answered)


def policy_of(tenant_id: UUID) -> Policy:
    """Needs the tenant's scope or the platform role."""
    ((found,),) = rows(f"SELECT {AS_JSON.format(tenant='%s')}", [tenant_id])
    return read(found)


def change(tenant_id: UUID, **wishes: Any) -> Policy:
    """Change the named wishes, on record. What is stored already stays as it is, but for the retention, which counts
    for everything. Needs the tenant's scope or the platform role."""
    with atomic():
        before = policy_of(tenant_id)
        after = Policy(**{**asdict(before), **wishes})
        DataPolicy.objects.update_or_create(tenant_id=tenant_id, defaults=asdict(after))
        differs = {name: value for name, value in asdict(after).items() if asdict(before)[name] != value}
        if differs:
            audit.record("data_policy.changed", tenant_id=tenant_id, details=differs)
    return after
