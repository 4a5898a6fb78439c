"""Where each dialect is reached. The words after `/compat/<dialect>` are the dialect's own."""

from django.urls import path

from generation.compat.a1111 import drawing, jobs, lists, options
from generation.compat.openai import images, moderations
from generation.compat.openai import models as openai_models
from generation.compat.replicate import account, predictions
from generation.compat.replicate import models as replicate_models
from generation.compat.views import page

_OPENAI = "compat/openai/v1"
_A1111 = "compat/a1111/sdapi/v1"
_REPLICATE = "compat/replicate/v1"
_MODEL = f"{_REPLICATE}/models/<str:owner>/<str:name>"
_PREDICTION = f"{_REPLICATE}/predictions/<uuid:generation_id>"
_EMPTY = (
    "latent-upscale-modes", "sd-vae", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "loras",
    "script-info",
)  # fmt: skip

urlpatterns = [
    path(f"{_OPENAI}/images/generations", images.Generations.as_view(), name="openai-generations"),
    path(f"{_OPENAI}/images/edits", images.Edits.as_view(), name="openai-edits"),
    path(f"{_OPENAI}/models", page(openai_models.listed).as_view(), name="openai-models"),
    path(f"{_OPENAI}/models/<str:name>", page(openai_models.one).as_view(), name="openai-model"),
    path(f"{_OPENAI}/moderations", moderations.Moderations.as_view(), name="openai-moderations"),
    path(f"{_A1111}/txt2img", drawing.TextToImage.as_view(), name="a1111-txt2img"),
    path(f"{_A1111}/img2img", drawing.ImageToImage.as_view(), name="a1111-img2img"),
    path(f"{_A1111}/extra-single-image", drawing.ExtraSingleImage.as_view(), name="a1111-extra-single-image"),
    path(f"{_A1111}/progress", jobs.Progress.as_view(), name="a1111-progress"),
    path(f"{_A1111}/interrupt", jobs.Interrupt.as_view(), name="a1111-interrupt"),
    path(f"{_A1111}/options", options.Options.as_view(), name="a1111-options"),
    path(f"{_A1111}/sd-models", page(lists.sd_models).as_view(), name="a1111-sd-models"),
    path(f"{_A1111}/samplers", page(lists.samplers).as_view(), name="a1111-samplers"),
    path(f"{_A1111}/schedulers", page(lists.schedulers).as_view(), name="a1111-schedulers"),
    path(f"{_A1111}/upscalers", page(lists.upscalers).as_view(), name="a1111-upscalers"),
    path(f"{_A1111}/scripts", page(lists.scripts).as_view(), name="a1111-scripts"),
    path(f"{_A1111}/embeddings", page(lists.embeddings).as_view(), name="a1111-embeddings"),
    path(f"{_A1111}/cmd-flags", page(lists.cmd_flags).as_view(), name="a1111-cmd-flags"),
    path(f"{_A1111}/refresh-checkpoints", lists.Refresh.as_view(), name="a1111-refresh-checkpoints"),
    *(path(f"{_A1111}/{name}", page(lists.nothing).as_view(), name=f"a1111-{name}") for name in _EMPTY),
    path(f"{_REPLICATE}/account", page(account.account, scope="account:read").as_view(), name="replicate-account"),
    path(f"{_REPLICATE}/files", account.FileList.as_view(), name="replicate-files"),
    path(f"{_REPLICATE}/files/<uuid:file_id>", account.FileDetail.as_view(), name="replicate-file"),
    path(f"{_REPLICATE}/models", page(replicate_models.listed).as_view(), name="replicate-models"),
    path(_MODEL, page(replicate_models.one).as_view(), name="replicate-model"),
    path(f"{_MODEL}/versions", page(replicate_models.versions).as_view(), name="replicate-versions"),
    path(f"{_MODEL}/versions/<str:version_id>", page(replicate_models.version).as_view(), name="replicate-version"),
    path(f"{_MODEL}/predictions", predictions.ModelPredictions.as_view(), name="replicate-model-predictions"),
    path(f"{_REPLICATE}/predictions", predictions.PredictionList.as_view(), name="replicate-predictions"),
    path(_PREDICTION, predictions.PredictionDetail.as_view(), name="replicate-prediction"),
    path(f"{_PREDICTION}/cancel", predictions.CancelPrediction.as_view(), name="replicate-cancel"),
    path(f"{_PREDICTION}/stream", predictions.PredictionStream.as_view(), name="replicate-stream"),
    path(
        f"{_REPLICATE}/webhooks/default/secret",
        page(account.webhook_secret, scope="webhooks:write").as_view(),
        name="replicate-webhook-secret",
    ),
]
