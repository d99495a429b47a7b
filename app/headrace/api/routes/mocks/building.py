"""A smart building: sensors, air conditioning, its manager and the backup cooling."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body

from headrace.api.routes.mocks.chance import Answer, Chance, Drawn
from headrace.api.routes.mocks.request import Fields

router = APIRouter(prefix="/mock")

_EXTRA_HEAT = {"server_room": 8.0, "rooftop": 6.0}
_COOLING_WORKFLOW = "🏢 Advanced Building Cooling System"


class Zone(Fields):
    zone: str = "main_building"


class AirConditioning(Fields):
    zone: str = "main"
    action: str = ""
    target_temperature: int | float | None = None


class Issue(Fields):
    zone: str = "an unknown zone"
    temperature: float | None = None
    issue_type: str = "temperature_alert"


class Backup(Fields):
    zone: str = ""
    emergency_mode: bool = False


def zone_reading(zone: str, floor: str, chance: Chance) -> Answer:
    """A sensor's reading, 22 to 38 degrees; server room and rooftop are hotter."""
    temperature = round(chance.degrees(22, 38) + chance.degrees(0, _EXTRA_HEAT.get(zone, 0)), 1)
    return {
        "sensor_id": f"temp_sensor_{zone}_{floor}",
        "zone": zone,
        "floor": floor,
        "temperature": temperature,
        "unit": "celsius",
        "humidity": chance.number(40, 79),
        "air_quality": _air_quality(temperature),
        "last_reading": chance.time(),
        "sensor_status": "active",
        "calibration_date": chance.time(-timedelta(days=30)),
    }


def _air_quality(temperature: float) -> str:
    if temperature > 30:
        return "poor"
    return "moderate" if temperature > 25 else "good"


def live_reading(zone: str, chance: Chance) -> Answer:
    """A reading of which 40 % are hot enough to act on."""
    return _live_reading(zone, _live_temperature(chance), chance)


def _live_reading(zone: str, temperature: float, chance: Chance) -> Answer:
    return {
        "id": chance.ident("sensor-"),
        "zone": zone,
        "temperature": temperature,
        "alert_level": _alert_level(temperature),
        "humidity": chance.number(40, 79),
        "timestamp": chance.time(),
        "requires_action": temperature > 30,
        "sensor_id": f"TEMP_{zone.upper()}_001",
    }


def _live_temperature(chance: Chance) -> float:
    if chance.happens(0.4):
        return chance.degrees(30, 38)
    return chance.degrees(25, 30) if chance.happens(0.5) else chance.degrees(18, 25)


def _alert_level(temperature: float) -> str:
    levels = ((35, "critical"), (30, "high"), (25, "moderate"))
    return next((level for limit, level in levels if temperature > limit), "normal")


def simulated_trigger(zone: str, chance: Chance) -> Answer:
    """What a trigger on the sensor would say. It starts nothing."""
    temperature = _live_temperature(chance)
    common: Answer = {
        "trigger_id": chance.ident("trigger-"),
        "workflow_name": _COOLING_WORKFLOW,
        "zone": zone,
        "sensor_data": _live_reading(zone, temperature, chance),
    }
    if temperature > 30:
        return common | {
            "triggered": True,
            "reason": f"Temperature {temperature}°C exceeds 30°C threshold",
            "next_action": "Starting automated cooling sequence...",
            "estimated_completion": "15 minutes",
        }
    return common | {
        "triggered": False,
        "reason": f"Temperature {temperature}°C is within normal range",
        "next_action": "No action required",
    }


def control(wanted: AirConditioning, chance: Chance) -> Answer:
    """What the air conditioning answers; every tenth command fails."""
    works, on = chance.happens(0.9), wanted.action == "turn_on"
    answer: Answer = {
        "control_id": chance.ident("ac_control_"),
        "zone": wanted.zone,
        "status": "success" if works else "failed",
        "current_mode": {"turn_on": "cooling", "turn_off": "off"}.get(wanted.action, "auto"),
        "power_consumption": chance.number(1500, 3499) if on else 0,
        "estimated_time_to_target": chance.number(5, 19) if on else None,
        "error_message": None if works else "Communication timeout with AC unit",
        "timestamp": chance.time(),
    }
    return answer | wanted.given()


def manager_notification(issue: Issue, chance: Chance) -> Answer:
    """The message that the building's manager would have got; due for an answer within ten minutes."""
    return {
        "notification_id": chance.ident("bldg_notif_"),
        "type": issue.issue_type,
        "priority": _priority(issue.temperature),
        "message": f"🌡️ Temperature alert in {issue.zone}: {_degrees(issue.temperature)} exceeds threshold",
        "manager_name": "Mike Chen",
        "manager_email": "mike.chen@building.com",
        "manager_phone": "+1-555-BLDG-MGR",
        "sent_via": ["email", "sms", "building_app"],
        "acknowledgment_required": True,
        "acknowledgment_deadline": chance.time(timedelta(minutes=10)),
        "escalation_contact": "emergency@building.com",
        "sent_at": chance.time(),
    }


def _priority(temperature: float | None) -> str:
    if temperature is None or temperature <= 30:
        return "medium"
    return "critical" if temperature > 35 else "high"


def _degrees(temperature: float | None) -> str:
    return "temperature" if temperature is None else f"{temperature:g}°C"


def acknowledgment(notification_id: str, chance: Chance) -> Answer:
    """Whether the manager answered in time: 60 % do."""
    acknowledged, minutes = chance.happens(0.6), chance.number(2, 13)
    return {
        "notification_id": notification_id,
        "acknowledged": acknowledged,
        "acknowledgment_time": chance.time(-timedelta(minutes=minutes)) if acknowledged else None,
        "response_message": "Issue confirmed. On-site team dispatched." if acknowledged else None,
        "response_time_minutes": minutes if acknowledged else None,
        "escalation_triggered": not acknowledged,
        "status": "resolved" if acknowledged else "pending_escalation",
    }


def activation(wanted: Backup, chance: Chance) -> Answer:
    """What the backup cooling answers; one command in twenty fails."""
    works = chance.happens(0.95)
    return {
        "activation_id": chance.ident("backup_cooling_"),
        **wanted.given("zone"),
        "status": "activated" if works else "failed",
        "system_type": "emergency_hvac",
        "capacity": "150% of normal cooling",
        "estimated_cooldown_time": chance.number(10, 19),
        "power_consumption": chance.number(3000, 5999),
        "activation_reason": "Manager non-response escalation"
        if wanted.emergency_mode
        else "Manual activation",
        "auto_shutoff_time": chance.time(timedelta(minutes=30)),
        "monitoring_frequency": "30 seconds",
        "error_message": None if works else "Backup system maintenance required",
        "activated_at": chance.time(),
    }


@router.get("/building/temperature")
async def building_temperature(chance: Drawn, zone: str = "", floor: str = "") -> Answer:
    """The temperature in a zone (`main`) on a floor (`1`)."""
    return zone_reading(zone or "main", floor or "1", chance)


@router.get("/sensors/temperature/live")
async def live_temperature(chance: Drawn, zone: str = "") -> Answer:
    """The temperature in a zone (`main_building`), and whether to act on it."""
    return live_reading(zone or "main_building", chance)


@router.post("/triggers/temperature-alert", status_code=201)
async def temperature_alert(where: Annotated[Zone, Body(default_factory=Zone)], chance: Drawn) -> Answer:
    """Says whether a trigger on the sensor would start the cooling workflow."""
    return simulated_trigger(where.zone, chance)


@router.post("/building/ac/control", status_code=201)
async def control_air_conditioning(
    wanted: Annotated[AirConditioning, Body(default_factory=AirConditioning)], chance: Drawn
) -> Answer:
    """Sets the air conditioning: `turn_on`, `turn_off`, anything else is automatic."""
    return control(wanted, chance)


@router.post("/building/notifications/manager", status_code=201)
async def notify_manager(issue: Annotated[Issue, Body(default_factory=Issue)], chance: Drawn) -> Answer:
    """Tells the building's manager about an issue."""
    return manager_notification(issue, chance)


@router.get("/building/notifications/{notification_id}/status")
async def notification_status(notification_id: str, chance: Drawn) -> Answer:
    """Whether the manager has answered a notification."""
    return acknowledgment(notification_id, chance)


@router.post("/building/backup-cooling/activate", status_code=201)
async def activate_backup(wanted: Annotated[Backup, Body(default_factory=Backup)], chance: Drawn) -> Answer:
    """Starts the backup cooling."""
    return activation(wanted, chance)
