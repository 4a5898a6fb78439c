"""What every route needs, written down a second time: a forgotten route, scope or permission shows in the walks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from easel.identifiers import new_id
from easel.storage import storage
from generation.compat.replicate.models import version_of
from generation.models import Image, Input, Model, Share
from moderation.models import Complaint
from tenants import webhooks
from tenants.models import WebhookDelivery
from tests.cast import Customer

if TYPE_CHECKING:
    from tests.tenants.walks import World

# The API: the scope of each method.
SCOPES: dict[str, dict[str, str]] = {
    "generations": {"POST": "generations:write", "GET": "generations:read"},
    "generation": {"GET": "generations:read", "DELETE": "generations:write"},
    "generation-cancel": {"POST": "generations:write"},
    "generations-cancel": {"POST": "generations:write"},
    "generation-status": {"GET": "generations:read"},
    "generation-result": {"GET": "generations:read"},
    "generation-tickets": {"POST": "generations:read"},
    "generation-events": {"GET": "generations:read"},
    "events": {"GET": "generations:read"},
    "webhooks": {"GET": "webhooks:read", "POST": "webhooks:write"},
    "webhook": {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"},
    "webhook-rotation": {"POST": "webhooks:write"},
    "webhook-test": {"POST": "webhooks:write"},
    "webhook-deliveries": {"GET": "webhooks:read"},
    "webhook-redelivery": {"POST": "webhooks:write"},
    "webhook-default-secret": {"GET": "webhooks:write"},
    "webhook-default-rotation": {"POST": "webhooks:write"},
    "webhook-default-deliveries": {"GET": "webhooks:read"},
    "generations-search": {"GET": "generations:read"},
    "tags": {"GET": "generations:read"},
    "generation-tags": {"GET": "generations:read", "PUT": "generations:write"},
    "routes": {"GET": "generations:read"},
    "route": {"PUT": "generations:write", "DELETE": "generations:write"},
    "uploads": {"POST": "generations:write"},
    "inputs": {"POST": "generations:write"},
    "allowances": {"GET": "account:read"},
    "allowance": {"PATCH": "account:write"},
    "quotes": {"POST": "generations:write"},
    "generation-appeals": {"POST": "generations:write", "GET": "generations:read"},
    "moderations": {"POST": "generations:write"},
    "moderation-policy": {"GET": "account:read", "PATCH": "account:write"},
    "key-moderation-policy": {"GET": "account:read", "PATCH": "account:write"},
    "image-variations": {"POST": "generations:write"},
    "image-upscale": {"POST": "generations:write"},
    "image-shares": {"GET": "generations:read", "POST": "generations:write"},
    "share": {"DELETE": "generations:write"},
    "image-complaints": {"POST": "generations:write"},
    "complaint": {"GET": "generations:read"},
    "models": {"GET": "generations:read"},
    "model-sample": {"GET": "generations:read"},
    "samplers": {"GET": "generations:read"},
    "provenance": {"POST": "generations:read"},
    "data-policy": {"GET": "account:read", "PATCH": "data:manage"},
    "account": {"GET": "account:read"},
    "usage": {"GET": "usage:read"},
    "keys": {"GET": "keys:read", "POST": "keys:write"},
    "key": {"GET": "keys:read", "PATCH": "keys:write", "DELETE": "keys:write"},
    "key-rotation": {"POST": "keys:write"},
    "audit": {"GET": "audit:read"},
    "audit-export": {"GET": "audit:read"},
    "audit-verification": {"GET": "audit:read"},
    "openai-generations": {"POST": "generations:write"},
    "openai-edits": {"POST": "generations:write"},
    "openai-moderations": {"POST": "generations:write"},
    "openai-models": {"GET": "generations:read"},
    "openai-model": {"GET": "generations:read"},
    "a1111-txt2img": {"POST": "generations:write"},
    "a1111-img2img": {"POST": "generations:write"},
    "a1111-extra-single-image": {"POST": "generations:write"},
    "a1111-interrupt": {"POST": "generations:write"},
    "a1111-refresh-checkpoints": {"POST": "generations:write"},
    "a1111-options": {"GET": "generations:read", "POST": "generations:write"},
    **{
        f"a1111-{name}": {"GET": "generations:read"}
        for name in (
            "progress", "sd-models", "samplers", "schedulers", "upscalers", "scripts", "embeddings", "cmd-flags",
            "latent-upscale-modes", "sd-vae", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles",
            "loras", "script-info",
        )
    },
    "replicate-account": {"GET": "account:read"},
    "replicate-webhook-secret": {"GET": "webhooks:write"},
    "replicate-files": {"POST": "generations:write"},
    "replicate-file": {"GET": "generations:read"},
    "replicate-models": {"GET": "generations:read"},
    "replicate-model": {"GET": "generations:read"},
    "replicate-versions": {"GET": "generations:read"},
    "replicate-version": {"GET": "generations:read"},
    "replicate-model-predictions": {"POST": "generations:write"},
    "replicate-predictions": {"GET": "generations:read", "POST": "generations:write"},
    "replicate-prediction": {"GET": "generations:read"},
    "replicate-cancel": {"POST": "generations:write"},
    "replicate-stream": {"GET": "generations:read"},
}  # fmt: skip

# The console: the permission of each method, and who has it.
PAGES: dict[str, dict[str, str]] = {
    "console": {"GET": "console.view"},
    "first-steps": {"GET": "keys.manage", "POST": "keys.manage"},
    "first-steps-arrival": {"GET": "keys.manage"},
    "playground": {"GET": "pictures.make"},
    "playground-draw": {"POST": "pictures.make"},
    "playground-grid": {"POST": "pictures.make"},
    "playground-quote": {"POST": "pictures.make"},
    "playground-code": {"POST": "pictures.make"},
    "playground-history": {"GET": "console.view"},
    "given-picture": {"GET": "pictures.make"},
    "run": {"GET": "console.view"},
    "run-place": {"GET": "console.view"},
    "run-stream": {"GET": "console.view"},
    "run-cancel": {"POST": "pictures.make"},
    "image-vary": {"POST": "pictures.make"},
    "image-enlarge": {"POST": "pictures.make"},
    "models-page": {"GET": "console.view"},
    "sample-page": {"GET": "console.view"},
    "members": {"GET": "members.view"},
    "invite-member": {"POST": "members.manage"},
    "revoke-invitation": {"POST": "members.manage"},
    "change-role": {"POST": "members.manage"},
    "remove-member": {"POST": "members.manage"},
    "leave-workspace": {"POST": "tenant.leave"},
    "keys-page": {"GET": "keys.view", "POST": "keys.manage"},
    "rotate-key": {"POST": "keys.manage"},
    "revoke-key": {"POST": "keys.manage"},
    "workspace-settings": {"GET": "tenant.change", "POST": "tenant.change"},
    "audit-page": {"GET": "audit.read"},
    "audit-export-page": {"GET": "audit.read"},
    "gallery": {"GET": "console.view"},
    "gallery-detail": {"GET": "console.view"},
    "gallery-delete": {"POST": "pictures.make"},
    "gallery-tag": {"POST": "pictures.make"},
    "gallery-tags": {"POST": "pictures.make"},
    "gallery-appeal": {"POST": "pictures.make"},
    "gallery-download": {"POST": "console.view"},
    "gallery-share": {"POST": "pictures.make"},
    "gallery-unshare": {"POST": "pictures.make"},
    "live": {"GET": "console.view"},
    "live-events": {"GET": "console.view"},
    "live-row": {"GET": "console.view"},
    "live-cancel": {"POST": "pictures.make"},
    "usage-page": {"GET": "console.view"},
    "prices": {"GET": "console.view"},
    "data-policy-page": {"GET": "tenant.change", "POST": "tenant.change"},
    "plan": {"GET": "billing.view"},
    "plan-ask": {"POST": "billing.manage"},
    "plan-withdraw": {"POST": "billing.manage"},
    "limits": {"GET": "billing.view"},
    "limits-set": {"POST": "billing.manage"},
    "webhooks-page": {"GET": "webhooks.manage", "POST": "webhooks.manage"},
    "webhook-page": {"GET": "webhooks.manage", "POST": "webhooks.manage"},
    "webhook-page-rotate": {"POST": "webhooks.manage"},
    "webhook-page-switch": {"POST": "webhooks.manage"},
    "webhook-page-delete": {"POST": "webhooks.manage"},
    "webhook-page-test": {"POST": "webhooks.manage"},
    "webhook-page-redeliver": {"POST": "webhooks.manage"},
}
MAY: dict[str, set[str]] = {
    "console.view": {"owner", "admin", "developer", "viewer"},
    "pictures.make": {"owner", "admin", "developer"},
    "keys.view": {"owner", "admin", "developer"},
    "keys.manage": {"owner", "admin", "developer"},
    "webhooks.manage": {"owner", "admin", "developer"},
    "members.view": {"owner", "admin", "developer", "viewer"},
    "members.manage": {"owner", "admin"},
    "owners.manage": {"owner"},
    "tenant.change": {"owner", "admin"},
    "tenant.leave": {"owner", "admin", "developer", "viewer"},
    "billing.view": {"owner", "admin"},
    "billing.manage": {"owner", "admin"},
    "audit.read": {"owner"},
}

_PERSON = "a person's own: allauth's, about whoever is signed in or signing in"
# Routes that need neither, and why that is right.
OTHER: dict[str, str] = {
    "readyz": "for probes; says nothing of tenants",
    "openapi": "the API's description: public, the same for all",
    "docs": "the reference: public, the same for all",
    "docs-error": "the reference: public, the same for all",
    "home": "leads to the console",
    "welcome": "a person's own: asks for a new workspace",
    "set_language": "a cookie of the browser's own; the same for all",
    "workspace-ready": "a person's own: whether the workspace they asked for is there",
    "workspaces-menu": "a person's own: lists their memberships",
    "workspaces": "a person's own: lists their memberships",
    "switch-workspace": "a person's own: refuses what they are no member of",
    "invitation": "the signed word in the address is the permission to look; accepting asks for the address",
    "oauth-token": "takes the credentials themselves",
    "oauth-revoke": "takes the credentials themselves",
    "oauth-metadata": "public by RFC 8414",
    "provenance-anchors": "public, as every root certificate is",
    "media-blurred": "the signed word in the address is the permission",
    "media": "the signed word in the address is the permission",
    "thumbnail": "the signed word in the address is the permission",
    "shared-picture": "public: the word in the address, which only we can make, is the permission",
    "shared-picture-file": "public, as the page around it",
    "shared-picture-complaint": "public, as the page around it; counted by address and by picture",
    "complaint-receipt": "the word in the address is the permission; says nothing of the tenant or the picture",
    **dict.fromkeys(
        (
            "account_login", "account_signup", "account_logout", "account_reauthenticate", "account_inactive",
            "account_email", "account_email_verification_sent", "account_confirm_email", "account_reset_password",
            "account_reset_password_done", "account_reset_password_from_key", "account_reset_password_from_key_done",
            "account_change_password", "account_set_password", "mfa_index", "mfa_authenticate", "mfa_reauthenticate",
            "mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes",
            "mfa_download_recovery_codes", "mfa_list_webauthn", "mfa_add_webauthn", "mfa_edit_webauthn",
            "mfa_remove_webauthn", "mfa_login_webauthn", "mfa_reauthenticate_webauthn", "usersessions_list",
        ),
        _PERSON,
    ),
}  # fmt: skip


def _endpoint(customer: Customer) -> UUID:
    endpoint, _ = webhooks.create(customer.tenant, url="https://example.com/hook", kinds=["generation.completed"])
    return endpoint.id


def _delivery(customer: Customer) -> UUID:
    """The last one in the world of a tenant whose endpoint hears of something."""
    webhooks.emit(customer.id, "generation.completed", {"id": "x"}, subject="x")
    delivery: WebhookDelivery = WebhookDelivery.objects.filter(tenant=customer.tenant).latest("id")
    return delivery.id


def _version(customer: Customer) -> str:
    """Of the model of the tenant's own that the world has."""
    return version_of(Model.objects.filter(tenant=customer.tenant).latest("created_at"))


def _file(customer: Customer) -> UUID:
    digest, object_key = customer.id.hex * 2, f"t/{customer.id}/i/walk"
    storage().put(object_key, b"x", "image/png")
    kept: Input = Input.objects.create(
        tenant=customer.tenant, sha256=digest, object_key=object_key, width=8, height=8, bytes=1
    )
    return kept.id


def _share(customer: Customer) -> UUID:
    image = Image.objects.filter(tenant=customer.tenant).latest("id")  # that of the walk's world
    share: Share = Share.objects.create(tenant=customer.tenant, image=image, created_by="walk")
    return share.id


def _complaint(customer: Customer) -> UUID:
    complaint: Complaint = Complaint.objects.create(
        tenant=customer.tenant, image_id=new_id(), generation_id=new_id(), case_id=new_id(), reason="other",
        receipt="AAAA-AAAA-AAAA", source="api",
    )  # fmt: skip
    return complaint.id


# One object of a tenant for each further parameter that a route's address can have; made under the platform role, in
# this order.
OBJECTS: dict[str, Callable[[Customer], UUID | str]] = {
    "endpoint_id": _endpoint,
    "delivery_id": _delivery,
    "share_id": _share,
    "complaint_id": _complaint,
    "whose": lambda customer: str(customer.key.public_id),
    "owner": lambda _: "easel",
    "version_id": _version,
    "file_id": _file,
}

# Bodies for methods that look at the body before they look for the object.
ADDRESSED: dict[tuple[str, str], dict[str, Any]] = {
    ("allowance", "PATCH"): {"spend_cap": 5},
    ("generation-tags", "PUT"): {"tags": ["x"]},
    ("image-complaints", "POST"): {"reason": "other"},
}


def BODIES(ada: World) -> Iterator[tuple[str, str, dict[str, Any], set[int]]]:  # noqa: N802  a table
    """Bodies that name an object of Ada's, sent by Bob: route, method, body, the answers that are right."""
    generation, model, image = ada.objects["generation_id"], ada.objects["name"], ada.objects["image_id"]
    yield "generations", "POST", {"prompt": "x", "model": model}, {400, 404}
    yield "generations", "POST", {"prompt": "x", "init_image": generation}, {400, 404}
    yield "generations", "POST", {"prompt": "x", "init_image": image}, {400, 404}
    yield "generations", "POST", {"prompt": "x", "quote": generation}, {400, 404}
    yield "quotes", "POST", {"prompt": "x", "model": model}, {400, 404}
    yield "generations-cancel", "POST", {"ids": [generation]}, {200, 202, 400, 404}
    yield "generations-cancel", "POST", {"model": model}, {200, 202, 400, 404}
    yield "generations-cancel", "POST", {}, {200, 202}
    yield "openai-generations", "POST", {"prompt": "x", "model": model}, {404}
    yield "a1111-img2img", "POST", {"prompt": "x", "init_images": [image]}, {422}
    yield "a1111-options", "POST", {"sd_model_checkpoint": model}, {422}
    yield "a1111-interrupt", "POST", {}, {200}
    yield "replicate-predictions", "POST", {"version": f"easel/{model}", "input": {"prompt": "x"}}, {404}
    yield "keys", "POST", {"name": "x", "scopes": ["keys:read"], "id": ada.objects["public_id"]}, {400}
    yield "keys", "POST", {"name": "x", "scopes": ["keys:read"], "tenant": str(ada.customer.id)}, {400}


def CONSOLE_FORMS(ada: World) -> Iterator[tuple[str, dict[str, str], set[int]]]:  # noqa: N802
    """Forms of the console that name an object of Ada's, sent by Bob."""
    yield "switch-workspace", {"tenant": str(ada.customer.id)}, {404}
    yield "workspace-settings", {"name": "x", "origins": "", "tenant": str(ada.customer.id)}, {302}
