"""Garbage at the door."""

import logging

import pytest


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sk-1\x7f\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    ],
)
async def test_it_is_refused_and_leaves_one_line_that_repeats_nothing_of_it(garbage, start_proxy, connect, caplog):
    client = await connect(await start_proxy("http://127.0.0.1:9/v1"))
    await client.send(garbage)
    assert (await client.head())[0] == b"HTTP/1.0 400 Bad Request"
    assert [(each.levelno, each.getMessage(), each.exc_info) for each in caplog.records] == [
        (logging.WARNING, "refused what is not HTTP", None)
    ]
