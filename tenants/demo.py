"""The demo tenant of `make up`: a key for programs, a person for the console, a person for staff."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from easel.database import atomic
from tenants import keys
from tenants.accounts import confirm_address
from tenants.lifecycle import create_tenant
from tenants.models import APIKey, Member, Tenant, User

SLUG = "demo"
CONSOLE_EMAIL = "demo@easel.local"
STAFF_EMAIL = "staff@easel.local"


@dataclass(frozen=True, slots=True)
class Demo:
    """What `var/demo.json` holds: everything a newcomer needs, secrets included. Keep it out of version control."""

    base_url: str
    api_key: str
    api_secret: str
    access_token_url: str
    console_url: str
    console_email: str
    console_password: str
    staff_url: str
    staff_email: str
    staff_password: str


def prepare(file: Path, *, base_url: str, staff_url: str) -> Demo:
    """Make the demo tenant, or keep the one there is: passwords and key survive as long as the file does."""
    known = json.loads(file.read_text()) if file.exists() else {}
    with atomic():
        console = _person(CONSOLE_EMAIL, known.get("console_password"), staff=False)
        staff = _person(STAFF_EMAIL, known.get("staff_password"), staff=True)
        owner = User.objects.get(email=CONSOLE_EMAIL)
        confirm_address(owner)
        tenant = Tenant.objects.filter(slug=SLUG).first() or create_tenant(name="Demo", owner=owner, slug=SLUG)
        Member.objects.get_or_create(tenant=tenant, user=owner, defaults={"role": Member.Role.OWNER})
        public_id, secret = _key(tenant, str(known.get("api_key")), str(known.get("api_secret")))
    demo = Demo(
        base_url=base_url,
        api_key=public_id,
        api_secret=secret,
        access_token_url=f"{base_url}/oauth/token",
        console_url=f"{base_url}/console/",
        console_email=CONSOLE_EMAIL,
        console_password=console,
        staff_url=f"{staff_url}/admin/",
        staff_email=STAFF_EMAIL,
        staff_password=staff,
    )
    _write(file, demo)
    return demo


def _person(email: str, password: str | None, *, staff: bool) -> str:
    """The person's password: the known one if it still opens the account, or else a new one."""
    user = User.objects.filter(email=email).first()
    if user is None:
        password = secrets.token_urlsafe(12)
        User.objects.create_user(email, password, is_staff=staff, is_superuser=staff)
    elif password is None or not user.check_password(password):
        password = secrets.token_urlsafe(12)
        user.set_password(password)
        user.save(update_fields=["password"])
    return password


def _key(tenant: Tenant, public_id: str, secret: str) -> tuple[str, str]:
    """The known key while it opens the demo tenant, with the scopes of today; or else a new one."""
    record = keys.find(public_id)
    if (
        record is None
        or record.tenant_id != tenant.id
        or (record.revoked_at, record.expires_at) != (None, None)
        or record.secret != secret.encode()
    ):
        key, secret = keys.mint(tenant, name="demo", scopes=keys.SCOPES)
        return key.public_id, secret
    APIKey.objects.filter(id=record.key_id).update(scopes=sorted(keys.SCOPES))
    return public_id, secret


def _write(file: Path, demo: Demo) -> None:
    """All of it or nothing, and at no moment readable by others."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(json.dumps(asdict(demo), indent=2) + "\n")
    draft.replace(file)
