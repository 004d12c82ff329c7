"""The memory API under ``/memory/v1``: what is remembered, to be looked at, corrected, taken along and erased.

``types`` and ``bodies`` say what is taken and given, ``operation`` what a call is, and each subject has its handlers in a file of its own;
``table`` lists all calls, and ``openapi`` describes them. Handlers are thin: the work is done in ``proxy/memory``.
"""
