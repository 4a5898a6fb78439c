"""The `webuiapi` package, unmodified, draws, changes and enlarges pictures here; what it stops and sets is its own."""

import io
import json
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest
import webuiapi
from PIL import Image as Pictures

from easel import __version__
from easel.database import platform_role
from easel.storage import storage
from generation.compat.a1111 import options
from generation.models import Input, Model
from tests.cast import Customer
from tests.compat.conftest import another_key, drawing, of, soon, unfinished
from tests.compat.test_openai_client import preview
from tests.generation.conftest import Workshop, ended, make_workshop
from tests.stub_engine import StubEngine


def client(port: int, customer: Customer, **options: Any) -> webuiapi.WebUIApi:
    return webuiapi.WebUIApi(
        baseurl=f"http://127.0.0.1:{port}/compat/a1111/sdapi/v1",
        username=customer.key.public_id,
        password=customer.secret,
        **options,
    )


@pytest.fixture
def ours(port: int, ada: Customer, workshop: Workshop) -> webuiapi.WebUIApi:
    made = client(port, ada)
    made.util_set_model(title_of(workshop))
    return made


def title_of(workshop: Workshop) -> str:
    """What this client asks for by anything else is the model whose title looks most like it."""
    return options.title(workshop.model.name, workshop.model.version)


def red(size: tuple[int, int] = (64, 64)) -> Pictures.Image:
    return Pictures.new("RGB", size, "red")


@pytest.mark.usefixtures("studio")
def test_a_picture_is_drawn(ours: webuiapi.WebUIApi, ada: Customer, workshop: Workshop) -> None:
    drawn = ours.txt2img(
        prompt="a red apple", negative_prompt="a pear", seed=40, steps=3, width=64, height=128, batch_size=2, n_iter=2,
        sampler_name="DPM++ 2M", scheduler="Karras", cfg_scale=5,
    )  # fmt: skip
    assert [(image.size, image.getpixel((0, 0))) for image in drawn.images] == [
        ((64, 128), (shade,) * 3) for shade in (40, 41, 42, 43)
    ]
    assert (drawn.info["seed"], drawn.info["all_seeds"], drawn.info["prompt"]) == (40, [40, 41, 42, 43], "a red apple")
    assert drawn.info["infotexts"][1] == (
        "a red apple\nNegative prompt: a pear\nSteps: 3, Sampler: DPM++ 2M Karras, CFG scale: 5, Seed: 41, "
        f"Size: 64x128, Model hash: 5555555555, Model: {workshop.model.name}, Version: Easel {__version__}"
    )
    assert drawn.parameters["sampler_name"] == "DPM++ 2M"
    (made,) = of(ada)
    assert (made.sampler, made.n, made.model.name, made.metadata) == (
        "DPM++ 2M Karras", 4, workshop.model.name, {"compat": "a1111"},
    )  # fmt: skip


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize("schedule", ["karras", "Karras", "Exponential"])
def test_a_schedule_in_the_samplers_name_is_not_added_again(
    ours: webuiapi.WebUIApi, ada: Customer, schedule: str
) -> None:
    ours.txt2img(prompt="x", width=64, height=64, steps=1, sampler_name="DPM++ 2M Karras", scheduler=schedule)
    (made,) = of(ada)
    assert made.sampler == "DPM++ 2M Karras"


@pytest.mark.usefixtures("studio")
def test_a_picture_is_changed_where_the_mask_says(ours: webuiapi.WebUIApi, ada: Customer) -> None:
    mask = Pictures.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    changed = ours.img2img(
        images=[red()], mask_image=mask, prompt="x", steps=4, denoising_strength=0.5, seed=7, width=64, height=64,
        inpaint_full_res=False, inpainting_mask_invert=1,
    )  # fmt: skip
    assert changed.image.getpixel((0, 0)) == (7, 7, 7)
    (made,) = of(ada)
    assert made.strength == 0.5
    assert "Denoising strength: 0.5" in changed.info["infotexts"][0]
    assert redrawn_by(ada) == (BLACK, WHITE)


BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def redrawn_by(customer: Customer) -> tuple[Any, Any]:
    """The left and the right edge of the mask that the newest generation kept: white is drawn anew."""
    with platform_role():
        kept = Input.objects.get(id=of(customer)[0].mask_id)
    mask = Pictures.open(io.BytesIO(storage().get(kept.object_key)))
    return mask.getpixel((0, 0)), mask.getpixel((63, 0))


@pytest.mark.usefixtures("studio")
@pytest.mark.parametrize(
    ("left", "right", "invert", "redrawn"),
    [
        ((0, 0, 0, 255), (0, 0, 0, 0), 0, (WHITE, BLACK)),
        ((0, 0, 0, 255), (0, 0, 0, 0), 1, (BLACK, WHITE)),
        ((0, 0, 0, 129), (255, 255, 255, 128), 0, (WHITE, BLACK)),
        ((0, 0, 0, 255), (255, 255, 255, 255), 0, (BLACK, WHITE)),
    ],
    ids=["alpha", "inverted", "half transparent", "opaque"],
)
def test_a_mask_with_transparency_is_redrawn_where_it_is_opaque(
    ours: webuiapi.WebUIApi, ada: Customer, left: Any, right: Any, invert: int, redrawn: tuple[Any, Any]
) -> None:
    mask = Pictures.new("RGBA", (64, 64), right)
    mask.paste(left, (0, 0, 32, 64))
    ours.img2img(
        images=[red()], mask_image=mask, prompt="x", steps=2, width=64, height=64, inpaint_full_res=False,
        inpainting_mask_invert=invert,
    )  # fmt: skip
    assert redrawn_by(ada) == redrawn


@pytest.mark.usefixtures("studio")
def test_a_mask_of_sixteen_bits_keeps_its_shades(ours: webuiapi.WebUIApi, ada: Customer) -> None:
    mask = Pictures.new("I;16", (64, 64), 257 * 3)
    mask.paste(257 * 200, (0, 0, 32, 64))
    ours.img2img(
        images=[red()], mask_image=mask, prompt="x", steps=2, width=64, height=64, inpaint_full_res=False,
        inpainting_mask_invert=0,
    )  # fmt: skip
    assert redrawn_by(ada) == ((200,) * 3, (3,) * 3)


@pytest.mark.usefixtures("studio")
def test_what_their_schema_sends_along_with_a_mask_is_passed_over(ours: webuiapi.WebUIApi, ada: Customer) -> None:
    picture = webuiapi.raw_b64_img(red())
    usual = {"mask_blur": 4, "mask_blur_x": 4, "mask_blur_y": 4, "mask_round": True, "inpaint_full_res_padding": 32}
    payload = {"prompt": "x", "steps": 2, "width": 64, "height": 64, "init_images": [picture], "mask": picture}
    answer = ours.session.post(f"{ours.baseurl}/img2img", json={**payload, **usual, "inpaint_full_res": False})
    assert answer.status_code == 200, answer.text
    answer = ours.session.post(f"{ours.baseurl}/img2img", json={**payload, **usual, "inpaint_full_res": True})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "inpaint_full_res"])


@pytest.mark.usefixtures("studio")
def test_a_picture_is_enlarged(ours: webuiapi.WebUIApi) -> None:
    assert ours.extra_single_image(red(), upscaler_1="Easel", upscaling_resize=1.5).image.size == (96, 96)
    wide = ours.extra_single_image(
        red((64, 128)), upscaler_1="Easel", resize_mode=1, upscaling_resize_w=128, upscaling_resize_h=256
    )
    assert wide.image.size == (128, 256)
    skewed = {"resize_mode": 1, "upscaling_resize_w": 128, "upscaling_resize_h": 64}
    huge = {**skewed, "upscaling_resize_w": 10**400}
    for wrong in ({"upscaler_1": "R-ESRGAN 4x+"}, {"upscaling_resize": 99}, {"gfpgan_visibility": 1}, skewed, huge):
        with pytest.raises(RuntimeError) as refused:
            ours.extra_single_image(red(), **{"upscaler_1": "Easel", **wrong})
        assert refused.value.args[0] == 422


REFUSED = {
    "enable_hr": True, "restore_faces": True, "tiling": True, "styles": ["cinematic"], "subseed_strength": 0.5,
    "s_churn": 2, "script_name": "x/y/z plot", "alwayson_scripts": {"ControlNet": {"args": []}}, "batch_size": 9,
    "n_iter": 0, "sampler_name": "DPM fast", "scheduler": "align_your_steps", "steps": 0, "prompt": "<lora:x:1> a cat",
    "seed": -2, "width": 65, "override_settings": {"sd_vae": "x"}, "eta": 0.5, "refiner_checkpoint": "x",
    "\u00b2": True,
}  # fmt: skip


@pytest.mark.parametrize("field", REFUSED)
def test_what_cannot_be_done_is_refused_by_name(ours: webuiapi.WebUIApi, field: str) -> None:
    payload = {"prompt": "x", "width": 64, "height": 64, field: REFUSED[field]}
    answer = ours.session.post(f"{ours.baseurl}/txt2img", json=payload)
    assert answer.status_code == 422, answer.text
    (place, *_) = answer.json()["detail"]
    named = {"scheduler": "sampler_name"}.get(field, field)
    assert place["loc"][:2] == ["body", named]
    assert set(place) == {"loc", "msg", "type"}


def test_errors_have_the_dialects_form(port: int, ada: Customer, ours: webuiapi.WebUIApi, workshop: Workshop) -> None:
    stranger = client(port, Customer(ada.tenant, ada.key, "es_wrong"))
    answer = stranger.session.get(f"{stranger.baseurl}/options")
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="easel"')
    assert isinstance(answer.json()["detail"], str)
    with pytest.raises(RuntimeError) as refused:
        stranger.txt2img(prompt="x")
    assert refused.value.args[0] == 401
    for path, status in (("interrogate", 404), ("options", 405)):
        answer = ours.session.delete(f"{ours.baseurl}/{path}")
        assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (status, True)


@pytest.mark.usefixtures("rehearsing")
@pytest.mark.parametrize(
    ("asked", "status"),
    [("rate_limited", 429), ("content_rejected", 422), ("insufficient_credits", 402), ("overloaded", 503),
     ("rejected", 422), ("failed", 500), ("model_unavailable", 503)],
)  # fmt: skip
def test_endings_and_limits_are_told(port: int, ada: Customer, workshop: Workshop, asked: str, status: int) -> None:
    rehearsal = client(port, another_key(ada, mode="test"))
    rehearsal.util_set_model(title_of(workshop))
    with pytest.raises(RuntimeError) as refused:
        rehearsal.txt2img(prompt=f"test:{asked}", width=64, height=64)
    assert refused.value.args[0] == status
    assert isinstance(json.loads(refused.value.args[1])["detail"], str)


def test_options_are_of_one_key(port: int, ada: Customer, ours: webuiapi.WebUIApi, workshop: Workshop) -> None:
    other = client(port, another_key(ada))
    mine = make_workshop("nowhere").model
    other.set_options({"sd_model_checkpoint": mine.name, "samples_format": "webp", "CLIP_stop_at_last_layers": 2})
    assert ours.util_get_current_model() == f"{workshop.model.name} [{workshop.model.version}]"
    assert ours.get_options()["samples_format"] == "png"
    with drawing(Workshop(mine), StubEngine()):
        drawn = other.txt2img(prompt="x", width=64, height=64, steps=1)
    assert drawn.image.format == "WEBP"
    (made,) = of(ada)
    assert (made.model.name, made.clip_skip) == (mine.name, 2)
    assert "Clip skip: 2" in drawn.info["infotexts"][0]
    for wrong in ({"sd_model_checkpoint": "nobody"}, {"samples_format": "avif"}, {"eta_noise_seed_delta": 31337}):
        answer = other.session.post(f"{other.baseurl}/options", json=wrong)
        assert answer.status_code == 422
    assert other.get_options()["samples_format"] == "webp"


def test_options_are_told_after_the_chosen_model_was_retired(port: int, ada: Customer) -> None:
    with platform_role():
        before = list(Model.objects.filter(tenant=None, is_default=True).values_list("id", flat=True))
    chosen = make_workshop("nowhere", digest="6" * 64)
    here = client(port, ada)
    here.util_set_model(title_of(chosen))
    default = make_workshop("nowhere", digest="7" * 64, is_default=True)
    with platform_role():
        Model.objects.filter(pk=chosen.model.pk).update(retired_at=datetime.now(UTC))
    assert here.util_get_current_model() == title_of(default)
    with platform_role():
        Model.objects.filter(pk=default.model.pk).update(is_default=False)
        Model.objects.filter(pk__in=before).update(is_default=True)


def test_what_was_told_of_the_options_can_be_changed_and_sent_back(ours: webuiapi.WebUIApi) -> None:
    told = ours.get_options()
    assert "sd_checkpoint_hash" in told
    ours.set_options({**told, "samples_format": "webp"})
    assert ours.get_options() == {**told, "samples_format": "webp"}


@pytest.mark.usefixtures("studio")
def test_settings_of_one_request_do_not_last(port: int, ada: Customer, ours: webuiapi.WebUIApi) -> None:
    drawn = ours.txt2img(prompt="x", width=64, height=64, steps=1, override_settings={"samples_format": "jpg"})
    assert drawn.image.format == "JPEG"
    assert ours.get_options()["samples_format"] == "png"


def test_progress_and_interrupt_are_of_ones_own_jobs(port: int, ada: Customer, workshop: Workshop) -> None:
    ours, others = client(port, ada), client(port, another_key(ada))
    for each in (ours, others):
        each.util_set_model(title_of(workshop))
    results: list[Any] = []
    calls = [
        Thread(target=lambda each=each: results.append(each.txt2img(prompt="x", width=64, height=64, steps=60)))
        for each in (ours, others)
    ]
    plain = workshop.submit(ada, steps=1)  # asked for in another way: not theirs to stop
    idle = ours.get_progress()
    assert (idle["progress"], idle["state"]["job_count"], idle["current_image"]) == (0.0, 0, None)
    with drawing(workshop, StubEngine(slots=3, step_seconds=0.1)):
        for call in calls:
            call.start()
        under_way = soon(lambda: (told := ours.get_progress())["progress"] > 0 and told)
        assert (under_way["state"]["job_count"], under_way["state"]["sampling_steps"]) == (1, 60)
        preview(under_way["state"]["job"], ada, b"half a picture")
        assert soon(lambda: ours.get_progress()["current_image"])
        ours.interrupt()
        soon(lambda: results, seconds=5)
        assert (results[0].images, len(of(ada))) == ([], 3)
        assert others.get_progress()["state"]["job_count"] == 1
        others.interrupt()
        for call in calls:
            call.join(20)
    assert {each.status for each in of(ada) if each.id != plain} == {"canceled"}
    assert ended(plain).status == "completed"
    assert unfinished(ada) is None


def test_what_there_is_to_choose_from(ours: webuiapi.WebUIApi, workshop: Workshop) -> None:
    assert f"{workshop.model.name} [{workshop.model.version}]" in ours.util_get_model_names()
    assert {"Euler a", "DPM++ 2M Karras"} <= set(ours.util_get_sampler_names())
    assert {"automatic", "karras"} <= set(ours.util_get_scheduler_names())
    assert [each["name"] for each in ours.get_upscalers()] == ["Easel"]
    for empty in (ours.get_loras, ours.get_sd_vae, ours.get_hypernetworks, ours.get_face_restorers,
                  ours.get_realesrgan_models, ours.get_prompt_styles, ours.get_latent_upscale_modes):  # fmt: skip
        assert empty() == []
    assert ours.get_scripts() == {"txt2img": [], "img2img": []}
    assert ours.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert ours.get_cmd_flags()["api"] is True
    ours.refresh_checkpoints()
    ours.util_wait_for_ready(check_interval=0.1)
