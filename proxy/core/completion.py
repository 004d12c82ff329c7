"""A completion that comes as one JSON body: bytes in, bytes out, blocks aside."""

from __future__ import annotations

from proxy.core import splice
from proxy.core.blocks import Block, BlockScanner
from proxy.core.chunk import ChoicePart, choice_parts


class CompletionFilter:
    """Collects the body; if a block was in it, only the texts that held it are rewritten."""

    rewrites = True
    whole = True
    in_block = False
    holds = False
    client_done = False

    def __init__(self, *, max_block_bytes: int = 256 * 1024) -> None:
        self.blocks: list[Block] = []
        self._max_block_bytes = max_block_bytes
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        self._parts.append(data)
        return b""

    def finish(self) -> bytes:
        body = b"".join(self._parts)
        self._parts.clear()
        if b"<" not in body and b"\\u003" not in body:
            return body
        try:
            value = splice.parse(body)
        except ValueError:
            return body
        edits = [edit for part in choice_parts(value, "message") for edit in self._strip(part)]
        return splice.replace_texts(body, edits) if edits else body

    def _strip(self, part: ChoicePart) -> list[tuple[splice.Path, str]]:
        """What the part's texts are without their blocks, of those that held some of one."""
        scanner = BlockScanner(max_block_bytes=self._max_block_bytes)
        for _, text in part.texts:
            scanner.feed(text)
        scanner.finish(truncated=part.truncated)
        self.blocks += scanner.blocks
        seen = [(path, text, scanner.take(text)) for path, text in part.texts]
        return [(path, visible) for path, text, visible in seen if visible != text]
