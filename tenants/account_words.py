"""Words of the account pages, which are allauth's, that our catalogs say in the console's own way."""

from typing import Final

from django.utils.translation import gettext_noop as _

WORDS: Final = (
    _("Email Address"),
    _("Current email"),
    _("Change Email"),
    _("Confirm Email Address"),
    _("Two-Factor Authentication"),
    _("Sign Out"),
    _("Are you sure you want to sign out?"),
    _("You have signed out."),
    _("You have confirmed %(email)s."),
)
