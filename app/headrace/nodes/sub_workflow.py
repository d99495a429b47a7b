"""subWorkflow: a run of another workflow, as one node of this one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, WithJsonSchema
from pydantic import JsonValue as AnyJson

from headrace.graph.outcome import Child, Done, Failed, Outcome, Spawned
from headrace.graph.settings import Seconds
from headrace.graph.template import resolve
from headrace.nodes.base import Config, NodeContext, NodeType
from headrace.nodes.children import child_failed, read_answers

_ENDED = {"cancelled": "was cancelled"}
_SHOWN_AS_TEXT = WithJsonSchema({"type": "string", "examples": ["30s", "5m", "1h"]})


class SubWorkflowConfig(Config):
    """Which workflow, with what input, and whether to wait for it."""

    workflow: str = Field(
        min_length=1,
        max_length=500,
        validation_alias=AliasChoices("workflow", "workflowId", "workflow_id", "workflowName"),
        description="Its id or its name; `${ path }` is filled in.",
    )
    version: int | None = Field(
        default=None, ge=1, description="A version to stay with; without it, the current one at that time."
    )
    input: AnyJson = Field(
        default=None,
        validation_alias=AliasChoices("input", "inputMapping", "input_data"),
        description="The run's input; `${ path }` is filled in. Without it, the node's own input.",
    )
    wait: bool = Field(
        default=True,
        validation_alias=AliasChoices("wait", "waitForCompletion", "wait_for_completion"),
        description="Whether to wait for its end. Without that, the output is `{runId}` at once.",
    )
    on_cancel: Literal["cancel", "abandon"] = Field(
        default="cancel", description="What becomes of it when this node is cancelled or gives up."
    )
    timeout: Annotated[Seconds | None, _SHOWN_AS_TEXT] = Field(
        default=None, description="How long to wait at most; then the node fails."
    )


class SubWorkflow(NodeType[SubWorkflowConfig]):
    """Starts a run of another workflow; its output is that run's outputs."""

    type = "subWorkflow"
    group = "Logic & Control"
    description = "Runs another workflow and goes on with its outputs, or lets it go its own way."
    aliases = ("sub_workflow", "child-workflow")
    config_model = SubWorkflowConfig

    async def start(self, context: NodeContext, config: SubWorkflowConfig) -> Outcome:
        given = context.input if config.input is None else resolve(config.input, context.scope)
        name = str(resolve(config.workflow, context.scope))
        context.say("subWorkflow", f"Workflow started: {name}")
        return Spawned(
            [Child(0, given, workflow=name, version=config.version)],
            is_detached=not config.wait,
            abandons=config.on_cancel == "abandon",
            seconds=config.timeout,
        )

    async def resume(self, context: NodeContext, config: SubWorkflowConfig) -> Outcome:
        answers = read_answers(context.wake)
        if answers is None:
            message = f"the workflow took longer than {config.timeout or 0:g} s"
            return Failed(message, kind="Timeout", retryable=False)
        (answer,) = answers
        if not answer.is_well:
            return child_failed(
                f"{answer.name} {_ENDED.get(answer.status, answer.status)}: {answer.message}", answers
            )
        return Done(answer.output)
