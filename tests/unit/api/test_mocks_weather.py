"""Mock weather: fixed by city."""

from __future__ import annotations

import pytest

from support.mock_api import MS, NOW_TEXT, all_fit, answers, seen, send


@pytest.mark.parametrize("path", ["test-weather", "mock/workflows/api/test-weather"])
@pytest.mark.parametrize(
    ("city", "temperature", "humidity", "condition"),
    [
        ("Dubai", 35, 60, "sunny"),
        ("LONDON", 15, 80, "cloudy"),
        ("new york", 22, 65, "partly cloudy"),
        (" Tokyo ", 18, 70, "rainy"),
        ("Sydney", 25, 55, "clear"),
        ("Atlantis", 15, 80, "cloudy"),
    ],
)
def test_weather_by_query(path: str, city: str, temperature: int, humidity: int, condition: str) -> None:
    (response,) = send("GET", f"{path}?city={city}")
    assert response.status_code == 200
    assert response.json() == {
        "id": f"weather-{MS}",
        "city": city,
        "name": f"Weather for {city}",
        "count": 1,
        "value": f"{temperature}°C",
        "result": "success",
        "message": f"Current weather in {city}",
        "humidity": humidity,
        "condition": condition,
        "timestamp": NOW_TEXT,
        "temperature": temperature,
    }


@pytest.mark.parametrize("query", ["", "?city="])
def test_weather_without_a_city_is_londons(query: str) -> None:
    (response,) = send("GET", f"test-weather{query}")
    assert (response.json()["city"], response.json()["temperature"]) == ("London", 15)


@pytest.mark.parametrize(
    ("city", "temperature", "condition"),
    [
        ("San Francisco", 18, "partly cloudy"),
        ("New York", 22, "partly cloudy"),
        ("london", 15, "cloudy"),
        ("Tokyo", 24, "partly cloudy"),
        ("Sydney", 26, "sunny"),
        ("Dubai", 35, "sunny"),
        ("Mumbai", 32, "sunny"),
        ("Singapore", 30, "sunny"),
        ("Ulm", 20, "partly cloudy"),
    ],
)
def test_weather_by_path(city: str, temperature: int, condition: str) -> None:
    drawn = answers("GET", f"mock/weather/{city}")
    fixed = {"city": city, "temperature": temperature, "condition": condition, "timestamp": NOW_TEXT}
    all_fit(drawn, {**fixed, "humidity": range(40, 80)})
    assert len(seen(drawn, "humidity")) > 20
