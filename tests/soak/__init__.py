"""Hours in minutes: a proxy under a steady mix of chats, and what it takes of the machine before and after (``scripts/soak``)."""
