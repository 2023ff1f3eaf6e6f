"""What an algorithm raises, and what the alert store keeps."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class Severity(StrEnum):
    """How urgent an alert is, ascending."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One violation episode found by one algorithm.

    `alert_id` is a function of (tenant, algorithm, subject, episode anchor), so that finding the same
    episode again gives the same alert. `event_*` and `message_id` name the anchor event. `details` is
    the explanation: subject, observed values beside thresholds, contributing events.
    """

    alert_id: str
    tenant_id: str
    event_type: str
    event_id: str
    message_id: str
    algorithm: str
    severity: Severity
    description: str
    details: dict[str, Any]
    created_at: datetime
