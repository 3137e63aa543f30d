"""The gateway: a chain of backends in front of a language model, so that no request is paid for twice.

A request passes ``cached`` (one call, whoever waits), ``retries``, ``limiter`` (how many calls run), ``budget``,
``cached.Stored`` (the answer is written while its call holds its slot), ``redaction``, ``usage`` (counts) and, for a
model that answers batches, ``batched``. All run in one event loop in one thread; ``gateway`` starts it and passes in
the requests of other threads.
"""
