"""Hostile input against a real proxy: what is known to be nasty (``cases``), and what a seeded generator makes of it (``mutation``).

Short in the suite; ``python -m tests.fuzz --seconds 600`` goes on for longer.
"""
