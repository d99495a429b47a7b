"""Mock Apollo, ZoomInfo and Clearbit."""

from __future__ import annotations

import re

import pytest

from support.mock_api import MS, NOW_TEXT, Shape, all_fit, answers, seen

PHONE = re.compile(r"\+1-555-[1-9]\d{2}-[1-9]\d{3}")

_DOMAINS = {"techcorp.com", "innovate.io", "nexustech.com", "digitalsolutions.com"}
_TITLES = {
    "VP of Sales",
    "Marketing Director",
    "Head of Business Development",
    "Senior Account Executive",
    "Director of Growth",
}
_INDUSTRIES = {"Technology", "Software", "SaaS", "Fintech", "E-commerce"}


def _person_shape(first: str, last: str, organization: str) -> dict[str, Shape]:
    slug = (first.lower(), last.lower())
    return {
        "person": {
            "id": f"apollo_{MS}",
            "first_name": first,
            "last_name": last,
            "email": re.compile(rf"{slug[0]}\.{slug[1]}@({'|'.join(_DOMAINS)})"),
            "phone": PHONE,
            "title": _TITLES,
            "linkedin_url": "https://linkedin.com/in/{}-{}".format(*slug),
            "organization": {
                "name": organization,
                "domain": _DOMAINS,
                "industry": _INDUSTRIES,
                "employee_count": range(50, 1050),
                "annual_revenue": range(1_000_000, 51_000_000),
            },
        },
        "enrichment_score": range(60, 100),
        "data_sources": ["Apollo", "LinkedIn", "Company Website"],
    }


def test_apollo_person() -> None:
    body = {"first_name": "Ada", "last_name": "Lovelace", "organization_name": "Analytical Ltd"}
    drawn = answers("POST", "mock/apollo/person-enrichment", body)
    all_fit(drawn, _person_shape("Ada", "Lovelace", "Analytical Ltd"))
    assert seen(drawn, "person", "title") == _TITLES
    assert seen(drawn, "person", "organization", "domain") == _DOMAINS
    assert seen(drawn, "person", "organization", "industry") == _INDUSTRIES
    assert len(seen(drawn, "enrichment_score")) > 20


@pytest.mark.parametrize("body", [None, {}, {"first_name": None, "last_name": ""}])
def test_apollo_person_by_default(body: dict[str, object] | None) -> None:
    all_fit(
        answers("POST", "mock/apollo/person-enrichment", body), _person_shape("John", "Doe", "TechCorp Inc")
    )


def test_apollo_person_by_get() -> None:
    drawn = answers("GET", "mock/apollo/person-enrichment?first_name=Ada&organization_name=Analytical+Ltd")
    all_fit(drawn, _person_shape("Ada", "Doe", "Analytical Ltd"))


@pytest.mark.parametrize(
    ("query", "industries", "employees", "place"),
    [
        ("", {"Software", "AI/ML", "Data Analytics"}, range(50, 550), "San Francisco, CA"),
        ("?industry=Toys&size=201-500&location=Ulm", {"Toys"}, range(201, 202), "Ulm"),
        (
            "?size=many&industry=",
            {"Software", "AI/ML", "Data Analytics"},
            range(50, 550),
            "San Francisco, CA",
        ),
    ],
)
def test_apollo_companies(query: str, industries: set[str], employees: range, place: str) -> None:
    for answer in answers("GET", f"mock/apollo/company-search{query}"):
        found = answer.pop("companies")
        assert answer == {"total_results": 127, "page": 1}
        assert isinstance(found, list)
        assert len({company["id"] for company in found}) == 3
        assert {company["industry"] for company in found} == industries
        shape: dict[str, Shape] = {
            "id": str,
            "name": {"TechCorp Inc", "InnovateLabs", "DataFlow Systems"},
            "domain": {"techcorp.com", "innovatelabs.com", "dataflow.io"},
            "industry": industries,
            "employee_count": employees,
            "headquarters": place,
            "annual_revenue": range(5_000_000, 105_000_000),
            "founded_year": range(2000, 2020),
            "technologies": ["React", "Node.js", "AWS", "Salesforce"],
        }
        all_fit(found, shape)


def test_zoominfo_contact() -> None:
    drawn = answers("POST", "mock/zoominfo/contact-enrichment", {"email": "a@b.c", "firstName": "Ada"})
    contact = {
        "email": "a@b.c",
        "firstName": "Ada",
        "lastName": "Smith",
        "phone": PHONE,
        "title": "Senior Marketing Manager",
        "company": "Growth Dynamics",
        "department": "Marketing",
        "seniority": "Senior",
        "linkedin": "https://linkedin.com/in/ada-smith",
        "location": "New York, NY",
        "company_size": "201-500",
        "industry": "Marketing Technology",
        "technologies": ["HubSpot", "Marketo", "Salesforce", "Google Analytics"],
    }
    all_fit(drawn, {"contact": contact, "confidence_score": 0.95, "last_updated": NOW_TEXT})


def test_clearbit_company() -> None:
    drawn = answers("GET", "mock/clearbit/companies/acme.example")
    industries = {"Technology", "Software", "E-commerce", "Fintech", "Healthcare"}
    cities = {"San Francisco, CA", "New York, NY", "Austin, TX", "Seattle, WA", "Boston, MA"}
    company = {
        "domain": "acme.example",
        "name": "Acme Corp",
        "legal_name": "Acme Corporation",
        "category": {"sector": "Technology", "industry": industries, "sub_industry": "Software"},
        "description": str,
        "metrics": {
            "employees": range(100, 1100),
            "employees_range": "100-500",
            "annual_revenue": range(10_000_000, 60_000_000),
            "funding_total": range(5_000_000, 25_000_000),
        },
        "location": cities,
        "founded_year": range(2000, 2020),
        "website_url": "https://acme.example",
        "linkedin_url": "https://linkedin.com/company/acme",
        "technologies": ["React", "AWS", "Stripe", "Intercom"],
        "logo": "https://logo.clearbit.com/acme.example",
    }
    all_fit(drawn, {"company": company, "enriched_at": NOW_TEXT})
    assert seen(drawn, "company", "category", "industry") == industries
    assert seen(drawn, "company", "location") == cities
