"""Lead scoring, and the alert to the account executive."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from headrace.api.routes.mocks.chance import Answer, Chance, Drawn
from headrace.api.routes.mocks.request import Fields

router = APIRouter(prefix="/mock")


class Lead(Fields):
    lead_source: str = ""
    company: str = ""
    title: str = ""
    email: str = ""

    @property
    def from_linkedin(self) -> bool:
        return self.lead_source == "LinkedIn"

    @property
    def is_ceo(self) -> bool:
        return "ceo" in self.title.lower()


class ScoredLead(Fields):
    lead_source: str = "an unknown source"
    score: str = "unknown"
    company: str = "Unknown company"
    title: str = "unknown title"


def analysis(lead: Lead, chance: Chance) -> Answer:
    """A score up to 100, higher for leads from LinkedIn and for a CEO, and what it is made of."""
    score = _score(lead, chance)
    factors = {
        "lead_source_score": 25 if lead.from_linkedin else 15,
        "title_score": 20 if lead.is_ceo else 10,
        "engagement_score": chance.number(20, 49),
    }
    return {
        "lead_id": chance.ident("lead_"),
        **lead.given(),
        "score": score,
        "qualification": _qualification(score),
        "factors": factors,
        "timestamp": chance.time(),
    }


def _score(lead: Lead, chance: Chance) -> int:
    score = chance.number(50, 89)
    if lead.from_linkedin:
        score += chance.number(5, 24)
    if lead.is_ceo:
        score += chance.number(10, 24)
    return min(score, 100)


def _qualification(score: int) -> str:
    if score > 75:
        return "High"
    return "Medium" if score > 50 else "Low"


def executive_alert(lead: ScoredLead, chance: Chance) -> Answer:
    """The alert that an account executive would have got."""
    return {
        "notification_id": chance.ident("notif_"),
        "type": "ae_alert",
        "status": "sent",
        "message": f"🚨 High-value lead detected! {lead.company} ({lead.title}) from {lead.lead_source}"
        f" - Score: {lead.score}",
        "ae_name": "Sarah Johnson",
        "ae_email": "sarah.johnson@company.com",
        "sent_at": chance.time(),
        "channels": ["email", "slack", "mobile"],
    }


@router.post("/lead-scoring/analyze", status_code=201)
async def analyze(lead: Annotated[Lead, Body(default_factory=Lead)], chance: Drawn) -> Answer:
    """Scores a lead."""
    return analysis(lead, chance)


@router.post("/notifications/ae-alert", status_code=201)
async def alert_executive(
    lead: Annotated[ScoredLead, Body(default_factory=ScoredLead)], chance: Drawn
) -> Answer:
    """Tells the account executive about a lead."""
    return executive_alert(lead, chance)
