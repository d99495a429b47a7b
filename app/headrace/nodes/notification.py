"""notification: writes a rendered text into the run's log."""

from __future__ import annotations

from pydantic import Field

from headrace.graph.outcome import Done, Outcome
from headrace.nodes.base import Config, NodeContext, NodeType


class NotificationConfig(Config):
    """What to say."""

    template: str = Field(
        default="",
        description="The text. `{{data.city}}` is replaced by that value of the input.",
        json_schema_extra={"format": "textarea"},
    )


class Notification(NodeType[NotificationConfig]):
    """Passes its input on; its text is a line of the run's log."""

    type = "notification"
    group = "Actions"
    description = "Writes a text into the run's log, filled in with values of its input."
    is_instant = True
    config_model = NotificationConfig

    async def start(self, context: NodeContext, config: NotificationConfig) -> Outcome:
        context.say("notification", context.render(config.template))
        return Done(context.input)
