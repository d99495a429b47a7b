"""Lemlist, follow-up mails, gifts and drip campaigns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field

from headrace.api.routes.mocks.chance import Answer, Chance, Drawn
from headrace.api.routes.mocks.request import Fields

router = APIRouter(prefix="/mock")

_FOLLOW_UPS = ("personalized_intro", "value_proposition", "case_study_relevant", "demo_invitation")


@dataclass(frozen=True, slots=True)
class Gift:
    type: str
    value: str
    description: str


@dataclass(frozen=True, slots=True)
class Drip:
    """A series of mails over so many days."""

    name: str
    days: int
    emails: int


_APPROVED_GIFT = Gift("experience", "$200", "Executive lunch invitation")
_GIFTS = (
    Gift("premium_swag", "$50", "Premium branded merchandise package"),
    Gift("gift_card", "$100", "Amazon gift card"),
    _APPROVED_GIFT,
    Gift("book", "$30", "Leadership book with personal note"),
)
_DRIPS = (
    Drip("enterprise_nurture", 30, 8),
    Drip("smb_conversion", 14, 5),
    Drip("industry_specific", 21, 6),
    Drip("product_education", 28, 7),
)


class LemlistLead(Fields):
    email: str = ""
    firstName: str = ""
    lastName: str = ""
    companyName: str = ""


class Recipient(Fields):
    """Whom a campaign is for."""

    lead_id: str = ""
    email: str = Field("", serialization_alias="recipient")
    company: str = "your company"
    title: str = "a leader"


def lemlist_lead(campaign_id: str, lead: LemlistLead, chance: Chance) -> Answer:
    """A lead in a Lemlist campaign; its first mail goes out tomorrow."""
    return {
        "leadId": chance.ident("lemlist_lead_"),
        "campaignId": campaign_id,
        **lead.given(),
        "status": "added",
        "scheduledAt": chance.time(timedelta(days=1)),
        "sequence_step": 1,
        "unsubscribed": False,
        "bounced": False,
    }


def follow_up(to: Recipient, chance: Chance) -> Answer:
    """A mail that went out at once; 70 % are opened, 30 % clicked."""
    return {
        "email_id": chance.ident("email_"),
        "type": "follow_up",
        "template": chance.one_of(_FOLLOW_UPS),
        **to.given("email"),
        "subject": f"Following up on your interest - {to.company}",
        "status": "sent",
        "delivery_time": chance.time(),
        "tracking": {"delivered": True, "opened": chance.happens(0.7), "clicked": chance.happens(0.3)},
    }


def gifting(to: Recipient, chance: Chance) -> Answer:
    """A gift on its way; the dearest one needs approval."""
    gift = chance.one_of(_GIFTS)
    return {
        "sequence_id": chance.ident("gift_seq_"),
        **to.given("lead_id"),
        "gift": asdict(gift),
        "status": "initiated",
        "estimated_delivery": chance.time(timedelta(days=3)),
        "personalization": f"Congratulations on your role as {to.title} at {to.company}!",
        "tracking_number": f"GIFT{chance.number(0, 999_999)}",
        "approval_required": gift is _APPROVED_GIFT,
        "initiated_at": chance.time(),
    }


def drip_campaign(to: Recipient, chance: Chance) -> Answer:
    """A series of mails that has begun; the next one goes out tomorrow."""
    drip = chance.one_of(_DRIPS)
    return {
        "campaign_id": chance.ident("drip_"),
        "campaign_name": drip.name,
        **to.given("lead_id", "email"),
        "status": "active",
        "sequence_position": 1,
        "total_emails": drip.emails,
        "next_email_date": chance.time(timedelta(days=1)),
        "completion_date": chance.time(timedelta(days=drip.days)),
        "personalization": {"company": to.company, "title": to.title, "industry": "Technology"},
        "started_at": chance.time(),
    }


@router.post("/lemlist/campaigns/{campaign_id}/leads", status_code=201)
async def add_lead(
    campaign_id: str, lead: Annotated[LemlistLead, Body(default_factory=LemlistLead)], chance: Drawn
) -> Answer:
    """Adds a lead to a Lemlist campaign."""
    return lemlist_lead(campaign_id, lead, chance)


@router.post("/email/follow-up", status_code=201)
async def send_follow_up(to: Annotated[Recipient, Body(default_factory=Recipient)], chance: Drawn) -> Answer:
    """Sends a follow-up mail."""
    return follow_up(to, chance)


@router.post("/campaigns/gifting-sequence", status_code=201)
async def start_gifting(to: Annotated[Recipient, Body(default_factory=Recipient)], chance: Drawn) -> Answer:
    """Sends a gift."""
    return gifting(to, chance)


@router.post("/campaigns/drip-campaign", status_code=201)
async def start_drip(to: Annotated[Recipient, Body(default_factory=Recipient)], chance: Drawn) -> Answer:
    """Starts a series of mails."""
    return drip_campaign(to, chance)
