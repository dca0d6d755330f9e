// A file, not a script in the page: the page's security policy allows no scripts inside it.
const element = document.getElementById("swagger-ui");
window.ui = SwaggerUIBundle({
  domNode: element,
  url: element.dataset.openapi,
  deepLinking: true,
  validatorUrl: null,
});
