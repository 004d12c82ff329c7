"""What headroom's inline parser leaves of answers: a JSON list of texts in, one out. Run by the interpreter of its own environment."""

import json
import logging
import sys

from headroom.memory.inline_extractor import parse_response_with_memory

logging.disable()
json.dump([parse_response_with_memory(text).content for text in json.load(sys.stdin)], sys.stdout)
