"""Mock HubSpot, Salesforce and Outreach."""

from __future__ import annotations

from support.mock_api import MS, NOW_TEXT, all_fit, answers


def test_hubspot_new_contact() -> None:
    drawn = answers(
        "POST", "mock/hubspot/contacts", {"properties": {"email": "a@b.c", "age": 36, "vip": True}}
    )
    properties = {
        "email": "a@b.c",
        "age": 36,
        "vip": True,
        "createdate": NOW_TEXT,
        "lastmodifieddate": NOW_TEXT,
        "hs_object_id": f"contact_{MS}",
        "hs_lead_score": range(100),
    }
    own = {"createdAt": NOW_TEXT, "updatedAt": NOW_TEXT, "archived": False}
    all_fit(drawn, {"id": f"hubspot_{MS}", "properties": properties, **own})


def test_hubspot_changed_contact() -> None:
    drawn = answers("PATCH", "mock/hubspot/contacts/42", {"properties": {"hs_lead_score": "85"}})
    properties = {"hs_lead_score": "85", "lastmodifieddate": NOW_TEXT, "hs_object_id": "42"}
    all_fit(drawn, {"id": "42", "properties": properties, "updatedAt": NOW_TEXT})


def test_salesforce_lead() -> None:
    sent = {"FirstName": "Ada", "LastName": "Lovelace", "Email": "a@b.c", "Company": "Analytical Ltd"}
    own = {"LeadSource": "Web", "CreatedDate": NOW_TEXT, "LastModifiedDate": NOW_TEXT}
    for status in ({}, {"Status": "Working"}):
        attributes = {"Status": "Open - Not Contacted", **sent, **status, **own}
        drawn = answers("POST", "mock/salesforce/leads", {**sent, **status})
        all_fit(drawn, {"id": f"sf_lead_{MS}", "success": True, "attributes": attributes})


def test_outreach_prospect() -> None:
    sent = {"email": "a@b.c", "firstName": "Ada", "lastName": "L", "title": "CEO", "company": "Analytical"}
    own = {"stage": "prospect", "starred": False, "tags": [], "createdAt": NOW_TEXT, "updatedAt": NOW_TEXT}
    account = {"account": {"data": {"type": "account", "id": f"account_{MS}"}}}
    shape = {"id": f"outreach_prospect_{MS}", "type": "prospect", "relationships": account}
    all_fit(answers("POST", "mock/outreach/prospects", sent), {**shape, "attributes": {**sent, **own}})
