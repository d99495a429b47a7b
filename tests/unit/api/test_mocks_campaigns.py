"""Mock lead scoring, alerts, mails, gifts and campaigns."""

from __future__ import annotations

import re

import pytest

from support.mock_api import MS, NOW_TEXT, TOMORROW, Shape, all_fit, answers, field, seen, share


@pytest.mark.parametrize(
    ("source", "title", "lowest", "highest"),
    [
        ("Web", "Engineer", 50, 89),
        ("LinkedIn", "Engineer", 55, 100),
        ("Web", "Founder & CEO", 60, 100),
        ("LinkedIn", "ceo", 65, 100),
    ],
)
def test_lead_scoring(source: str, title: str, lowest: int, highest: int) -> None:
    sent = {"lead_source": source, "title": title, "company": "Analytical", "email": "a@b.c"}
    drawn = answers("POST", "mock/lead-scoring/analyze", sent)
    shape: dict[str, Shape] = {
        **sent,
        "lead_id": f"lead_{MS}",
        "score": range(lowest, highest + 1),
        "qualification": {"High", "Medium", "Low"},
        "factors": {
            "lead_source_score": 25 if source == "LinkedIn" else 15,
            "title_score": 20 if "ceo" in title.lower() else 10,
            "engagement_score": range(20, 50),
        },
        "timestamp": NOW_TEXT,
    }
    all_fit(drawn, shape)
    for answer in drawn:
        score = answer["score"]
        assert isinstance(score, int)
        assert answer["qualification"] == ("High" if score > 75 else "Medium" if score > 50 else "Low")


def test_executive_alert() -> None:
    sent = {"lead_id": "1", "lead_source": "LinkedIn", "score": 92, "company": "Analytical", "title": "CEO"}
    shape = {
        "notification_id": f"notif_{MS}",
        "type": "ae_alert",
        "status": "sent",
        "message": "🚨 High-value lead detected! Analytical (CEO) from LinkedIn - Score: 92",
        "ae_name": "Sarah Johnson",
        "ae_email": "sarah.johnson@company.com",
        "sent_at": NOW_TEXT,
        "channels": ["email", "slack", "mobile"],
    }
    all_fit(answers("POST", "mock/notifications/ae-alert", sent), shape)


def test_lemlist_lead() -> None:
    sent = {"email": "a@b.c", "firstName": "Ada", "lastName": "Lovelace", "companyName": "Analytical"}
    shape = {
        **sent,
        "leadId": f"lemlist_lead_{MS}",
        "campaignId": "spring",
        "status": "added",
        "scheduledAt": TOMORROW,
        "sequence_step": 1,
        "unsubscribed": False,
        "bounced": False,
    }
    all_fit(answers("POST", "mock/lemlist/campaigns/spring/leads", sent), shape)


def test_follow_up_mail() -> None:
    drawn = answers("POST", "mock/email/follow-up", {"email": "a@b.c", "company": "Analytical"})
    templates = {"personalized_intro", "value_proposition", "case_study_relevant", "demo_invitation"}
    shape = {
        "email_id": f"email_{MS}",
        "type": "follow_up",
        "template": templates,
        "recipient": "a@b.c",
        "subject": "Following up on your interest - Analytical",
        "status": "sent",
        "delivery_time": NOW_TEXT,
        "tracking": {"delivered": True, "opened": bool, "clicked": bool},
    }
    all_fit(drawn, shape)
    assert seen(drawn, "template") == templates
    assert 0.5 < share(drawn, "tracking", "opened") < 0.9
    assert 0.1 < share(drawn, "tracking", "clicked") < 0.5


def test_gifting() -> None:
    sent = {"lead_id": "lead_1", "title": "CEO", "company": "Analytical"}
    drawn = answers("POST", "mock/campaigns/gifting-sequence", sent)
    shape = {
        "sequence_id": f"gift_seq_{MS}",
        "lead_id": "lead_1",
        "gift": {"type": str, "value": {"$50", "$100", "$200", "$30"}, "description": str},
        "status": "initiated",
        "estimated_delivery": "2030-02-03T10:00:00.000Z",
        "personalization": "Congratulations on your role as CEO at Analytical!",
        "tracking_number": re.compile(r"GIFT\d{1,6}"),
        "approval_required": bool,
        "initiated_at": NOW_TEXT,
    }
    all_fit(drawn, shape)
    assert seen(drawn, "gift", "type") == {"premium_swag", "gift_card", "experience", "book"}
    dear = [one for one in drawn if field(one, "gift", "value") == "$200"]
    assert [one for one in drawn if one["approval_required"]] == dear


def test_drip_campaign() -> None:
    sent = {"lead_id": "lead_1", "email": "a@b.c", "title": "CEO", "company": "Analytical"}
    drawn = answers("POST", "mock/campaigns/drip-campaign", sent)
    shape = {
        "campaign_id": f"drip_{MS}",
        "campaign_name": str,
        "lead_id": "lead_1",
        "recipient": "a@b.c",
        "status": "active",
        "sequence_position": 1,
        "total_emails": int,
        "next_email_date": TOMORROW,
        "completion_date": str,
        "personalization": {"company": "Analytical", "title": "CEO", "industry": "Technology"},
        "started_at": NOW_TEXT,
    }
    all_fit(drawn, shape)
    kinds = {(one["campaign_name"], one["total_emails"], one["completion_date"]) for one in drawn}
    assert kinds == {
        ("enterprise_nurture", 8, "2030-03-02T10:00:00.000Z"),
        ("smb_conversion", 5, "2030-02-14T10:00:00.000Z"),
        ("industry_specific", 6, "2030-02-21T10:00:00.000Z"),
        ("product_education", 7, "2030-02-28T10:00:00.000Z"),
    }
