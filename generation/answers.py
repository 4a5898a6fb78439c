"""What the calls of this app answer, field by field. `schemas` says which call answers what."""

# Answers have fields named such as `data`, which serializers have, too; DRF tells them apart, its stubs do not.
# mypy: disable-error-code="assignment"

from typing import Any

from rest_framework import serializers

from generation.models import Generation
from moderation.categories import ACTIONS


class ErrorOfGeneration(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()


class ImageAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    index = serializers.IntegerField()
    seed = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    content_type = serializers.CharField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()
    steps_run = serializers.IntegerField()
    quality_score = serializers.FloatField(allow_null=True)
    url = serializers.CharField(help_text="For anyone who has it, for one hour.")


class QuoteOfGeneration(serializers.Serializer[Any]):
    credits = serializers.IntegerField()


class Links(serializers.Serializer[Any]):
    self = serializers.CharField()
    status = serializers.CharField()
    result = serializers.CharField()
    events = serializers.CharField()


class RouteOfGeneration(serializers.Serializer[Any]):
    category = serializers.CharField(allow_null=True)
    confidence = serializers.FloatField(allow_null=True)
    decided_by = serializers.ChoiceField(choices=["category", "tenant", "default"])
    version = serializers.CharField()


class HeldImage(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    index = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    thumbnail = serializers.CharField(help_text="Blurred beyond recognition; for anyone who has it, for one hour.")


class ReviewOfGeneration(serializers.Serializer[Any]):
    category = serializers.CharField(help_text="Why it is held.")
    expected_seconds = serializers.IntegerField(
        allow_null=True, help_text="How long decisions take lately; null: a layer has to answer first."
    )
    images = HeldImage(many=True)


class GenerationAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    task_id = serializers.UUIDField(help_text="The same as `id`.")
    object = serializers.ChoiceField(choices=["generation"])
    status = serializers.ChoiceField(choices=Generation.Status.values)
    created_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    model = serializers.CharField()
    asked_model = serializers.CharField(help_text='What was asked for: a name or "auto".')
    fallback_from = serializers.CharField(allow_null=True, help_text="The model whose place this one took.")
    route = RouteOfGeneration(allow_null=True, help_text='What "auto" decided.')
    cached = serializers.BooleanField(help_text="Not drawn for this request, but for an equal one.")
    model_version = serializers.CharField()
    prompt = serializers.CharField(allow_null=True, help_text="null where its row is damaged.")
    negative_prompt = serializers.CharField(allow_null=True)
    steps = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    cfg_scale = serializers.FloatField()
    sampler = serializers.CharField()
    seed = serializers.IntegerField()
    n = serializers.IntegerField()
    format = serializers.CharField()
    init_image = serializers.UUIDField(allow_null=True)
    mask = serializers.UUIDField(allow_null=True)
    strength = serializers.FloatField(allow_null=True)
    clip_skip = serializers.IntegerField()
    quality_target = serializers.FloatField(allow_null=True)
    min_steps = serializers.IntegerField(allow_null=True)
    metadata = serializers.DictField(child=serializers.CharField())
    quote = QuoteOfGeneration()
    credits = serializers.IntegerField(allow_null=True, help_text="What was charged, once it has ended.")
    images = ImageAnswer(many=True)
    steps_run = serializers.IntegerField()
    quality_score = serializers.FloatField(allow_null=True)
    timings = serializers.DictField(child=serializers.FloatField(allow_null=True))
    receipt = serializers.JSONField(help_text="What drew it: enough to draw it again.")
    warnings = serializers.ListField(child=serializers.CharField())
    error = ErrorOfGeneration(allow_null=True)
    review = ReviewOfGeneration(allow_null=True, help_text="What waits for the platform's staff.")
    links = Links()


class GenerationPage(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = GenerationAnswer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class TagsAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = serializers.ListField(child=serializers.CharField())


class TagInUse(serializers.Serializer[Any]):
    name = serializers.CharField()
    generations = serializers.IntegerField()


class TagPage(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = TagInUse(many=True)


class StatusAnswer(serializers.Serializer[Any]):
    task_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Generation.Status.values)
    progress = serializers.FloatField(min_value=0, max_value=1)
    queue_position = serializers.IntegerField(allow_null=True, min_value=1)
    eta_seconds = serializers.FloatField(allow_null=True, min_value=0)
    error = ErrorOfGeneration(allow_null=True)


class ResultAnswer(serializers.Serializer[Any]):
    task_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Generation.Status.values)
    images = ImageAnswer(many=True)
    credits = serializers.IntegerField(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())
    error = ErrorOfGeneration(allow_null=True)


class QuoteAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["quote"])
    quote = serializers.CharField(help_text="Send it along as `quote`.")
    credits = serializers.IntegerField()
    credits_per_image = serializers.IntegerField()
    n = serializers.IntegerField()
    model = serializers.CharField()
    model_version = serializers.CharField()
    steps = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    sampler = serializers.CharField()
    expires_at = serializers.DateTimeField()
    wait_seconds = serializers.FloatField(allow_null=True)
    route = RouteOfGeneration(allow_null=True)


class CanceledAnswer(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    task_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["canceled", "running"])
    cancel_requested = serializers.BooleanField()


class CancellationAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["cancellation"])
    canceled = serializers.ListField(child=serializers.UUIDField())
    stopping = serializers.ListField(child=serializers.UUIDField())
    has_more = serializers.BooleanField()


class TicketAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["ticket"])
    ticket = serializers.CharField()
    generation_id = serializers.UUIDField()
    expires_at = serializers.DateTimeField()


class ShareAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["share"])
    id = serializers.UUIDField()
    image_id = serializers.UUIDField()
    url = serializers.CharField(help_text="The public page. `/picture` after it is the file.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True, help_text="By you, or when the image was taken down.")


class SharesAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = ShareAnswer(many=True)


class ComplaintAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["complaint"])
    id = serializers.UUIDField()
    receipt = serializers.CharField(help_text="For whoever complained.")
    image_id = serializers.UUIDField()
    generation_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["open", "resolved"])
    outcome = serializers.ChoiceField(choices=["removed", "kept"], allow_null=True)
    created_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)


class InputAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["input"])
    id = serializers.UUIDField(help_text="For `init_image` or `mask`.")
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    sha256 = serializers.CharField()


class UploadAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["upload"])
    id = serializers.UUIDField(help_text="For `upload` of POST /v1/inputs.")
    url = serializers.CharField(help_text="POST a form there: `fields`, and then `file`.")
    fields = serializers.DictField(child=serializers.CharField())
    most_bytes = serializers.IntegerField()
    expires_at = serializers.DateTimeField()


class ModelAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    version = serializers.CharField()
    license = serializers.CharField()
    default = serializers.BooleanField()
    native_size = serializers.IntegerField(allow_null=True)
    prompt_prefix = serializers.CharField(help_text="Stands before every prompt.")
    categories = serializers.ListField(child=serializers.CharField(), help_text="Of which prompts `auto` takes it.")
    limits = serializers.DictField(child=serializers.IntegerField(allow_null=True))
    defaults = serializers.DictField(child=serializers.JSONField())
    sample = serializers.CharField(required=False, help_text="Where a sheet of its pictures is, if there is one.")
    vocabulary = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), required=False,
        help_text="What the starter model was taught, by category.",
    )  # fmt: skip


class ModelsAnswer(serializers.Serializer[Any]):
    data = ModelAnswer(many=True)


class SamplerAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    model_calls_at_20_steps = serializers.IntegerField()


class SamplersAnswer(serializers.Serializer[Any]):
    data = SamplerAnswer(many=True)


class AppealAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["appeal"])
    id = serializers.UUIDField()
    generation_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["open", "granted", "denied"])
    created_at = serializers.DateTimeField()


class AppealsAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["list"])
    data = AppealAnswer(many=True)


class ModerationResult(serializers.Serializer[Any]):
    flagged = serializers.BooleanField(help_text="Whether it would be held or blocked.")
    action = serializers.ChoiceField(choices=ACTIONS)
    categories = serializers.DictField(child=serializers.BooleanField())
    category_scores = serializers.DictField(child=serializers.FloatField(min_value=0, max_value=1))


class ModerationAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["moderation"])
    results = ModerationResult(many=True)


class ActionsOfCategory(serializers.Serializer[Any]):
    text = serializers.ChoiceField(choices=ACTIONS)
    image = serializers.ChoiceField(choices=ACTIONS)


class EffectivePolicy(serializers.Serializer[Any]):
    platform_version = serializers.IntegerField()
    platform_shadow = serializers.BooleanField(help_text="Whether it only records what it would do.")
    categories = serializers.DictField(child=ActionsOfCategory())
    visible_mark = serializers.BooleanField()
    review_instead_of_block = serializers.BooleanField(help_text="False while the plan does not have it.")


class WouldHave(serializers.Serializer[Any]):
    category = serializers.CharField()
    action = serializers.ChoiceField(choices=["review", "block"])
    generations = serializers.IntegerField()


class PolicyAnswer(serializers.Serializer[Any]):
    object = serializers.ChoiceField(choices=["moderation_policy"])
    key = serializers.CharField(allow_null=True)
    categories = serializers.DictField(child=serializers.ChoiceField(choices=["review", "block"]))
    terms = serializers.ListField(child=serializers.CharField())
    visible_mark = serializers.BooleanField()
    review_instead_of_block = serializers.BooleanField()
    shadow = serializers.BooleanField(help_text="Its categories and terms are only tried.")
    would_have = WouldHave(many=True, help_text="What is tried, of the account and of its keys, in the last 7 days.")
    plan_allows = serializers.DictField(
        child=serializers.BooleanField(), help_text="own_word_lists: `terms`; review_instead_of_block."
    )
    effective = EffectivePolicy()


class RouteAnswer(serializers.Serializer[Any]):
    category = serializers.CharField()
    model = serializers.CharField(allow_null=True, help_text="null: the default model.")
    own = serializers.BooleanField(help_text="Whether you set it.")


class RoutesAnswer(serializers.Serializer[Any]):
    data = RouteAnswer(many=True)
