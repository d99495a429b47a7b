"""Mock sensors, air conditioning, manager and backup cooling."""

from __future__ import annotations

import re

import pytest

from support.mock_api import DRAWS, MS, NOW_TEXT, Shape, all_fit, answers, seen, share


@pytest.mark.parametrize(
    ("query", "zone", "floor", "highest"),
    [
        ("", "main", "1", 38.0),
        ("?zone=server_room&floor=3", "server_room", "3", 46.0),
        ("?zone=rooftop", "rooftop", "1", 44.0),
    ],
)
def test_building_temperature(query: str, zone: str, floor: str, highest: float) -> None:
    drawn = answers("GET", f"mock/building/temperature{query}")
    shape = {
        "sensor_id": f"temp_sensor_{zone}_{floor}",
        "zone": zone,
        "floor": floor,
        "temperature": (22.0, highest),
        "unit": "celsius",
        "humidity": range(40, 80),
        "air_quality": {"poor", "moderate", "good"},
        "last_reading": NOW_TEXT,
        "sensor_status": "active",
        "calibration_date": "2030-01-01T10:00:00.000Z",
    }
    all_fit(drawn, shape)
    temperatures = [_temperature(one) for one in drawn]
    qualities = ["poor" if one > 30 else "moderate" if one > 25 else "good" for one in temperatures]
    assert [one["air_quality"] for one in drawn] == qualities
    assert max(temperatures) > highest - 4


def _temperature(answer: dict[str, object]) -> float:
    temperature = answer["temperature"]
    assert isinstance(temperature, float)
    assert round(temperature, 1) == temperature
    return temperature


def _live_shape(zone: str) -> dict[str, Shape]:
    return {
        "id": f"sensor-{MS}",
        "zone": zone,
        "temperature": (18.0, 38.0),
        "alert_level": {"critical", "high", "moderate", "normal"},
        "humidity": range(40, 80),
        "timestamp": NOW_TEXT,
        "requires_action": bool,
        "sensor_id": f"TEMP_{zone.upper()}_001",
    }


@pytest.mark.parametrize(("query", "zone"), [("", "main_building"), ("?zone=lab", "lab")])
def test_live_temperature(query: str, zone: str) -> None:
    drawn = answers("GET", f"mock/sensors/temperature/live{query}")
    all_fit(drawn, _live_shape(zone))
    assert seen(drawn, "alert_level") == {"critical", "high", "moderate", "normal"}
    assert 0.25 < share(drawn, "requires_action") < 0.55
    for answer in drawn:
        temperature = _temperature(answer)
        expected = (temperature > 30, temperature > 35, 30 >= temperature > 25)
        level = answer["alert_level"]
        assert expected == (answer["requires_action"], level == "critical", level == "moderate")


def test_temperature_alert() -> None:
    drawn = answers("POST", "mock/triggers/temperature-alert", {"zone": "lab"})
    hot = [one for one in drawn if one["triggered"]]
    calm = [one for one in drawn if not one["triggered"]]
    common = {
        "trigger_id": f"trigger-{MS}",
        "workflow_name": "🏢 Advanced Building Cooling System",
        "zone": "lab",
        "sensor_data": _live_shape("lab"),
    }
    reason = re.compile(r"Temperature 3\d\.\d°C exceeds 30°C threshold")
    start = {"next_action": "Starting automated cooling sequence...", "estimated_completion": "15 minutes"}
    all_fit(hot, {**common, "triggered": True, "reason": reason, **start})
    reason = re.compile(r"Temperature \d\d\.\d°C is within normal range")
    all_fit(calm, {**common, "triggered": False, "reason": reason, "next_action": "No action required"})
    assert seen(hot, "sensor_data", "requires_action") == {True}
    assert seen(calm, "sensor_data", "requires_action") == {False}


@pytest.mark.parametrize(
    ("action", "mode", "power", "minutes"),
    [
        ("turn_on", "cooling", range(1500, 3500), range(5, 20)),
        ("turn_off", "off", 0, None),
        ("eco", "auto", 0, None),
    ],
)
def test_air_conditioning(action: str, mode: str, power: Shape, minutes: Shape) -> None:
    drawn = answers(
        "POST", "mock/building/ac/control", {"zone": "lab", "action": action, "target_temperature": 22}
    )
    common = {
        "control_id": f"ac_control_{MS}",
        "zone": "lab",
        "action": action,
        "target_temperature": 22,
        "current_mode": mode,
        "power_consumption": power,
        "estimated_time_to_target": minutes,
        "timestamp": NOW_TEXT,
    }
    worked = [one for one in drawn if one["error_message"] is None]
    all_fit(worked, {**common, "status": "success", "error_message": None})
    failed = [one for one in drawn if one["error_message"] is not None]
    all_fit(failed, {**common, "status": "failed", "error_message": "Communication timeout with AC unit"})
    assert 0.02 < len(failed) / DRAWS < 0.2


def test_air_conditioning_by_default() -> None:
    for answer in answers("POST", "mock/building/ac/control", {}):
        assert (answer["zone"], answer["current_mode"]) == ("main", "auto")
        assert not {"action", "target_temperature"} & set(answer)


@pytest.mark.parametrize(
    ("temperature", "priority"), [(35.1, "critical"), (35, "high"), ("30.5", "high"), (30, "medium")]
)
def test_manager_notification(temperature: object, priority: str) -> None:
    drawn = answers(
        "POST", "mock/building/notifications/manager", {"zone": "lab", "temperature": temperature}
    )
    shape = {
        "notification_id": f"bldg_notif_{MS}",
        "type": "temperature_alert",
        "priority": priority,
        "message": f"🌡️ Temperature alert in lab: {temperature}°C exceeds threshold",
        "manager_name": "Mike Chen",
        "manager_email": "mike.chen@building.com",
        "manager_phone": "+1-555-BLDG-MGR",
        "sent_via": ["email", "sms", "building_app"],
        "acknowledgment_required": True,
        "acknowledgment_deadline": "2030-01-31T10:10:00.000Z",
        "escalation_contact": "emergency@building.com",
        "sent_at": NOW_TEXT,
    }
    all_fit(drawn, shape)


def test_manager_notification_without_a_temperature() -> None:
    (first, *_) = answers("POST", "mock/building/notifications/manager", {"issue_type": "leak"})
    assert (first["type"], first["priority"]) == ("leak", "medium")


def test_notification_status() -> None:
    drawn = answers("GET", "mock/building/notifications/n-1/status")
    answered = [one for one in drawn if one["acknowledged"]]
    open_ones = [one for one in drawn if not one["acknowledged"]]
    shape = {
        "notification_id": "n-1",
        "acknowledged": True,
        "acknowledgment_time": re.compile(r"2030-01-31T09:(4[7-9]|5\d):00\.000Z"),
        "response_message": "Issue confirmed. On-site team dispatched.",
        "response_time_minutes": range(2, 14),
        "escalation_triggered": False,
        "status": "resolved",
    }
    all_fit(answered, shape)
    nothing = {"acknowledgment_time": None, "response_message": None, "response_time_minutes": None}
    ends = {"acknowledged": False, "escalation_triggered": True, "status": "pending_escalation"}
    all_fit(open_ones, {"notification_id": "n-1", **nothing, **ends})
    assert 0.4 < len(answered) / DRAWS < 0.8


@pytest.mark.parametrize(
    ("emergency", "reason"), [(True, "Manager non-response escalation"), (False, "Manual activation")]
)
def test_backup_cooling(emergency: bool, reason: str) -> None:
    drawn = answers(
        "POST", "mock/building/backup-cooling/activate", {"zone": "lab", "emergency_mode": emergency}
    )
    common = {
        "activation_id": f"backup_cooling_{MS}",
        "zone": "lab",
        "system_type": "emergency_hvac",
        "capacity": "150% of normal cooling",
        "estimated_cooldown_time": range(10, 20),
        "power_consumption": range(3000, 6000),
        "activation_reason": reason,
        "auto_shutoff_time": "2030-01-31T10:30:00.000Z",
        "monitoring_frequency": "30 seconds",
        "activated_at": NOW_TEXT,
    }
    worked = [one for one in drawn if one["error_message"] is None]
    all_fit(worked, {**common, "status": "activated", "error_message": None})
    failed = [one for one in drawn if one["error_message"] is not None]
    all_fit(failed, {**common, "status": "failed", "error_message": "Backup system maintenance required"})
    assert 0 < len(failed) / DRAWS < 0.15
