"""Webhooks in the console: made with a secret that is shown once, changed, rotated, tested, and their log read."""

import re

import pytest
from django.test import Client

from easel.database import platform_role
from tenants import endpoints, webhooks
from tenants.keys import tenant_data_key
from tenants.models import AuditRecord, WebhookDelivery, WebhookEndpoint
from tests.cast import Customer
from tests.tenants.people import let_in, person

URL = "https://93.184.215.14/hook"


@pytest.fixture
def browser(ada: Customer) -> Client:
    return let_in(person(ada.tenant, "developer"))


def make(browser: Client, **fields: object) -> str:
    """The page that answers."""
    given = {"url": URL, "kinds": ["generation.completed"], "description": "mine", **fields}
    return browser.post("/console/webhooks", given).content.decode()


def endpoint(customer: Customer) -> WebhookEndpoint:
    with platform_role():
        found: WebhookEndpoint = WebhookEndpoint.objects.get(tenant=customer.tenant, is_default=False)
    return found


def secret_of(customer: Customer) -> str:
    found = endpoint(customer)
    key = tenant_data_key(customer.tenant)
    return webhooks.open_secret(found.secret_sealed, key=key, endpoint_id=found.id)


def deliveries(customer: Customer) -> list[WebhookDelivery]:
    with platform_role():
        return list(WebhookDelivery.objects.filter(tenant=customer.tenant).order_by("id"))


def test_a_secret_is_shown_on_the_page_that_made_it_and_never_again(ada: Customer, browser: Client) -> None:
    shown = re.findall(r"whsec_[A-Za-z0-9+/=]+", make(browser))
    assert set(shown) == {secret_of(ada)}
    page = browser.get(f"/console/webhooks/{endpoint(ada).id}")
    assert b"whsec_" not in page.content
    assert page["Cache-Control"] == "no-store"
    with platform_role():
        assert AuditRecord.objects.filter(tenant=ada.tenant, action="webhook.created").count() == 1


@pytest.mark.parametrize("url", ["http://10.0.0.1/x", "https://127.0.0.1/", "ftp://example.org", "nonsense"])
def test_an_address_that_leads_inside_is_refused(ada: Customer, browser: Client, url: str) -> None:
    text = make(browser, url=url)
    assert "field-error" in text
    with platform_role():
        assert not WebhookEndpoint.objects.filter(tenant=ada.tenant, is_default=False).exists()


def test_an_endpoint_is_changed_switched_off_and_deleted(ada: Customer, browser: Client) -> None:
    make(browser)
    path = f"/console/webhooks/{endpoint(ada).id}"
    browser.post(path, {"url": URL + "/2", "kinds": ["balance.low"], "description": ""})
    assert (endpoint(ada).url, endpoint(ada).kinds) == (URL + "/2", ["balance.low"])
    browser.post(f"{path}/switch", {"on": "0"})
    assert endpoint(ada).disabled_at is not None
    assert "off" in browser.post(f"{path}/test", follow=True).content.decode()
    assert "由您停用" in browser.get(path, headers={"accept-language": "zh-CN"}).content.decode()
    assert deliveries(ada) == []
    browser.post(f"{path}/switch", {"on": "1"})
    assert endpoint(ada).disabled_at is None
    browser.post(f"{path}/delete")
    assert browser.get(path).status_code == 404


def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_on(ada: Customer, browser: Client) -> None:
    make(browser)
    before = secret_of(ada)
    page = browser.post(f"/console/webhooks/{endpoint(ada).id}/rotate").content.decode()
    assert set(re.findall(r"whsec_[A-Za-z0-9+/=]+", page)) == {secret_of(ada)}
    assert secret_of(ada) != before
    assert endpoint(ada).previous_until is not None


def test_a_test_message_is_in_the_log_and_can_be_sent_again(ada: Customer, browser: Client) -> None:
    make(browser)
    path = f"/console/webhooks/{endpoint(ada).id}"
    browser.post(f"{path}/test")
    (delivery,) = deliveries(ada)
    with platform_role():
        WebhookDelivery.objects.filter(id=delivery.id).update(
            state="failed", log=[{"at": "now", "attempt": 1, "status": 500, "answer": "<b>no</b>", "seconds": 0.1}]
        )
    text = browser.get(path).content.decode()
    assert "HTTP 500" in text
    assert "&lt;b&gt;no" in text
    browser.post(f"/console/webhooks/deliveries/{delivery.id}/redeliver")
    assert deliveries(ada)[0].state == "pending"


def test_a_delivery_that_was_attempted_too_often_stays_as_it_is_and_the_page_says_so(
    ada: Customer, browser: Client
) -> None:
    make(browser)
    browser.post(f"/console/webhooks/{endpoint(ada).id}/test")
    (delivery,) = deliveries(ada)
    with platform_role():
        WebhookDelivery.objects.filter(id=delivery.id).update(state="failed", attempts=endpoints.MOST_ATTEMPTS)
    answer = browser.post(f"/console/webhooks/deliveries/{delivery.id}/redeliver", follow=True)
    assert "attempted too often" in answer.content.decode()
    assert deliveries(ada)[0].state == "failed"


def test_the_log_comes_in_pages(ada: Customer, browser: Client) -> None:
    make(browser)
    with platform_role():
        for _ in range(30):
            webhooks.send_test(endpoint(ada))
    path = f"/console/webhooks/{endpoint(ada).id}"
    first = browser.get(path).content.decode()
    rest = browser.get(older(first)).content.decode()
    seen = re.findall(r"deliveries/([0-9a-f-]{36})/", first + rest)
    assert len(seen) == len(set(seen)) == 30
    assert older(browser.post(f"{path}/rotate").content.decode()).startswith(f"{path}?")


def older(page: str) -> str:
    found = re.search(r'href="([^"]*\?cursor=[^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_page_that_answers_a_form_can_be_left_by_its_language(ada: Customer, browser: Client) -> None:
    """Its own address takes no GET, which says so itself."""
    make(browser)
    path = f"/console/webhooks/{endpoint(ada).id}/rotate"
    page = browser.post(path).content.decode()
    assert set(re.findall(r'name="next" value="([^"]*)"', page)) == {"/console/webhooks"}
    answer = browser.get(path)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "The method is not allowed here" in answer.content.decode()


def test_a_viewer_has_no_webhooks(ada: Customer) -> None:
    viewer = let_in(person(ada.tenant, "viewer"))
    assert viewer.get("/console/webhooks").status_code == 403
    assert b"/console/webhooks" not in viewer.get("/console/gallery").content
