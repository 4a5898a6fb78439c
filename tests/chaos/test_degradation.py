"""Each row of the table in docs/operations.md that needs whole processes: what breaks, and what customers see of it."""

import signal
import time
from urllib.request import urlopen

from django.conf import settings

from billing.models import Entry
from easel.breaker import standing
from easel.database import platform_role
from tests.chaos.conftest import LEASE_SECONDS, OUTAGE_SECONDS, Client, completed, state, wait_for
from tests.chaos.town import CLOCKS, WORKERS

FULL = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nContent-Length: 69\r\nConnection: close\r\n"
    b"\r\n<Error><Code>InsufficientStorage</Code><Message>full</Message></Error>"
)


def charges(client: Client) -> int:
    with platform_role():
        return Entry.objects.filter(tenant=client.customer.tenant, kind="charge").count()


def test_without_the_broker_work_is_accepted_and_drawn_a_few_seconds_later(client: Client) -> None:
    client.town.proxies["broker"].cut()
    generation = client.asked()
    assert completed(generation, seconds=20).attempts == 1


def test_without_the_cache_work_is_accepted_drawn_and_canceled(client: Client) -> None:
    client.town.proxies["cache"].cut()
    assert completed(client.asked(), seconds=30).attempts == 1
    long = client.asked(steps=150)
    wait_for(lambda: state(long).status == "running")
    assert client.call("POST", f"/v1/generations/{long}/cancel")[0] == 202
    wait_for(lambda: state(long).status == "canceled", seconds=10)
    status, _ = client.call("GET", f"/v1/generations/status/{long}")
    assert status == 200


def test_while_postgres_is_away_requests_are_told_so_and_what_is_drawn_is_kept(client: Client) -> None:
    generation = client.asked(steps=100)
    wait_for(lambda: state(generation).status == "running")
    client.town.proxies["postgres"].cut()
    until = time.monotonic() + OUTAGE_SECONDS
    status, answer = client.ask()
    assert (status, answer.get("code")) == (503, "overloaded")
    time.sleep(max(0.0, until - time.monotonic()))
    client.town.proxies["postgres"].heal()
    assert completed(generation).attempts == 1
    assert charges(client) == 1
    wait_for(lambda: client.ask()[0] == 202, seconds=20)


def test_while_the_store_is_away_what_was_drawn_waits_for_it(client: Client) -> None:
    client.town.proxies["s3"].cut()
    generation = client.asked(n=2)
    time.sleep(OUTAGE_SECONDS)
    assert state(generation).status == "running"
    client.town.proxies["s3"].heal()
    assert completed(generation).attempts == 1
    assert charges(client) == 1


def test_pictures_cannot_be_fetched_while_the_store_is_away(client: Client) -> None:
    generation = client.asked()
    completed(generation)
    url = client.read(f"/v1/generations/{generation}")["images"][0]["url"]
    client.town.proxies["s3"].cut()
    path = url.partition("/media/")[2]
    assert client.call("GET", f"/media/{path}")[0] == 503
    client.town.proxies["s3"].heal()

    def fetched() -> bool:
        try:
            with urlopen(url, timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    wait_for(fetched, seconds=20)


def test_a_store_that_is_full_is_waited_for_like_one_that_is_away(client: Client) -> None:
    proxy = client.town.proxies["s3"]
    proxy.answer(FULL)
    generation = client.asked()
    time.sleep(3.0)
    assert state(generation).status == "running"
    left_alone = f"storage:http://127.0.0.1:{proxy.port}/{settings.S3['bucket']}:write"
    assert left_alone in {each.name for each in standing()}
    proxy.heal()
    assert completed(generation).attempts == 1
    assert charges(client) == 1
    assert left_alone not in {each.name for each in standing()}


def test_a_frozen_worker_is_fenced_off_when_it_wakes(client: Client) -> None:
    for name in WORKERS:
        client.town.send(name, signal.SIGSTOP)
    generation = client.asked(steps=60)
    client.town.send(WORKERS[0], signal.SIGCONT)
    wait_for(lambda: state(generation).status == "running")
    lease = state(generation).lease_id
    client.town.send(WORKERS[0], signal.SIGSTOP)
    client.town.send(WORKERS[1], signal.SIGCONT)
    wait_for(lambda: state(generation).lease_id != lease, seconds=LEASE_SECONDS * 3)
    client.town.send(WORKERS[0], signal.SIGCONT)
    assert completed(generation).attempts == 2
    time.sleep(2.0)
    assert charges(client) == 1
    request_id = state(generation).request_id
    told_by = {path.stem for path in client.town.logs() if request_id in path.read_text(errors="replace")}
    assert "web" in told_by
    assert told_by & set(WORKERS)
    assert told_by & set(CLOCKS), "whoever took the job back says whose it was"


def test_one_request_id_is_in_the_logs_of_web_and_worker(client: Client) -> None:
    generation = client.asked()
    completed(generation)
    request_id = state(generation).request_id

    def told_by() -> set[str]:
        return {path.stem for path in client.town.logs() if request_id in path.read_text(errors="replace")}

    wait_for(lambda: "web" in told_by() and told_by() & set(WORKERS), seconds=10)
