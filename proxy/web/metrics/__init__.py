"""Figures in Prometheus' form, at ``/metrics``. The one importer of prometheus_client.

``requests`` counts what requests do as they end; ``parts`` reads, while somebody asks, what the parts know of themselves.
No label holds what a caller chose: no user, tenant, session, path, model or text.
"""

from __future__ import annotations

from proxy.web.metrics.exposition import METRICS, Metrics, show

__all__ = ["METRICS", "Metrics", "show"]
