"""Django's admin with our site in it. Loaded before any model is, so it imports none."""

from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    default_site = "tenants.staff_site.StaffSite"
