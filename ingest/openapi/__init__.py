"""The API's own description: OpenAPI 3.1, made from the types that read requests.

`table*.py` say what there is, `shapes.py` what answers look like, `document.py` puts them
together, `reading.py` renders the page for people, `pages.py` serves all of it.
"""
