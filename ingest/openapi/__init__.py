"""The API's own description: OpenAPI 3.1, made from the types that read requests.

`tables/` says what there is, `shapes/` what answers look like, `dated.py` of which day the examples
are, `document.py` puts them together, `pages.py` serves it with Swagger UI.
"""
