from django.urls import path

from generation import (
    api,
    appeals_api,
    blurring,
    cancel_api,
    catalogue,
    console,
    derived_api,
    first_steps,
    inputs_api,
    moderation_policy_api,
    moderations_api,
    playground,
    provenance_api,
    quotes,
    routes_api,
    streams,
    tickets,
)
from generation.compat import urls as compat
from generation.data_policy_api import DataPolicyView
from generation.media import media
from generation.search import Search

urlpatterns = [
    *console.urlpatterns,
    *playground.urlpatterns,
    *first_steps.urlpatterns,
    *catalogue.urlpatterns,
    *routes_api.urlpatterns,
    *compat.urlpatterns,
    path("v1/generations", api.GenerationList.as_view(), name="generations"),
    path("v1/generations/<uuid:generation_id>", api.GenerationDetail.as_view(), name="generation"),
    path("v1/generations/<uuid:generation_id>/cancel", cancel_api.CancelOne.as_view(), name="generation-cancel"),
    path("v1/generations/search", Search.as_view(), name="generations-search"),
    path("v1/generations/cancel", cancel_api.CancelMany.as_view(), name="generations-cancel"),
    path("v1/generations/status/<uuid:generation_id>", api.GenerationStatus.as_view(), name="generation-status"),
    path("v1/generations/result/<uuid:generation_id>", api.GenerationResult.as_view(), name="generation-result"),
    path("v1/generations/<uuid:generation_id>/tickets", tickets.TicketList.as_view(), name="generation-tickets"),
    path("v1/generations/<uuid:generation_id>/events", streams.GenerationEvents.as_view(), name="generation-events"),
    path("v1/events", streams.AllEvents.as_view(), name="events"),
    path("v1/uploads", inputs_api.UploadList.as_view(), name="uploads"),
    path("v1/inputs", inputs_api.InputList.as_view(), name="inputs"),
    path("v1/images/<uuid:image_id>/variations", derived_api.Variations.as_view(), name="image-variations"),
    path("v1/images/<uuid:image_id>/upscale", derived_api.Upscale.as_view(), name="image-upscale"),
    path("v1/quotes", quotes.QuoteList.as_view(), name="quotes"),
    path("v1/provenance", provenance_api.ProvenanceCheck.as_view(), name="provenance"),
    path("v1/provenance/anchors", provenance_api.anchors, name="provenance-anchors"),
    path("v1/data-policy", DataPolicyView.as_view(), name="data-policy"),
    path("v1/generations/<uuid:generation_id>/appeals", appeals_api.Appeals.as_view(), name="generation-appeals"),
    path("v1/moderations", moderations_api.Moderations.as_view(), name="moderations"),
    path("v1/moderation-policy", moderation_policy_api.AccountPolicy.as_view(), name="moderation-policy"),
    path(
        "v1/moderation-policy/keys/<str:public_id>",
        moderation_policy_api.KeyPolicy.as_view(),
        name="key-moderation-policy",
    ),
    path("media/blurred/<str:token>", blurring.blurred, name="media-blurred"),
    path("media/<str:token>", media, name="media"),
]
