"""Members of a tenant: invited, joined, given roles, removed. A tenant always has an owner. Each deed is recorded.

Who may do what at all is `tenants.permissions`; here is what also depends on whom it is done to: only owners touch
owners. All in the tenant's scope.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from django.core import signing
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from tenants import audit, permissions
from tenants.audit import Actor
from tenants.models import Invitation, Member, User
from tenants.scope import tenant_scope

INVITATION_LASTS: Final = timedelta(days=7)
MOST_MEMBERS: Final = 500
_SALT: Final = "easel.invitation"


class MembershipRefused(Exception):
    """Something the rules of membership do not allow. `code` is for programs and tests, `detail` for the person who
    asked, in their language."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def invite(tenant_id: UUID, *, email: str, role: str, by: User, by_role: str, actor: Actor) -> Invitation:
    """An open invitation for this address; one that was open already is replaced."""
    email = email.strip().lower()
    _check_touches(by_role, role)
    with tenant_scope(tenant_id):
        _check_still_invites(by, role)
        if Member.objects.filter(user__email__iexact=email).exists():
            raise MembershipRefused("already_member", _("This person is a member already."))
        if Member.objects.count() + _open().count() >= MOST_MEMBERS:
            said = _("A workspace has at most %(most)d members and invitations.") % {"most": MOST_MEMBERS}
            raise MembershipRefused("too_many", said)
        _check_touches(by_role, *_open().filter(email__iexact=email).select_for_update().values_list("role", flat=True))
        _unanswered().filter(email__iexact=email).update(revoked_at=datetime.now(UTC))  # one that has expired, too
        invitation: Invitation = Invitation.objects.create(
            tenant_id=tenant_id,
            email=email,
            role=role,
            invited_by=by,
            expires_at=datetime.now(UTC) + INVITATION_LASTS,
        )
        _record("member.invited", invitation, actor, email, role=role)
    return invitation


def link_word(invitation: Invitation) -> str:
    """What the mailed link carries. Signed, so that it need not be kept."""
    return signing.dumps([invitation.tenant_id.hex, invitation.id.hex], salt=_SALT)


def open_invitation(word: str) -> Invitation | None:
    """The invitation behind a link, while it may still be accepted."""
    try:
        tenant, invitation = (UUID(part) for part in signing.loads(word, salt=_SALT))
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None
    with tenant_scope(tenant):
        found: Invitation | None = _open().select_related("tenant").filter(id=invitation).first()
    return found


def revoke_invitation(tenant_id: UUID, invitation_id: UUID, *, by_role: str, actor: Actor) -> bool:
    """False where there is no such open invitation."""
    with tenant_scope(tenant_id):
        invitation = _open().filter(id=invitation_id).first()
        if invitation is None:
            return False
        _check_touches(by_role, invitation.role)
        return _withdraw(invitation, actor)


def accept(invitation: Invitation, user: User, *, addresses: set[str], actor: Actor) -> None:
    """`addresses` are those that the person has confirmed: the invitation is for whoever reads that mailbox."""
    if invitation.email.lower() not in addresses:
        raise MembershipRefused("other_address", _("This invitation is for %(email)s.") % {"email": invitation.email})
    with tenant_scope(invitation.tenant_id):
        if _open().filter(id=invitation.id).update(accepted_at=datetime.now(UTC)) == 0:
            raise MembershipRefused("not_open", _("This invitation is no longer open."))
        member, joined = Member.objects.get_or_create(
            tenant_id=invitation.tenant_id, user=user, defaults={"role": invitation.role}
        )
        if joined:
            _record("member.joined", member, actor, user.email, role=invitation.role)


def change_role(tenant_id: UUID, member_id: UUID, *, role: str, by_role: str, actor: Actor) -> Member | None:
    """None where there is no such member."""
    with tenant_scope(tenant_id):
        member = _locked(member_id)
        if member is None:
            return None
        if role not in permissions.ROLES:
            said = _("A role is one of %(roles)s.") % {"roles": ", ".join(permissions.ROLES)}
            raise MembershipRefused("unknown_role", said)
        _check_touches(by_role, member.role, role)
        if member.role == permissions.OWNER != role:
            _check_not_last_owner()
        before, member.role = member.role, role
        member.save(update_fields=["role"])
        withdraw_invitations(member, actor=actor)
        _record("member.role_changed", member, actor, member.user.email, role=role, before=before)
    return member


def remove(tenant_id: UUID, member_id: UUID, *, by_role: str, actor: Actor) -> Member | None:
    """Somebody else, or oneself: then it is leaving, which needs no power over others."""
    with tenant_scope(tenant_id):
        member = _locked(member_id)
        if member is None:
            return None
        leaving = actor.name == member.user.email
        if not leaving:
            _check_touches(by_role, member.role)
        if member.role == permissions.OWNER:
            _check_not_last_owner()
        Member.objects.filter(id=member_id).delete()
        withdraw_invitations(member, actor=actor, gone=True)
        _record("member.left" if leaving else "member.removed", member, actor, member.user.email)
    return member


def withdraw_invitations(member: Member, *, actor: Actor, gone: bool = False) -> None:
    """The open ones by this person that they could not make any more, or all if they are gone: whoever holds such a
    link would come back by it. In the transaction of that change, after it; needs the tenant's scope or the platform
    role."""
    manages = not gone and permissions.may(member.role, "members.manage")
    theirs = _open().filter(tenant_id=member.tenant_id, invited_by_id=member.user_id)
    # All rows are locked before the log is: an invitation that is replaced at this moment locks in the same order.
    for invitation in list(theirs.select_for_update(of=("self",)).order_by("id")):
        if not (manages and _touches(member.role, invitation.role)):
            _withdraw(invitation, actor)


def is_last_owner(member: Member) -> bool:
    """Needs the tenant's scope or the platform role."""
    others = Member.objects.filter(tenant_id=member.tenant_id, role=permissions.OWNER).exclude(id=member.id)
    return member.role == permissions.OWNER and not others.exists()


def _unanswered() -> QuerySet[Invitation]:
    return Invitation.objects.filter(accepted_at=None, revoked_at=None)


def _open() -> QuerySet[Invitation]:
    return _unanswered().filter(expires_at__gt=datetime.now(UTC))


def _locked(member_id: UUID) -> Member | None:
    """The member, with every owner's row locked in one order: of two owners who leave at once, one is the last."""
    list(Member.objects.select_for_update(of=("self",)).filter(role=permissions.OWNER).order_by("id"))
    found: Member | None = Member.objects.select_related("user").filter(id=member_id).first()
    return found


def _withdraw(invitation: Invitation, actor: Actor) -> bool:
    """False where it was accepted at this moment."""
    if _open().filter(id=invitation.id).update(revoked_at=datetime.now(UTC)) == 0:
        return False
    _record("member.invitation_revoked", invitation, actor, invitation.email)
    return True


def _check_still_invites(user: User, role: str) -> None:
    """Their row is kept as it is until the end of this transaction: whoever removes them at this moment waits for it,
    and then withdraws what was made."""
    member = Member.objects.select_for_update(of=("self",)).filter(user=user).first()
    if member is None or not permissions.may(member.role, "members.manage"):
        raise MembershipRefused("not_allowed", _("Only an owner or an admin invites people."))
    _check_touches(member.role, role)


def _touches(by_role: str, role: str) -> bool:
    return role != permissions.OWNER or permissions.may(by_role, "owners.manage")


def _check_touches(by_role: str, *roles: str) -> None:
    if not all(_touches(by_role, role) for role in roles):
        raise MembershipRefused("owners_only", _("Only an owner makes, changes or removes owners."))


def _check_not_last_owner() -> None:
    if Member.objects.filter(role=permissions.OWNER).count() < 2:
        raise MembershipRefused("last_owner", _("This is the last owner. Make another member an owner first."))


def _record(action: str, row: Member | Invitation, actor: Actor, email: str, **details: str) -> None:
    """Under the row's id: an address may be longer than the id of an object in the log."""
    audit.record(
        action, tenant_id=row.tenant_id, object_kind=str(row._meta.model_name), object_id=row.id,
        details={"email": email, **details}, actor=actor,
    )  # fmt: skip
