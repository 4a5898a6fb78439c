"""Who signs pictures. By default a certification authority of our own: one root, a certificate for the platform, and
one for each tenant that asks. An operator can put certificates of a public authority in their place.

Pictures carry no trusted time stamp, so readers check a certificate's dates against today: ours live long.
"""

import datetime
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from easel.database import atomic, platform_role, rows
from easel.identifiers import new_id
from generation.models import Certificate
from tenants.models import Tenant
from tenants.platform_secrets import platform_secret, replace_platform_secret

ROOT: Final = "root"
PLATFORM: Final = "platform"
ROOT_YEARS: Final = 20
SIGNER_YEARS: Final = 10
RENEW_DAYS: Final = 365  # a signer with less left than this gets a successor
LOCK_SPACE: Final = 0x0EA5E3


@dataclass(frozen=True, slots=True)
class Signatory:
    """A certificate chain (PEM, the signer's own first) and the key that belongs to it (PEM, PKCS 8, P-256)."""

    name: str
    chain: bytes
    key: bytes = field(repr=False)


class BadCertificate(ValueError):
    """The chain and the key do not belong together, or a reader of C2PA would refuse them."""


def signatory(tenant_id: UUID | None = None) -> Signatory:
    """The platform's signatory, or a tenant's own; made at its first use. Runs under the platform role."""
    name = PLATFORM if tenant_id is None else f"tenant:{tenant_id}"
    with platform_role(), atomic():
        # One at a time: two workers that begin together must not make two roots.
        rows("SELECT pg_advisory_xact_lock(%s, 0)", [LOCK_SPACE])
        newest = Certificate.objects.filter(name=name).order_by("-created_at").first()
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEW_DAYS)
        if newest is None or newest.expires_at < soon:
            newest = _issue(name, _organization(tenant_id))
        key = platform_secret(_key_of(newest), _missing)
    return Signatory(name, newest.chain.encode(), key)


def install(chain: bytes, key: bytes, *, tenant_id: UUID | None = None, root: bytes | None = None) -> Certificate:
    """Use a certificate from elsewhere from now on. `root` is added to what `anchors` gives out."""
    certificates = x509.load_pem_x509_certificates(chain)
    private = load_pem_private_key(key, None)
    leaf = certificates[0]
    if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
        raise BadCertificate("The key must be an elliptic curve key on P-256 (ES256).")
    if leaf.public_key() != private.public_key():
        raise BadCertificate("The chain's first certificate does not belong to the key.")
    if leaf.issuer == leaf.subject:
        raise BadCertificate("Readers of C2PA refuse self-signed certificates: give a chain.")
    name = PLATFORM if tenant_id is None else f"tenant:{tenant_id}"
    with platform_role(), atomic():
        if root is not None:
            issuer = x509.load_pem_x509_certificate(root)
            Certificate.objects.create(
                name="root:imported", issuer=True, chain=root.decode(), expires_at=issuer.not_valid_after_utc
            )
        return _keep(name, chain, _private_pem(private), leaf.not_valid_after_utc)


def anchors() -> str:
    """The roots that pictures of this installation stand on: PEM, for any reader of C2PA. The web may."""
    found = rows("SELECT chain FROM generation_certificate WHERE issuer ORDER BY created_at")
    return "".join(chain for (chain,) in found)


def _issue(name: str, organization: str) -> Certificate:
    root, root_key = _root()
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(organization, f"{organization} (Easel)"[:64])
    certificate = (
        _builder(subject, root.subject, key.public_key(), years=SIGNER_YEARS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        # The key purpose that every reader of C2PA takes; a purpose of C2PA's own is not known to all of them.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, SHA256())
    )
    chain = certificate.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM)
    return _keep(name, chain, _private_pem(key), certificate.not_valid_after_utc)


def _root() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    row = Certificate.objects.filter(name=ROOT).order_by("-created_at").first()
    if row is None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name("Easel", f"Easel root {new_id().hex[-8:]}")
        certificate = (
            _builder(subject, subject, key.public_key(), years=ROOT_YEARS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, SHA256())
        )
        pem = certificate.public_bytes(Encoding.PEM)
        row = _keep(ROOT, pem, _private_pem(key), certificate.not_valid_after_utc, issuer=True)
    key_pem = platform_secret(_key_of(row), _missing)
    private = load_pem_private_key(key_pem, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise BadCertificate("The root's key is no elliptic curve key.")
    return x509.load_pem_x509_certificate(row.chain.encode()), private


def _keep(name: str, chain: bytes, key: bytes, expires_at: datetime.datetime, *, issuer: bool = False) -> Certificate:
    row = Certificate.objects.create(name=name, issuer=issuer, chain=chain.decode(), expires_at=expires_at)
    replace_platform_secret(_key_of(row), key)
    return row


def _key_of(row: Certificate) -> str:
    return f"certificate:{row.id}"


def _missing() -> bytes:
    raise BadCertificate("The certificate's private key is gone.")


def _organization(tenant_id: UUID | None) -> str:
    if tenant_id is None:
        return "Easel"
    return Tenant.objects.values_list("name", flat=True).get(id=tenant_id)[:50]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, years: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # readers' clocks differ
        .not_valid_after(now + datetime.timedelta(days=366 * years))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(organization: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
