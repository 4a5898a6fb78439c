"""Who signs pictures."""

from django.db import models
from django.db.models.functions import Now

from easel.identifiers import new_id


class Certificate(models.Model):
    """Who signs pictures: the chain that readers see. Its private key is a PlatformSecret, and the web never has it.

    `issuer` says whether it is a root of ours, kept for readers as long as files signed under it are about.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=80)
    issuer = models.BooleanField(default=False)
    chain = models.TextField(help_text="PEM, the signer's own first")
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index("name", models.F("created_at").desc(), name="certificate_newest")]

    def __str__(self) -> str:
        return self.name
