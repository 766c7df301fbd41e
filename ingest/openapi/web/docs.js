// Swagger UI on this host's own document; nothing is asked of anybody else.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  // Its default would send the document to a validator on the internet.
  validatorUrl: null,
});
