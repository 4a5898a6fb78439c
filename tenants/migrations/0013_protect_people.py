"""Row security of allauth's tables: the customer web sees what belongs to people, never what belongs to staff."""

from django.db import migrations

from tenants.rls import ALL, GlobalTable

# The inner table is itself under row security, which hides staff from the customer web.
OF_PEOPLE = "user_id IN (SELECT id FROM tenants_user)"


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0012_protect_data_rights"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        GlobalTable("account_emailaddress", grants=ALL, visible=OF_PEOPLE),
        GlobalTable("account_emailconfirmation", grants=ALL),
        GlobalTable("mfa_authenticator", grants=ALL, visible=OF_PEOPLE),
        GlobalTable("usersessions_usersession", grants=ALL, visible=OF_PEOPLE),
    ]
