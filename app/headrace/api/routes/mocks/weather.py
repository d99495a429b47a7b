"""Weather: the one that the samples ask, and a second one by path."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter

from headrace.api.routes.mocks.chance import Answer, Chance, Drawn

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Weather:
    """temperature: degrees Celsius. humidity: percent."""

    temperature: int
    humidity: int
    condition: str


_LONDON = Weather(15, 80, "cloudy")
_REPORTS = {
    "dubai": Weather(35, 60, "sunny"),
    "london": _LONDON,
    "new york": Weather(22, 65, "partly cloudy"),
    "tokyo": Weather(18, 70, "rainy"),
    "sydney": Weather(25, 55, "clear"),
}
_TEMPERATURES = {
    "san francisco": 18,
    "new york": 22,
    "london": 15,
    "tokyo": 24,
    "sydney": 26,
    "dubai": 35,
    "mumbai": 32,
    "singapore": 30,
}
_ELSEWHERE = 20


def report(city: str, chance: Chance) -> Answer:
    """Fixed weather by city; a city that is not in the table has London's."""
    weather = _REPORTS.get(city.strip().lower(), _LONDON)
    return {
        "id": chance.ident("weather-"),
        "city": city,
        "name": f"Weather for {city}",
        "count": 1,
        "value": f"{weather.temperature}°C",
        "result": "success",
        "message": f"Current weather in {city}",
        "humidity": weather.humidity,
        "condition": weather.condition,
        "timestamp": chance.time(),
        "temperature": weather.temperature,
    }


def observation(city: str, chance: Chance) -> Answer:
    """A fixed temperature by city, 20 degrees elsewhere, and a humidity that varies."""
    temperature = _TEMPERATURES.get(city.strip().lower(), _ELSEWHERE)
    return {
        "city": city,
        "temperature": temperature,
        "condition": _sky(temperature),
        "humidity": chance.number(40, 79),
        "timestamp": chance.time(),
    }


def _sky(temperature: int) -> str:
    if temperature > 25:
        return "sunny"
    return "partly cloudy" if temperature > 15 else "cloudy"


# SequenceFlow's document names the second path, its code the first: both answer.
@router.get("/test-weather")
@router.get("/mock/workflows/api/test-weather")
async def weather_by_query(chance: Drawn, city: str = "") -> Answer:
    """The weather in a city, London by default."""
    return report(city or "London", chance)


@router.get("/mock/weather/{city}")
async def weather_by_path(city: str, chance: Drawn) -> Answer:
    """The weather in the city that the path names."""
    return observation(city, chance)
