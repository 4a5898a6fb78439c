"""The one door into money: reserve, settle, release; grant, refund, adjust, expire.

Every function is one message to the database inside the caller's transaction. An operation is known by its
`operation_id`, unique per tenant in the database, so that the same operation cannot count twice, whoever repeats it.
`at` says when it happened; left out, it is now.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from billing import moves
from billing.models import NOBODY, Entry, Lot
from easel.database import Question, answers, rows, together
from easel.identifiers import new_id

REFUND_DAYS: Final = 30  # a refund lives at least so long, even if the credits that paid would be gone


class InsufficientCredits(Exception):
    """The wallet does not cover the amount. Nothing was held."""


class AlreadySettled(Exception):
    """The hold has ended before, or never was."""


class NothingToRefund(Exception):
    """More would be refunded than was charged, or nothing was."""


def grant(
    tenant_id: UUID,
    amount: int,
    *,
    operation_id: str,
    source: str = Lot.Source.GRANT,
    expires_at: datetime | None = None,
    reason: str = "",
    at: datetime | None = None,
) -> bool:
    """Add a lot of credits. False where this operation was already done."""
    kind = Entry.Kind.ADJUSTMENT if source == Lot.Source.ADJUSTMENT else Entry.Kind.GRANT
    return bool(
        _move(
            [moves.OPEN_WALLET, moves.LOCK, moves.GRANT],
            tenant_id,
            at,
            {
                "id": new_id(),
                "amount": _positive(amount),
                "operation": operation_id,
                "kind": kind,
                "source": source,
                "expires": expires_at,
                "reason": reason,
            },
        )
    )


def hold(
    tenant_id: UUID,
    owner_id: UUID,
    amount: int,
    *,
    key_id: UUID = NOBODY,
    model: str = "",
    at: datetime | None = None,
) -> None:
    """Set credits aside for an owner, from the oldest live lots. Raises InsufficientCredits.

    `key_id` and `model` say who spends and on what; usage is told by them.
    """
    answers(*holding(tenant_id, owner_id, amount, key_id=key_id, model=model, at=at))


def holding(
    tenant_id: UUID, owner_id: UUID, amount: int, *, key_id: UUID, model: str, at: datetime | None = None
) -> Sequence[Question[None]]:
    """The same, to be asked with others."""
    taken = _taken(tenant_id, owner_id, amount, key_id=key_id, model=model, at=at)
    return [Question(moves.LOCK, taken, _nothing), Question(moves.HOLD, taken, _covered(amount))]


def pay(
    tenant_id: UUID,
    owner_id: UUID,
    amount: int,
    *,
    key_id: UUID = NOBODY,
    model: str = "",
    images: int = 0,
    at: datetime | None = None,
) -> None:
    """Hold and charge at once, for what is delivered in the same transaction. Raises InsufficientCredits."""
    answers(*paying(tenant_id, owner_id, amount, key_id=key_id, model=model, images=images, at=at))


def paying(
    tenant_id: UUID, owner_id: UUID, amount: int, *, key_id: UUID, model: str, images: int, at: datetime | None = None
) -> Sequence[Question[None]]:
    """The same, to be asked with others."""
    taken = _taken(tenant_id, owner_id, amount, key_id=key_id, model=model, at=at)
    taken |= {"status": "completed", "images": images, "charge_id": new_id(), "usage_id": new_id()}
    return [Question(moves.LOCK, taken, _nothing), Question(moves.PAY, taken, _covered(amount))]


def settle(
    tenant_id: UUID,
    owner_id: UUID,
    *,
    charge: int,
    status: str = "completed",
    images: int = 0,
    at: datetime | None = None,
) -> int:
    """End a hold: charge at most what is left of it, release the rest. Returns the credits charged; AlreadySettled."""
    settled = _settle(tenant_id, owner_id, charge, status=status, images=images, at=at, final=True)
    if settled is None:
        raise AlreadySettled(f"Hold of {owner_id}")
    return settled


def charge(
    tenant_id: UUID, owner_id: UUID, amount: int, *, part: str, images: int = 0, at: datetime | None = None
) -> bool:
    """Charge a part of a hold that stays open, as a batch does for each of its items. False where that part was
    charged already; AlreadySettled where the hold has ended or has less left."""
    operation_id = f"charge:{owner_id}:{part}"
    charged = _settle(tenant_id, owner_id, _positive(amount), images=images, at=at, operation_id=operation_id)
    if charged is None and not _done(tenant_id, operation_id):
        raise AlreadySettled(f"Hold of {owner_id}")
    return charged is not None


def release(tenant_id: UUID, owner_id: UUID, *, status: str = "failed", at: datetime | None = None) -> None:
    """End a hold without a charge. The credits return to their lots."""
    settle(tenant_id, owner_id, charge=0, status=status, at=at)


def refund(
    tenant_id: UUID, owner_id: UUID, amount: int, *, operation_id: str, reason: str = "", at: datetime | None = None
) -> bool:
    """Give charged credits back, as a lot of their own. False where this operation was already done; NothingToRefund
    where that would exceed the charge."""
    refunded = _move(
        [moves.LOCK, moves.REFUND],
        tenant_id,
        at,
        {
            "id": new_id(),
            "owner": owner_id,
            "amount": _positive(amount),
            "operation": operation_id,
            "reason": reason,
            "days": REFUND_DAYS,
        },
    )
    if not refunded and not _done(tenant_id, operation_id):
        raise NothingToRefund(f"{amount} credits are more than {owner_id} was charged and not refunded.")
    return bool(refunded)


def refundable(tenant_id: UUID, owner_id: UUID) -> int:
    """What was charged and not refunded. The wallet stays locked, so that it does not change before the refund."""
    found = together([moves.LOCK, moves.REFUNDABLE], {"tenant": tenant_id, "owner": owner_id})
    return int(found[0][0]) if found else 0


def take(
    tenant_id: UUID,
    amount: int,
    *,
    operation_id: str,
    source: str = "",
    partial: bool = False,
    reason: str = "",
    at: datetime | None = None,
) -> int:
    """Take available credits back, from lots of a source or from any, and return how many: with `partial` at most
    `amount`, or else all or InsufficientCredits. 0 where this operation was already done. Held credits stay."""
    taken = _move(
        [moves.LOCK, moves.TAKE],
        tenant_id,
        at,
        {
            "id": new_id(),
            "amount": _positive(amount),
            "operation": operation_id,
            "source": source,
            "partial": partial,
            "reason": reason,
        },
    )
    if not taken and not partial and not _done(tenant_id, operation_id):
        raise InsufficientCredits(f"{amount} credits are not available.")
    return int(taken[0][0]) if taken else 0


def expire(tenant_id: UUID, lot_id: UUID, *, at: datetime | None = None) -> int:
    """Remove what is available of a lot that is past its date; returns the credits. What is held of it stays held."""
    expired = _move([moves.LOCK, moves.EXPIRE], tenant_id, at, {"id": new_id(), "lot": lot_id})
    return int(expired[0][0]) if expired else 0


def _taken(
    tenant_id: UUID, owner_id: UUID, amount: int, *, key_id: UUID, model: str, at: datetime | None
) -> dict[str, Any]:
    return {
        "id": new_id(), "tenant": tenant_id, "owner": owner_id, "amount": _positive(amount), "key": key_id,
        "model": model, "source": "", "at": at,
    }  # fmt: skip


def _covered(amount: int) -> Callable[[Sequence[object]], None]:
    def read(found: Sequence[object]) -> None:
        if not found:
            raise InsufficientCredits(f"{amount} credits are needed.")

    return read


def _nothing(found: Sequence[object]) -> None:
    """A lock answers nothing."""


def _settle(
    tenant_id: UUID,
    owner_id: UUID,
    amount: int,
    *,
    images: int,
    at: datetime | None,
    status: str = "completed",
    operation_id: str = "",
    final: bool = False,
) -> int | None:
    if amount < 0 or images < 0:
        raise ValueError("A charge and its images are never negative.")
    settled = _move(
        [moves.LOCK, moves.SETTLE],
        tenant_id,
        at,
        {
            "owner": owner_id,
            **_settlement(
                amount, status=status, operation_id=operation_id or f"charge:{owner_id}", images=images, final=final
            ),
        },
    )
    return int(settled[0][0]) if settled else None


def _settlement(charge: int, *, status: str, operation_id: str, images: int, final: bool) -> dict[str, Any]:
    return {
        "charge": charge,
        "operation": operation_id,
        "status": status,
        "images": images,
        "final": final,
        "charge_id": new_id(),
        "release_id": new_id(),
        "usage_id": new_id(),
    }


def _move(
    move: Sequence[str], tenant_id: UUID, at: datetime | None, parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """One transaction, even outside of any other: what follows the wallet's lock sees what the lock waited for. Returns
    the last statement's rows."""
    return together(move, {**parameters, "tenant": tenant_id, "at": at})


def _done(tenant_id: UUID, operation_id: str) -> bool:
    found = rows("SELECT 1 FROM billing_entry WHERE tenant_id = %s AND operation_id = %s", [tenant_id, operation_id])
    return bool(found)


def _positive(amount: int) -> int:
    if amount <= 0:
        raise ValueError(f"An amount of credits is positive, not {amount}.")
    return amount
