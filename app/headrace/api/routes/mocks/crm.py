"""HubSpot, Salesforce and Outreach: contacts, leads and prospects."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field

from headrace.api.routes.mocks.chance import Answer, Chance, Drawn
from headrace.api.routes.mocks.request import Fields

router = APIRouter(prefix="/mock")


class HubSpotContact(Fields):
    properties: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class SalesforceLead(Fields):
    FirstName: str = ""
    LastName: str = ""
    Email: str = ""
    Company: str = ""
    Status: str = "Open - Not Contacted"


class Prospect(Fields):
    email: str = ""
    firstName: str = ""
    lastName: str = ""
    title: str = ""
    company: str = ""


def created_contact(sent: HubSpotContact, chance: Chance) -> Answer:
    """A new contact in HubSpot with the properties sent and HubSpot's own."""
    now = chance.time()
    own = {
        "createdate": now,
        "lastmodifieddate": now,
        "hs_object_id": chance.ident("contact_"),
        "hs_lead_score": chance.number(0, 99),
    }
    return {
        "id": chance.ident("hubspot_"),
        "properties": {**sent.properties, **own},
        "createdAt": now,
        "updatedAt": now,
        "archived": False,
    }


def updated_contact(contact_id: str, sent: HubSpotContact, chance: Chance) -> Answer:
    """A contact in HubSpot after a change."""
    now = chance.time()
    own = {"lastmodifieddate": now, "hs_object_id": contact_id}
    return {"id": contact_id, "properties": {**sent.properties, **own}, "updatedAt": now}


def salesforce_lead(sent: SalesforceLead, chance: Chance) -> Answer:
    """A new lead in Salesforce."""
    now = chance.time()
    own = {"Status": sent.Status, "LeadSource": "Web", "CreatedDate": now, "LastModifiedDate": now}
    return {"id": chance.ident("sf_lead_"), "success": True, "attributes": {**sent.given(), **own}}


def prospect(sent: Prospect, chance: Chance) -> Answer:
    """A new prospect in Outreach with its account."""
    now = chance.time()
    own = {"stage": "prospect", "starred": False, "tags": [], "createdAt": now, "updatedAt": now}
    return {
        "id": chance.ident("outreach_prospect_"),
        "type": "prospect",
        "attributes": {**sent.given(), **own},
        "relationships": {"account": {"data": {"type": "account", "id": chance.ident("account_")}}},
    }


@router.post("/hubspot/contacts", status_code=201)
async def create_contact(
    sent: Annotated[HubSpotContact, Body(default_factory=HubSpotContact)], chance: Drawn
) -> Answer:
    """Creates a contact in HubSpot."""
    return created_contact(sent, chance)


@router.patch("/hubspot/contacts/{contact_id}")
async def update_contact(
    contact_id: str, sent: Annotated[HubSpotContact, Body(default_factory=HubSpotContact)], chance: Drawn
) -> Answer:
    """Changes properties of a contact in HubSpot."""
    return updated_contact(contact_id, sent, chance)


@router.post("/salesforce/leads", status_code=201)
async def create_lead(
    sent: Annotated[SalesforceLead, Body(default_factory=SalesforceLead)], chance: Drawn
) -> Answer:
    """Creates a lead in Salesforce."""
    return salesforce_lead(sent, chance)


@router.post("/outreach/prospects", status_code=201)
async def create_prospect(sent: Annotated[Prospect, Body(default_factory=Prospect)], chance: Drawn) -> Answer:
    """Creates a prospect in Outreach."""
    return prospect(sent, chance)
