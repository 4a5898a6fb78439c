"""Many programs of one customer ask at once for more than the wallet holds."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

from billing import ledger
from easel.database import platform_role
from generation.registry import register
from tests.billing.purses import Purse, purse
from tests.cast import make_customer

SUBMITS, COVERED, THREADS = 200, 50, 4  # no more threads than the pool has connections, as the web has
PRICE = 12  # two images, each ceil(20 calls x 0.262144 megapixels) credits


def test_two_hundred_submits_against_a_wallet_for_fifty() -> None:
    customer = make_customer("Rush")
    with platform_role():
        model = register("rush", "rush", pool="rush", title="Rush")
        surplus = purse(customer.id).available - COVERED * PRICE
        ledger.take(customer.id, surplus, operation_id="take:rush")
    token = customer.token()

    def submit(number: int) -> tuple[int, str]:
        client = customer.client()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        body = {"prompt": f"apple {number}", "model": model.name, "steps": 20, "width": 512, "height": 512, "n": 2}
        try:
            answer = client.post("/v1/generations", body | {"sampler": "Euler"}, format="json")
        finally:
            connections.close_all()
        return answer.status_code, answer.json().get("code", "")

    with ThreadPoolExecutor(THREADS) as threads:
        answers = Counter(threads.map(submit, range(SUBMITS)))
    assert answers == {(202, ""): COVERED, (402, "insufficient_credits"): SUBMITS - COVERED}
    assert purse(customer.id) == Purse(0, COVERED * PRICE)
