// Shows the API's description; "Authorize" takes an access token. Nothing is loaded from elsewhere.
"use strict";

const place = document.getElementById("reference");

window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.openapi,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  validatorUrl: null,
  requestSnippetsEnabled: true,
});
