"""Apollo, ZoomInfo and Clearbit: what is known about people and companies."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Body, Query

from headrace.api.routes.mocks.chance import Answer, Chance, Drawn
from headrace.api.routes.mocks.request import Fields

router = APIRouter(prefix="/mock")

_DOMAINS = ("techcorp.com", "innovate.io", "nexustech.com", "digitalsolutions.com")
_TITLES = (
    "VP of Sales",
    "Marketing Director",
    "Head of Business Development",
    "Senior Account Executive",
    "Director of Growth",
)
_INDUSTRIES = ("Technology", "Software", "SaaS", "Fintech", "E-commerce")
_FOUND = (
    ("TechCorp Inc", "techcorp.com", "Software"),
    ("InnovateLabs", "innovatelabs.com", "AI/ML"),
    ("DataFlow Systems", "dataflow.io", "Data Analytics"),
)
_SECTORS = ("Technology", "Software", "E-commerce", "Fintech", "Healthcare")
_CITIES = ("San Francisco, CA", "New York, NY", "Austin, TX", "Seattle, WA", "Boston, MA")


class Person(Fields):
    first_name: str = "John"
    last_name: str = "Doe"
    organization_name: str = "TechCorp Inc"


class CompanyFilter(Fields):
    industry: str = ""
    size: str = ""
    location: str = "San Francisco, CA"


class Contact(Fields):
    email: str = "contact@example.com"
    firstName: str = "Jane"
    lastName: str = "Smith"


def person(asked: Person, chance: Chance) -> Answer:
    """Apollo's record of a person with the organization."""
    domain = chance.one_of(_DOMAINS)
    first, last = asked.first_name.lower(), asked.last_name.lower()
    organization = {
        "name": asked.organization_name,
        "domain": domain,
        "industry": chance.one_of(_INDUSTRIES),
        "employee_count": chance.number(50, 1049),
        "annual_revenue": chance.number(1_000_000, 50_999_999),
    }
    return {
        "person": {
            "id": chance.ident("apollo_"),
            "first_name": asked.first_name,
            "last_name": asked.last_name,
            "email": f"{first}.{last}@{domain}",
            "phone": chance.phone(),
            "title": chance.one_of(_TITLES),
            "linkedin_url": f"https://linkedin.com/in/{first}-{last}",
            "organization": organization,
        },
        "enrichment_score": chance.number(60, 99),
        "data_sources": ["Apollo", "LinkedIn", "Company Website"],
    }


def companies(asked: CompanyFilter, chance: Chance) -> Answer:
    """The first page of Apollo's search: always the same three companies, bent to the filter."""
    found = [_found(number, asked, chance) for number in range(len(_FOUND))]
    return {"companies": found, "total_results": 127, "page": 1}


def _found(number: int, asked: CompanyFilter, chance: Chance) -> Answer:
    name, domain, industry = _FOUND[number]
    return {
        "id": f"{chance.ident('apollo_company_')}_{number + 1}",
        "name": name,
        "domain": domain,
        "industry": asked.industry or industry,
        "employee_count": _leading_number(asked.size) or chance.number(50, 549),
        "headquarters": asked.location,
        "annual_revenue": chance.number(5_000_000, 104_999_999),
        "founded_year": chance.number(2000, 2019),
        "technologies": ["React", "Node.js", "AWS", "Salesforce"],
    }


def _leading_number(size: str) -> int:
    """201 of `201-500`; 0 when the text does not begin with a number."""
    match = re.match(r"\s*([0-9]{1,9})", size)
    return int(match[1]) if match else 0


def contact(asked: Contact, chance: Chance) -> Answer:
    """ZoomInfo's record of a contact."""
    profile = f"{asked.firstName}-{asked.lastName}".lower()
    return {
        "contact": {
            "email": asked.email,
            "firstName": asked.firstName,
            "lastName": asked.lastName,
            "phone": chance.phone(),
            "title": "Senior Marketing Manager",
            "company": "Growth Dynamics",
            "department": "Marketing",
            "seniority": "Senior",
            "linkedin": f"https://linkedin.com/in/{profile}",
            "location": "New York, NY",
            "company_size": "201-500",
            "industry": "Marketing Technology",
            "technologies": ["HubSpot", "Marketo", "Salesforce", "Google Analytics"],
        },
        "confidence_score": 0.95,
        "last_updated": chance.time(),
    }


def company(domain: str, chance: Chance) -> Answer:
    """Clearbit's record of the company behind a domain."""
    label = domain.split(".")[0]
    name = label[:1].upper() + label[1:]
    return {
        "company": {
            "domain": domain,
            "name": f"{name} Corp",
            "legal_name": f"{name} Corporation",
            "category": {
                "sector": "Technology",
                "industry": chance.one_of(_SECTORS),
                "sub_industry": "Software",
            },
            "description": "Leading technology company providing innovative solutions.",
            "metrics": _metrics(chance),
            "location": chance.one_of(_CITIES),
            "founded_year": chance.number(2000, 2019),
            "website_url": f"https://{domain}",
            "linkedin_url": f"https://linkedin.com/company/{label}",
            "technologies": ["React", "AWS", "Stripe", "Intercom"],
            "logo": f"https://logo.clearbit.com/{domain}",
        },
        "enriched_at": chance.time(),
    }


def _metrics(chance: Chance) -> Answer:
    return {
        "employees": chance.number(100, 1099),
        "employees_range": "100-500",
        "annual_revenue": chance.number(10_000_000, 59_999_999),
        "funding_total": chance.number(5_000_000, 24_999_999),
    }


@router.post("/apollo/person-enrichment", status_code=201)
async def enrich_person(asked: Annotated[Person, Body(default_factory=Person)], chance: Drawn) -> Answer:
    """What Apollo knows about a person."""
    return person(asked, chance)


# SequenceFlow's document says GET, its code POST: both answer.
@router.get("/apollo/person-enrichment")
async def look_up_person(asked: Annotated[Person, Query()], chance: Drawn) -> Answer:
    """What Apollo knows about a person, asked by query parameters."""
    return person(asked, chance)


@router.get("/apollo/company-search")
async def search_companies(asked: Annotated[CompanyFilter, Query()], chance: Drawn) -> Answer:
    """Companies by industry, size and location."""
    return companies(asked, chance)


@router.post("/zoominfo/contact-enrichment", status_code=201)
async def enrich_contact(asked: Annotated[Contact, Body(default_factory=Contact)], chance: Drawn) -> Answer:
    """What ZoomInfo knows about a contact."""
    return contact(asked, chance)


@router.get("/clearbit/companies/{domain}")
async def enrich_company(domain: str, chance: Drawn) -> Answer:
    """What Clearbit knows about a company."""
    return company(domain, chance)
