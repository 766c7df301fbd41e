"""The design that most people start from, written fairly: what the ratios compare with.

FastAPI on uvicorn (uvloop, httptools), one redis-py call for each request; a worker that takes
one message at a time and stores it with an INSERT; redis-py Pub/Sub to Starlette's WebSockets.
"""
