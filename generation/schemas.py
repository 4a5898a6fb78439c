"""What each call of this app takes and answers, for `/openapi.json`."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from easel.openapi import Document, add_paths, describe, problem
from easel.pages import MOST, USUAL
from generation import (
    api,
    appeals_api,
    cancel_api,
    catalogue,
    data_policy_api,
    derived_api,
    inputs_api,
    moderation_policy_api,
    moderations_api,
    provenance_api,
    quotes,
    routes_api,
    search,
    shares_api,
    streams,
    tags,
    tickets,
)
from generation.answers import (
    AppealAnswer,
    AppealsAnswer,
    CanceledAnswer,
    CancellationAnswer,
    ComplaintAnswer,
    GenerationAnswer,
    GenerationPage,
    InputAnswer,
    ModelsAnswer,
    ModerationAnswer,
    PolicyAnswer,
    QuoteAnswer,
    ResultAnswer,
    RouteAnswer,
    RoutesAnswer,
    SamplersAnswer,
    ShareAnswer,
    SharesAnswer,
    StatusAnswer,
    TagPage,
    TagsAnswer,
    TicketAnswer,
    UploadAnswer,
)
from generation.models import Generation
from generation.request import GenerationRequest
from generation.spec import LONGEST_PROMPT

UNTIL_DONE: Final = OpenApiParameter(
    "Prefer", str, OpenApiParameter.HEADER, description="`wait=N`: hold the answer until it has ended, N ≤ 60 seconds."
)
LIMIT: Final = OpenApiParameter("limit", int, description=f"1 to {MOST}, {USUAL} if left out.")
CURSOR: Final = OpenApiParameter("cursor", str, description="`next_cursor` of the page before.")
LAST_EVENT: Final = OpenApiParameter(
    "Last-Event-ID", str, OpenApiParameter.HEADER, description="The last event that was seen; what came after follows."
)


class TextsSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "generation.moderations_api.Texts"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Document:
        text = {"type": "string", "maxLength": LONGEST_PROMPT}
        most = moderations_api.MOST_INPUTS
        return {"oneOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": most}]}


class GivenPictureSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "generation.given.GivenPicture"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> Document:
        return {"type": "string", "description": "Base64 of a PNG, JPEG or WebP file, or the id of an image of yours."}


EVENTS: Final = OpenApiResponse(
    {"type": "string"},
    description="Server-Sent Events: `status`, `progress`, `preview`, and `done` at the end; `end` with a `reason` "
    "where the stream stops before. A comment every 15 seconds keeps it open.",
)
FILE: Final[Mapping[Any, Any]] = {
    (200, "application/json"): ResultAnswer,
    (200, "image/*"): OpenApiTypes.BINARY,
    (202, "application/json"): OpenApiResponse(ResultAnswer, description="Not finished yet; see Retry-After."),
}
FIRST_PICTURE: Final = OpenApiExample("A first picture", {"prompt": "a red apple", "steps": 20}, request_only=True)
KEY: Final = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, description="The same request again makes nothing new, for 24 h."
)

describe(
    api.GenerationList, "post", takes=GenerationRequest,
    answers={202: OpenApiResponse(GenerationAnswer, description="Accepted."), 200: GenerationAnswer},
    summary="Ask for pictures", also=(402, 404, 409, 422), parameters=[KEY, UNTIL_DONE], examples=[FIRST_PICTURE],
    name="createGeneration", tag="generations",
)  # fmt: skip
describe(
    api.GenerationList, "get", answers={200: GenerationPage}, summary="A page of generations, newest first",
    also=(400,), name="listGenerations", tag="generations",
    parameters=[
        OpenApiParameter("status", str, enum=Generation.Status.values), OpenApiParameter("model", str),
        OpenApiParameter("tag", str), LIMIT, CURSOR,
    ],
)  # fmt: skip
describe(
    api.GenerationDetail, "get", answers={200: GenerationAnswer}, summary="One generation",
    parameters=[UNTIL_DONE], name="getGeneration", tag="generations",
)  # fmt: skip
describe(
    api.GenerationDetail, "delete", answers={204: None}, summary="Erase its words and pictures",
    name="deleteGeneration", tag="generations",
)  # fmt: skip
describe(
    api.GenerationStatus, "get", answers={200: StatusAnswer}, summary="How far it is",
    parameters=[UNTIL_DONE], name="getGenerationStatus", tag="generations",
)  # fmt: skip
describe(
    api.GenerationResult, "get", answers=FILE, summary="The pictures, or the file itself", name="getGenerationResult",
    parameters=[UNTIL_DONE, OpenApiParameter("index", int, description="Which picture, for `Accept: image/*`.")],
    tag="generations",
)  # fmt: skip
describe(
    cancel_api.CancelOne, "post", answers={200: CanceledAnswer, 202: CanceledAnswer}, also=(409,),
    summary="Stop it within a step", name="cancelGeneration", tag="generations",
)  # fmt: skip
describe(
    cancel_api.CancelMany, "post", takes=cancel_api.CancelRequest, answers={200: CancellationAnswer},
    summary="Stop many", name="cancelGenerations", tag="generations",
)  # fmt: skip
describe(
    derived_api.Variations, "post", takes=derived_api.VariationsRequest,
    answers={202: OpenApiResponse(GenerationAnswer, description="Accepted."), 200: GenerationAnswer},
    summary="Pictures like one of yours", also=(402, 404, 409, 422), parameters=[KEY, UNTIL_DONE], name="varyImage",
    tag="generations",
)  # fmt: skip
describe(
    derived_api.Upscale, "post", takes=derived_api.UpscaleRequest,
    answers={202: OpenApiResponse(GenerationAnswer, description="Accepted."), 200: GenerationAnswer},
    summary="The same picture, larger", also=(402, 404, 409, 422), parameters=[KEY, UNTIL_DONE], name="upscaleImage",
    tag="generations",
)  # fmt: skip
describe(
    tickets.TicketList, "post", answers={201: TicketAnswer}, summary="A stream ticket for a browser",
    name="createStreamTicket", tag="events",
)  # fmt: skip
describe(
    streams.GenerationEvents, "get", answers={(200, "text/event-stream"): EVENTS},
    summary="Follow one generation", name="streamGenerationEvents", tag="events",
    parameters=[LAST_EVENT, OpenApiParameter("ticket", str, description="Instead of a token, for browsers.")],
)  # fmt: skip
describe(
    streams.AllEvents, "get", answers={(200, "text/event-stream"): EVENTS},
    summary="Follow all generations", name="streamEvents", parameters=[LAST_EVENT], tag="events",
)  # fmt: skip
describe(
    quotes.QuoteList, "post", takes=quotes.QuoteRequest, answers={200: QuoteAnswer},
    summary="What it would cost, and a promise of it", name="createQuote", tag="generations",
)  # fmt: skip
describe(
    inputs_api.InputList, "post", answers={201: InputAnswer}, summary="Keep a picture to start from",
    takes={
        "image/*": OpenApiTypes.BINARY,
        "multipart/form-data": {
            "type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}},
        },
        "application/json": inputs_api.InputForm,
    },
    name="createInput", tag="generations",
)  # fmt: skip
describe(
    inputs_api.UploadList, "post", answers={201: UploadAnswer}, summary="Where to upload a file, past the API",
    also=(404,), name="createUpload", tag="generations",
)  # fmt: skip
describe(
    catalogue.ModelList, "get", answers={200: ModelsAnswer}, summary="The models you may name",
    name="listModels", tag="models",
)  # fmt: skip
describe(
    catalogue.ModelSample, "get", answers={(200, "image/*"): OpenApiTypes.BINARY}, summary="What a model draws",
    name="getModelSample", tag="models",
)  # fmt: skip
describe(
    catalogue.SamplerList, "get", answers={200: SamplersAnswer}, summary="The samplers' names",
    name="listSamplers", tag="models",
)  # fmt: skip
describe(
    tags.TagList, "get", answers={200: TagPage}, summary="The tags in use, the most used first", name="listTags",
    tag="generations",
)  # fmt: skip
describe(
    tags.GenerationTags, "get", answers={200: TagsAnswer}, summary="The tags of one generation",
    name="getGenerationTags", tag="generations",
)  # fmt: skip
describe(
    tags.GenerationTags, "put", takes=tags.TagForm, answers={200: TagsAnswer},
    summary="Give a generation these tags and no others", name="setGenerationTags", tag="generations",
)  # fmt: skip
describe(
    search.Search, "get", answers={200: OpenApiTypes.OBJECT}, summary="Find generations by words of their prompts",
    name="searchGenerations", tag="generations",
    parameters=[OpenApiParameter("q", str, required=True), OpenApiParameter("limit", int)],
)  # fmt: skip
describe(
    shares_api.ShareList, "get", answers={200: SharesAnswer}, also=(404,), summary="The public links of an image",
    name="listShares", tag="sharing",
)  # fmt: skip
describe(
    shares_api.ShareList, "post", takes=shares_api.ShareForm, answers={201: ShareAnswer}, also=(404,),
    summary="A public link to an image", name="createShare", tag="sharing",
)  # fmt: skip
describe(
    shares_api.ShareDetail, "delete", answers={204: None}, also=(404,), summary="Revoke a public link",
    name="revokeShare", tag="sharing",
)  # fmt: skip
describe(
    shares_api.ComplaintList, "post", takes=shares_api.ComplaintForm, answers={201: ComplaintAnswer}, also=(404,),
    summary="Complain about an image", name="createComplaint", tag="sharing",
)  # fmt: skip
describe(
    shares_api.ComplaintDetail, "get", answers={200: ComplaintAnswer}, also=(404,), summary="What came of a complaint",
    name="getComplaint", tag="sharing",
)  # fmt: skip
describe(
    routes_api.RouteList, "get", answers={200: RoutesAnswer}, summary='Which models "auto" takes',
    name="listRoutes", tag="models",
)  # fmt: skip
describe(
    routes_api.RouteDetail, "put", takes=routes_api.RouteForm, answers={200: RouteAnswer}, also=(404,),
    summary="Send a category to a model of your choice", name="setRoute", tag="models",
)  # fmt: skip
describe(
    routes_api.RouteDetail, "delete", answers={200: RouteAnswer}, also=(404,),
    summary="Leave a category to the platform again", name="resetRoute", tag="models",
)  # fmt: skip
describe(
    provenance_api.ProvenanceCheck, "post", takes={"image/*": OpenApiTypes.BINARY},
    answers={200: OpenApiTypes.OBJECT}, summary="Where a file comes from", name="checkProvenance", tag="provenance",
)  # fmt: skip
describe(
    data_policy_api.DataPolicyView, "get", answers={200: OpenApiTypes.OBJECT}, summary="What you ask for your data",
    name="getDataPolicy", tag="account",
)  # fmt: skip
describe(
    data_policy_api.DataPolicyView, "patch", takes=data_policy_api.Wishes, answers={200: OpenApiTypes.OBJECT},
    summary="Change what you ask for your data", name="changeDataPolicy", tag="account",
)  # fmt: skip


describe(
    appeals_api.Appeals, "post", takes=appeals_api.AppealRequest, answers={201: AppealAnswer}, also=(409,),
    summary="Ask a person about what was rejected, once", name="createAppeal", tag="moderation",
)  # fmt: skip
describe(
    appeals_api.Appeals, "get", answers={200: AppealsAnswer}, summary="How the appeal stands", name="listAppeals",
    tag="moderation",
)  # fmt: skip
describe(
    moderations_api.Moderations, "post", takes=moderations_api.ModerationRequest, answers={200: ModerationAnswer},
    summary="What moderation says of texts or a picture", name="createModeration", tag="moderation",
)  # fmt: skip
describe(
    moderation_policy_api.AccountPolicy, "get", answers={200: PolicyAnswer}, summary="Your moderation policy",
    name="getModerationPolicy", tag="moderation",
)  # fmt: skip
describe(
    moderation_policy_api.AccountPolicy, "patch", takes=moderation_policy_api.PolicyRequest,
    answers={200: PolicyAnswer}, summary="Make moderation stricter", name="changeModerationPolicy", tag="moderation",
)  # fmt: skip
describe(
    moderation_policy_api.KeyPolicy, "get", answers={200: PolicyAnswer}, summary="A key's moderation policy",
    name="getKeyModerationPolicy", tag="moderation",
)  # fmt: skip
describe(
    moderation_policy_api.KeyPolicy, "patch", takes=moderation_policy_api.PolicyRequest,
    answers={200: PolicyAnswer}, summary="Make moderation stricter for a key", name="changeKeyModerationPolicy",
    tag="moderation",
)  # fmt: skip


def _pictures() -> dict[str, Any]:
    token = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
    binary = {"image/*": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "/media/{token}": {
            "get": {
                "operationId": "getPicture",
                "tags": ["generations"],
                "summary": "A picture; the token in the address is the permission",
                "parameters": [token],
                "security": [],
                "responses": {
                    "200": {"description": "The file.", "content": binary},
                    "206": {"description": "The range that was asked for.", "content": binary},
                    "302": {"description": "It is at the store."},
                    "304": {"description": "It is the one that If-None-Match names."},
                    **{str(status): problem(status) for status in (400, 404, 416, 500, 503)},
                },
            }
        },
        "/media/blurred/{token}": {
            "get": {
                "operationId": "getBlurredPicture",
                "tags": ["moderation"],
                "summary": "What may be seen of a picture that is held; the token in the address is the permission",
                "parameters": [token],
                "security": [],
                "responses": {
                    "200": {"description": "A small file.", "content": binary},
                    **{str(status): problem(status) for status in (400, 404, 500, 503)},
                },
            }
        },
        "/v1/provenance/anchors": {
            "get": {
                "operationId": "getProvenanceAnchors",
                "tags": ["provenance"],
                "summary": "The root certificates of our C2PA signatures",
                "security": [],
                "responses": {
                    "200": {
                        "description": "PEM.",
                        "content": {"application/x-pem-file": {"schema": {"type": "string"}}},
                    },
                    "400": problem(400),
                    "500": problem(500),
                },
            }
        },
    }


add_paths(_pictures)
