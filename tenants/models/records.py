"""What was done, for those who ask later."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from easel.identifiers import new_id
from tenants.models.tenant import Tenant
from tenants.scope import TenantManager


class AuditRecord(models.Model):
    """Who did what, when, from where, to which object. `tenants.audit` writes it; nobody changes it.

    Records of one tenant form a chain: `digest` covers the record and the digest before it. Without a tenant a record
    is the platform's own (plans, staff), a chain of its own.
    """

    class Actor(models.TextChoices):
        PERSON = "person"
        KEY = "key"
        STAFF = "staff"
        SYSTEM = "system"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, null=True, editable=False)
    sequence = models.BigIntegerField(editable=False)
    at = models.DateTimeField(editable=False)
    actor_kind = models.CharField(max_length=6, choices=Actor.choices)
    actor = models.CharField(max_length=254, blank=True)
    action = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    details = models.JSONField(default=dict)
    address = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    previous = models.BinaryField(max_length=32)
    digest = models.BinaryField(max_length=32)

    objects: ClassVar[TenantManager[Any]] = TenantManager()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "sequence", name="audit_sequence_once", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        return f"{self.sequence}. {self.actor}: {self.action}"


class Erasure(models.Model):
    """That a tenant or a person was erased, how far it has come, and the signed receipt. Names nobody: ids only."""

    class Subject(models.TextChoices):
        TENANT = "tenant"
        PERSON = "person"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    subject = models.CharField(max_length=6, choices=Subject.choices)
    subject_id = models.UUIDField()
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    key_destroyed_at = models.DateTimeField(null=True)
    objects_deleted = models.PositiveBigIntegerField(default=0)
    rows_deleted = models.PositiveBigIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    receipt = models.TextField(blank=True, help_text="A JWS (RFC 7515), signed with the platform's receipt key")

    class Meta:
        constraints = [models.UniqueConstraint("subject", "subject_id", name="erasure_once")]

    def __str__(self) -> str:
        return f"{self.subject} {self.subject_id}"
