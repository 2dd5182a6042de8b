"""All suspicions about an episode."""

from __future__ import annotations

from nav_foundation.data.inspection.finding import Finding
from nav_foundation.data.inspection.look import Seen
from nav_foundation.data.inspection.motion import motion_findings
from nav_foundation.data.inspection.pictures import picture_findings


def suspicions(seen: Seen) -> list[Finding]:
    found = [*motion_findings(seen), *picture_findings(seen)]
    return sorted(found, key=lambda finding: finding.frame)
