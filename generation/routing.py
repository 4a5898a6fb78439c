"""Which model draws a request."""

from django.db.models import Q

from easel.problems import invalid
from generation.models import Model


def choose(name: str) -> Model:
    """The enabled model of that name that the current tenant may use; "auto" is the default one. A 400 otherwise."""
    wanted = Q(is_default=True) if name == "auto" else Q(name=name)
    # A tenant's own model goes before everybody's of the same name.
    model = Model.objects.select_related("pool").filter(wanted, enabled=True).order_by("tenant", "created_at").first()
    if model is None:
        raise invalid("model", "unknown_model", f"There is no model {name!r}. GET /v1/models lists yours.")
    return model
