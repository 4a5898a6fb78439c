"""Where work waits: pools of workers, and each tenant's place in the fair order."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from easel.identifiers import new_id
from tenants.models import TenantRow


class Pool(models.Model):
    """Workers that can stand in for one another. The last three are the clock's: the work that was ever served, as of
    when, and the work served in a second while something waited."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.SlugField(max_length=40, unique=True)
    served_work = models.FloatField(default=0, db_default=0, editable=False)
    measured_at = models.DateTimeField(null=True, editable=False)
    work_per_second = models.FloatField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name


class PoolTime(models.Model):
    """A pool's virtual time in fair queueing: the newest row counts. `turns` writes it, and says what it means."""

    id = models.BigAutoField(primary_key=True)
    pool = models.ForeignKey(Pool, on_delete=models.CASCADE, db_index=False)
    vtime = models.FloatField()
    floor = models.FloatField()
    mark_vtime = models.FloatField()
    mark_xid = models.BigIntegerField()

    class Meta:
        indexes = [models.Index("pool", models.F("id").desc(), name="pooltime_newest")]

    def __str__(self) -> str:
        return f"{self.vtime}"


class Flow(TenantRow):
    """One tenant's waiting work in one pool, and its place in the fair order. `flows` and `source` write it."""

    pool = models.ForeignKey(Pool, on_delete=models.CASCADE)
    vtime = models.FloatField(default=0)
    weight = models.FloatField(default=1)
    queued = models.IntegerField(default=0)
    running = models.IntegerField(default=0)
    cap = models.IntegerField(default=4)
    owed = models.FloatField(default=0, db_default=0, help_text=_("Paid too much for past work: negative"))
    waiting_work = models.FloatField(default=0, db_default=0)
    served_work = models.FloatField(default=0, db_default=0)
    ready = models.GeneratedField(
        expression=models.Case(
            models.When(queued__gt=0, running__lt=models.F("cap"), then=models.Value(True)),
            default=models.Value(False),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "pool", name="flow_once_per_tenant_and_pool"),
            models.CheckConstraint(condition=models.Q(queued__gte=0, running__gte=0), name="flow_never_negative"),
            models.CheckConstraint(condition=models.Q(weight__gt=0), name="flow_weight_positive"),
        ]
        indexes = [models.Index("pool", "vtime", "id", condition=models.Q(ready=True), name="flow_ready_first")]

    def __str__(self) -> str:
        return f"{self.queued} queued, {self.running} running"
