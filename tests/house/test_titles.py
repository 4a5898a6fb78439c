"""allauth writes English titles with capitals throughout; the console does not."""

import pytest

from tenants.templatetags.parts import sentence


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Change Password", "Change password"),
        ("Two-Factor Authentication", "Two-factor authentication"),
        ("Reset My Password", "Reset my password"),
        ("Sign in to Easel", "Sign in to Easel"),
        ("WebAuthn and TOTP Codes", "WebAuthn and TOTP codes"),
        ("安全密钥", "安全密钥"),
    ],
)
def test_titles_are_sentences(theirs: str, ours: str) -> None:
    assert sentence(theirs) == ours
