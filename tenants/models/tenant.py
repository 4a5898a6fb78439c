"""A customer, and the row that belongs to one."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from easel.identifiers import new_id
from tenants.scope import TenantManager


class Tenant(models.Model):
    """A customer. `data_key` is its data key sealed by the platform key of that version: erased, all is unreadable."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=150)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    frozen_at = models.DateTimeField(null=True, blank=True)
    data_key = models.BinaryField(editable=False)
    data_key_version = models.PositiveIntegerField(editable=False)
    requires_two_factor = models.BooleanField(default=False)
    # Web pages that may read event streams with a ticket (CORS): `https://app.example.org`.
    allowed_origins = ArrayField(models.CharField(max_length=200), default=list, blank=True)

    def __str__(self) -> str:
        return self.name


class TenantRow(models.Model):
    """A row that belongs to a tenant. Its migration adds `tenants.rls.TenantTable`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, editable=False)

    objects: ClassVar[TenantManager[Any]] = TenantManager()

    class Meta:
        abstract = True
