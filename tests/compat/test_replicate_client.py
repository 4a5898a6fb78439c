"""The `replicate` package, unmodified, runs predictions here: waiting, polled, streamed, told by webhook, canceled."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen
from uuid import UUID

import pytest
from django.test import override_settings
from PIL import Image as Pictures
from replicate.client import Client
from replicate.exceptions import ModelError, ReplicateError
from replicate.webhook import InvalidSignatureError, Webhooks

from easel.database import changed, platform_role
from generation.models import Generation
from tenants.delivery import Courier
from tests.cast import Customer
from tests.compat.conftest import another_key, drawing, of, soon, unfinished, word
from tests.compat.test_openai_client import png
from tests.generation.conftest import Workshop, make_workshop, row
from tests.stub_engine import StubEngine
from tests.web.receiver import answering, receiver


def client(port: int, customer: Customer) -> Client:
    made = Client(api_token=word(customer), base_url=f"http://127.0.0.1:{port}/compat/replicate")
    made.poll_interval = 0.02
    return made


@pytest.fixture
def ours(port: int, ada: Customer) -> Client:
    return client(port, ada)


def named(workshop: Workshop) -> str:
    return f"easel/{workshop.model.name}"


SMALL = {"prompt": "a red apple", "width": 64, "height": 64, "num_inference_steps": 2}


def pixel(url: str) -> Any:
    with urlopen(url) as response:
        return Pictures.open(io.BytesIO(response.read())).getpixel((0, 0))


@pytest.mark.usefixtures("studio")
def test_run_waits_for_the_pictures(ours: Client, ada: Customer, workshop: Workshop) -> None:
    asked = SMALL | {"num_outputs": 2, "seed": 30, "guidance_scale": 4, "scheduler": "K_EULER_ANCESTRAL"}
    output = ours.run(named(workshop), input=asked)
    assert [pixel(url) for url in output] == [(30,) * 3, (31,) * 3]
    (made,) = of(ada)
    assert (made.sampler, made.cfg_scale, made.n) == ("Euler a", 4.0, 2)
    version = ours.models.get(named(workshop)).latest_version
    assert version is not None
    assert len(ours.run(f"{named(workshop)}:{version.id}", input=SMALL)) == 1


def test_a_prediction_is_polled(ours: Client, ada: Customer, workshop: Workshop) -> None:
    prediction = ours.predictions.create(version=named(workshop), input=SMALL | {"output_format": "jpg"})
    assert (prediction.status, prediction.output, prediction.input["prompt"]) == ("starting", None, "a red apple")
    with drawing(workshop, StubEngine(step_seconds=0.05)):
        prediction.wait()
    assert (prediction.status, prediction.id) == ("succeeded", str(of(ada)[0].id))
    assert prediction.output[0].startswith("http")
    assert prediction.completed_at
    assert ours.predictions.get(prediction.id).metrics["predict_time"] >= 0


def test_a_prediction_that_takes_longer_than_one_waits_is_starting(ours: Client, workshop: Workshop) -> None:
    prediction = ours.models.predictions.create(model=named(workshop), input=SMALL, wait=1)
    assert (prediction.status, prediction.output) == ("starting", None)
    prediction.cancel()
    assert prediction.status == "canceled"
    prediction.cancel()  # again: it stays as it is
    assert ours.predictions.get(prediction.id).status == "canceled"


def test_what_is_drawn_is_canceled_too(ours: Client, workshop: Workshop) -> None:
    with drawing(workshop, StubEngine(step_seconds=0.1)):
        prediction = ours.predictions.create(version=named(workshop), input=SMALL | {"num_inference_steps": 100})
        soon(lambda: ours.predictions.get(prediction.id).progress is not None)
        prediction.cancel()
        prediction.wait()
    assert prediction.status == "canceled"


def test_a_prediction_is_streamed(ours: Client, workshop: Workshop) -> None:
    prediction = ours.predictions.create(
        version=named(workshop), input=SMALL | {"num_outputs": 2, "seed": 8}, stream=True
    )
    told = prediction.stream()
    with drawing(workshop, StubEngine()):
        found = [(event.event.value, str(event.data)) for event in told]
    outputs = [data for kind, data in found if kind == "output"]
    assert [pixel(url) for url in outputs] == [(8,) * 3, (9,) * 3]
    assert found[-1] == ("done", "{}")
    again = [event.event.value for event in prediction.stream()]
    assert again == ["output", "output", "done"]  # for whoever comes later, too


@pytest.mark.usefixtures("studio")
def test_a_stream_of_what_fails_raises(ours: Client, workshop: Workshop, engine: StubEngine) -> None:
    from generation.engine.protocol import EngineError

    engine.failure = EngineError("out_of_memory", "It does not fit.", permanent=True)
    with pytest.raises(RuntimeError, match="out_of_memory"):
        list(ours.stream(named(workshop), input=SMALL))
    with pytest.raises(ModelError, match="out_of_memory"):
        ours.run(named(workshop), input=SMALL)


@pytest.mark.usefixtures("rehearsing")
def test_a_stream_of_what_waits_for_staff_is_no_success(port: int, ada: Customer, workshop: Workshop) -> None:
    tester = client(port, another_key(ada, mode="test"))
    with pytest.raises(RuntimeError, match="staff"):
        list(tester.stream(named(workshop), input=SMALL | {"prompt": "test:in_review"}))


@pytest.mark.usefixtures("studio")
def test_a_picture_is_sent_as_a_file(ours: Client, ada: Customer, workshop: Workshop, tmp_path: Path) -> None:
    file = tmp_path / "apple.png"
    file.write_bytes(png("RGB", (64, 64), "red"))
    with file.open("rb") as image:
        ours.run(named(workshop), input={"prompt": "x", "image": image, "prompt_strength": 0.5})
        ours.run(named(workshop), input={"prompt": "x", "image": image}, file_encoding_strategy="base64")
    first, second = of(ada)
    assert first.init_image_id == second.init_image_id is not None
    prediction = ours.predictions.get(str(second.id))
    assert prediction.input["image"].endswith(f"/files/{second.init_image_id}")
    assert ours.files.get(str(second.init_image_id)).content_type == "image/png"
    assert prediction.input["prompt_strength"] == 0.5


@pytest.mark.usefixtures("studio")
def test_what_one_prediction_made_is_where_the_next_one_starts(
    ours: Client, port: int, ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    """Where nothing of our own network may be called, too: the address is never called."""
    (url,) = ours.run(named(workshop), input=SMALL)
    asked = {"prompt": "a green apple", "image": url, "num_inference_steps": 4}
    prediction = ours.predictions.create(version=named(workshop), input=asked)
    prediction.wait()
    assert (prediction.status, prediction.error) == ("succeeded", None)
    newest, _ = of(ada)
    assert newest.init_image_id is not None
    for given in (f"{url}x", url.replace("/media/", "/media/blurred/")):
        with pytest.raises(ReplicateError) as refused:
            ours.predictions.create(version=named(workshop), input=asked | {"image": given})
        assert "- input.image:" in str(refused.value.detail)
    with pytest.raises(ReplicateError) as refused:
        client(port, bob).predictions.create(version=named(workshop), input=asked)
    assert "- input.image:" in str(refused.value.detail)


def test_an_ending_is_told_as_a_prediction(ours: Client, port: int, workshop: Workshop, ada: Customer) -> None:
    bodies: list[tuple[dict[str, str], str]] = []

    def accept(connection: Any, head: bytes) -> None:
        fields, _, body = head.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in fields.decode().split("\r\n")[1:])
        headers = {name.lower(): value for name, value in headers.items()}
        while len(body) < int(headers["content-length"]):
            body += connection.recv(65536)
        bodies.append((headers, body.decode()))
        answering("204 No Content")(connection, head)

    with receiver(accept) as (own, _), override_settings(BASE_URL=f"http://127.0.0.1:{port}", OUTBOUND_ALLOW=LOOPBACK):
        prediction = ours.predictions.create(
            version=named(workshop), input=SMALL, webhook=f"http://127.0.0.1:{own}/told",
            webhook_events_filter=["completed"],
        )  # fmt: skip
        with drawing(workshop, StubEngine()):
            prediction.wait()
            courier = Courier()
            with platform_role():
                soon(lambda: (courier.round(), bodies)[1])
            courier.close()
    ((headers, body),) = bodies
    told = json.loads(body)
    assert (told["id"], told["status"], len(told["output"])) == (prediction.id, "succeeded", 1)
    assert told["request_id"] == row(UUID(prediction.id)).request_id != ""  # by it the log's lines are found
    assert pixel(told["output"][0]) is not None
    assert "a red apple" not in body
    secret = ours.webhooks.default.secret()
    Webhooks.validate(headers=headers, body=body, secret=secret)  # raises where it is not ours
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=headers, body=body + " ", secret=secret)


@pytest.mark.parametrize(
    ("field", "value"),
    [("input.steps", None), ("input.width", 65), ("input.num_outputs", 9), ("input.scheduler", "DPM fast"),
     ("input.output_format", "gif"), ("input.image", "x"), ("webhook", "ftp://x"), ("input.prompt", ""),
     ("webhook_events_filter", ["start"]), ("cancel_after", "5m"), ("input", "x"),
     ("input.disable_safety_checker", True)],
)  # fmt: skip
def test_what_cannot_be_said_is_refused_by_name(ours: Client, workshop: Workshop, field: str, value: Any) -> None:
    body: dict[str, Any] = {"version": named(workshop), "input": dict(SMALL)}
    head, _, name = field.partition(".")
    if name:
        body["input"][name] = 5 if value is None else value
    else:
        body[head] = value
    with pytest.raises(ReplicateError) as refused:
        ours._request("POST", "/v1/predictions", json=body)
    assert (refused.value.status, refused.value.title) == (422, "Input validation failed")
    assert f"- {field}:" in (refused.value.detail or "")


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize(
    ("asked", "status"),
    [("rate_limited", 429), ("insufficient_credits", 402), ("content_rejected", 422), ("tenant_suspended", 403),
     ("internal_error", 500)],
)  # fmt: skip
def test_refusals_are_the_clients_own_exception(
    port: int, ada: Customer, workshop: Workshop, asked: str, status: int
) -> None:
    rehearsal = client(port, another_key(ada, mode="test"))
    with pytest.raises(ReplicateError) as refused:
        rehearsal.run(named(workshop), input=SMALL | {"prompt": f"test:{asked}"})
    assert refused.value.status == status
    assert refused.value.title
    assert str(refused.value.type).endswith(f"/docs/errors/{asked}")


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize("asked", ["rejected", "failed"])
def test_endings_without_pictures_are_model_errors(port: int, ada: Customer, workshop: Workshop, asked: str) -> None:
    rehearsal = client(port, another_key(ada, mode="test"))
    with pytest.raises(ModelError):
        rehearsal.run(named(workshop), input=SMALL | {"prompt": f"test:{asked}"})


def test_what_waits_for_staff_is_not_over(port: int, ada: Customer, workshop: Workshop, rehearsing: None) -> None:
    rehearsal = client(port, another_key(ada, mode="test"))
    prediction = rehearsal.predictions.create(
        version=named(workshop), input=SMALL | {"prompt": "test:in_review"}, wait=2
    )
    assert prediction.status == "starting"
    assert rehearsal.predictions.get(prediction.id).status == "processing"


def test_whose_predictions_models_and_files(
    ours: Client, port: int, bob: Customer, ada: Customer, workshop: Workshop
) -> None:
    prediction = ours.predictions.create(version=named(workshop), input=SMALL)
    stranger = client(port, bob)
    for call in (stranger.predictions.get, stranger.predictions.cancel):
        with pytest.raises(ReplicateError) as unknown:
            call(prediction.id)
        assert unknown.value.status == 404
    with pytest.raises(ReplicateError) as unknown:
        stranger._request("GET", f"/v1/predictions/{prediction.id}/stream")
    assert unknown.value.status == 404
    assert unfinished(ada) is not None
    assert stranger.predictions.list().results == []
    uploaded = ours.files.create(io.BytesIO(png("RGB", (64, 64), "red")))
    with pytest.raises(ReplicateError):
        stranger.files.get(uploaded.id)
    with pytest.raises(ReplicateError) as refused:
        stranger.run(named(workshop), input={"prompt": "x", "image": uploaded.urls["get"]})
    assert "- input.image:" in str(refused.value.detail)
    with platform_role():
        hers = make_workshop("nowhere")
        changed("UPDATE generation_model SET tenant_id = %s WHERE id = %s", [bob.id, hers.model.id])
    assert stranger.models.get(named(hers)).visibility == "private"
    version = stranger.models.get(named(hers)).latest_version
    assert version is not None
    for asked in (named(hers), version.id, f"{named(hers)}:{version.id}", "nobody/x", "x" * 64):
        with pytest.raises(ReplicateError) as unknown:
            ours.predictions.create(version=asked, input=SMALL)
        assert unknown.value.status == 404
    wrong = client(port, Customer(ada.tenant, ada.key, "es_wrong"))
    with pytest.raises(ReplicateError) as refused:
        wrong.accounts.current()
    assert refused.value.status == 401


def test_a_page_of_predictions_and_of_models(ours: Client, ada: Customer, workshop: Workshop) -> None:
    made = [ours.predictions.create(version=named(workshop), input=SMALL).id for _ in range(3)]
    with platform_role():
        assert Generation.objects.filter(tenant=ada.tenant).count() == 3
    assert [each.id for each in ours.predictions.list().results] == made[::-1]
    assert workshop.model.name in {model.name for model in ours.models.list()}
    versions = ours.models.get(named(workshop)).versions
    (version,) = versions.list().results
    schema = version.openapi_schema["components"]["schemas"]["Input"]
    assert schema["required"] == ["prompt"]
    assert versions.get(version.id).id == version.id
    assert ours.accounts.current().name == ada.tenant.name


@pytest.fixture(autouse=True)
def quick(ours: Client) -> Iterator[None]:
    yield
    ours._client.close()


LOOPBACK = ["127.0.0.0/8"]
