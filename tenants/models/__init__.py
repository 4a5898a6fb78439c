"""The rows of this app, by what they are about."""

from tenants.models.credentials import APIKey, KeptAnswer, RevokedToken, SpentToken
from tenants.models.people import Founding, Invitation, Member, User
from tenants.models.protection import DataPolicy, KeyRotation, PlatformSecret
from tenants.models.records import AuditRecord, Erasure
from tenants.models.tenant import Tenant, TenantRow
from tenants.models.webhooks import WebhookDelivery, WebhookEndpoint, WebhookEvent

__all__ = [
    "APIKey",
    "AuditRecord",
    "DataPolicy",
    "Erasure",
    "Founding",
    "Invitation",
    "KeptAnswer",
    "KeyRotation",
    "Member",
    "PlatformSecret",
    "RevokedToken",
    "SpentToken",
    "Tenant",
    "TenantRow",
    "User",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
]
