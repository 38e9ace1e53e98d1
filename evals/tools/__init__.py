"""Tool calls in the manner of the Berkeley Function Calling Leaderboard: read, judged, scored."""

from evals.tools.judging import judge_call, judge_calls, judge_output
from evals.tools.outputs import OutputFile, read_outputs
from evals.tools.reading import Call, Source, Unparseable, read_calls
from evals.tools.scored import RecordedOutputs, ToolCallAccuracy, ToolScores, score_outputs
from evals.tools.tasks import (
    GoldCall,
    ToolSet,
    ToolTask,
    read_tool_set,
    read_tool_tasks,
    tool_datasets,
    tool_task,
)

__all__ = [
    "Call",
    "GoldCall",
    "OutputFile",
    "RecordedOutputs",
    "Source",
    "ToolCallAccuracy",
    "ToolScores",
    "ToolSet",
    "ToolTask",
    "Unparseable",
    "judge_call",
    "judge_calls",
    "judge_output",
    "read_calls",
    "read_outputs",
    "read_tool_set",
    "read_tool_tasks",
    "score_outputs",
    "tool_datasets",
    "tool_task",
]
