"""Evaluation: how well the platform finds, answers and acts, on judged sets, in numbers.

Sets are folders the user has; nothing is downloaded. Runs go through the same faces that users do.
Names load on first use.
"""

from typing import TYPE_CHECKING

from rostra.core import lazy_names

if TYPE_CHECKING:
    from evals.agents.injection import (
        InjectionReport,
        read_attacks,
        read_mails,
        try_injections,
    )
    from evals.agents.random_runs import (
        RandomReport,
        random_engine,
        random_runs,
    )
    from evals.agents.retrieval import (
        AgentRetrievalReport,
        evaluate_agent_retrieval,
    )
    from evals.agents.strategies import (
        StrategyReport,
        compare_strategies,
    )
    from evals.beir import (
        JudgedSet,
        find_sets,
        read_judged_set,
    )
    from evals.compare import (
        Comparison,
        compare_runs,
        compare_systems,
    )
    from evals.core import (
        Better,
        Call,
        Cited,
        Dataset,
        Header,
        Measure,
        MeasureReport,
        Outcome,
        Passage,
        Problem,
        Reduce,
        RunFile,
        RunRecord,
        RunReport,
        Sample,
        Score,
        Scorer,
        Solver,
        State,
        StateCache,
        Task,
        TaskHeader,
        TaskReport,
        Unscored,
        Usage,
        make_dataset,
        read_run,
        report_of,
        run_tasks,
    )
    from evals.errors import (
        DatasetError,
        EvalRunBroken,
        EvalRunConflict,
        EvalRunNotFound,
        NothingToCompare,
    )
    from evals.gate import (
        GateReport,
        gate_run,
    )
    from evals.judge.report import (
        JudgeReport,
    )
    from evals.judge.run import (
        JudgeOptions,
        JudgeRun,
        evaluate_judges,
    )
    from evals.load.endpoint import (
        LoadEndpoint,
        own_endpoint,
        random_endpoint,
    )
    from evals.load.lengths import (
        read_lengths,
    )
    from evals.load.plan import (
        Traffic,
    )
    from evals.load.prices import (
        LoadPrices,
    )
    from evals.load.recorded import (
        read_traffic,
    )
    from evals.load.report import (
        ServingReport,
    )
    from evals.load.run import (
        LoadOptions,
        LoadProgress,
        measure_serving,
    )
    from evals.load.synthetic import (
        SyntheticTraffic,
    )
    from evals.load.targets import (
        LoadTargets,
    )
    from evals.quotes import (
        QuoteReport,
        evaluate_quotes,
    )
    from evals.reports.data import (
        run_report,
        sample_page,
    )
    from evals.reports.html import (
        check_trace_url,
        render_html,
    )
    from evals.reports.junit import (
        difference_in_words,
        gate_junit,
        run_junit,
    )
    from evals.reports.listing import (
        delete_run,
        list_summaries,
        newest_of,
    )
    from evals.reports.power import (
        PowerPlan,
        Spread,
        find_measure,
        paired_spread,
        plan_power,
        spread_of,
    )
    from evals.retrieval import (
        RetrievalReport,
        RetrievalScores,
        evaluate_retrieval,
        report_retrieval,
        retrieval_tasks,
    )
    from evals.retrieval_rankings import (
        Rankings,
        read_rankings,
    )
    from evals.runs import (
        Opened,
        find_run,
        list_runs,
        open_run,
        runs_folder,
    )
    from evals.schemas import (
        SchemaReport,
        evaluate_schemas,
    )
    from evals.speed.ablations import (
        SIZES,
        Ablation,
        run_ablations,
    )
    from evals.speed.checkpoints import (
        write_random_checkpoint,
    )
    from evals.speed.decode import (
        DecodeReport,
        measure_decode,
    )
    from evals.speed.peers import (
        peer_names,
    )
    from evals.tool_answers import (
        ask_for_calls,
    )
    from evals.tool_mutants import (
        ScorerReport,
        try_scorer,
    )
    from evals.tools import (
        ToolScores,
        read_tool_tasks,
        score_outputs,
    )
    from evals.workspace import (
        open_workspace,
    )

_HOMES = {
    "InjectionReport": "agents.injection",
    "read_attacks": "agents.injection",
    "read_mails": "agents.injection",
    "try_injections": "agents.injection",
    "RandomReport": "agents.random_runs",
    "random_engine": "agents.random_runs",
    "random_runs": "agents.random_runs",
    "AgentRetrievalReport": "agents.retrieval",
    "evaluate_agent_retrieval": "agents.retrieval",
    "StrategyReport": "agents.strategies",
    "compare_strategies": "agents.strategies",
    "JudgedSet": "beir",
    "find_sets": "beir",
    "read_judged_set": "beir",
    "Comparison": "compare",
    "compare_runs": "compare",
    "compare_systems": "compare",
    "Better": "core",
    "Call": "core",
    "Cited": "core",
    "Dataset": "core",
    "Header": "core",
    "Measure": "core",
    "MeasureReport": "core",
    "Outcome": "core",
    "Passage": "core",
    "Problem": "core",
    "Reduce": "core",
    "RunFile": "core",
    "RunRecord": "core",
    "RunReport": "core",
    "Sample": "core",
    "Score": "core",
    "Scorer": "core",
    "Solver": "core",
    "State": "core",
    "StateCache": "core",
    "Task": "core",
    "TaskHeader": "core",
    "TaskReport": "core",
    "Unscored": "core",
    "Usage": "core",
    "make_dataset": "core",
    "read_run": "core",
    "report_of": "core",
    "run_tasks": "core",
    "DatasetError": "errors",
    "EvalRunBroken": "errors",
    "EvalRunConflict": "errors",
    "EvalRunNotFound": "errors",
    "NothingToCompare": "errors",
    "GateReport": "gate",
    "gate_run": "gate",
    "JudgeReport": "judge.report",
    "JudgeOptions": "judge.run",
    "JudgeRun": "judge.run",
    "evaluate_judges": "judge.run",
    "LoadEndpoint": "load.endpoint",
    "own_endpoint": "load.endpoint",
    "random_endpoint": "load.endpoint",
    "read_lengths": "load.lengths",
    "Traffic": "load.plan",
    "LoadPrices": "load.prices",
    "read_traffic": "load.recorded",
    "ServingReport": "load.report",
    "LoadOptions": "load.run",
    "LoadProgress": "load.run",
    "measure_serving": "load.run",
    "SyntheticTraffic": "load.synthetic",
    "LoadTargets": "load.targets",
    "QuoteReport": "quotes",
    "evaluate_quotes": "quotes",
    "run_report": "reports.data",
    "sample_page": "reports.data",
    "check_trace_url": "reports.html",
    "render_html": "reports.html",
    "difference_in_words": "reports.junit",
    "gate_junit": "reports.junit",
    "run_junit": "reports.junit",
    "delete_run": "reports.listing",
    "list_summaries": "reports.listing",
    "newest_of": "reports.listing",
    "PowerPlan": "reports.power",
    "Spread": "reports.power",
    "find_measure": "reports.power",
    "paired_spread": "reports.power",
    "plan_power": "reports.power",
    "spread_of": "reports.power",
    "RetrievalReport": "retrieval",
    "RetrievalScores": "retrieval",
    "evaluate_retrieval": "retrieval",
    "report_retrieval": "retrieval",
    "retrieval_tasks": "retrieval",
    "Rankings": "retrieval_rankings",
    "read_rankings": "retrieval_rankings",
    "Opened": "runs",
    "find_run": "runs",
    "list_runs": "runs",
    "open_run": "runs",
    "runs_folder": "runs",
    "SchemaReport": "schemas",
    "evaluate_schemas": "schemas",
    "SIZES": "speed.ablations",
    "Ablation": "speed.ablations",
    "run_ablations": "speed.ablations",
    "write_random_checkpoint": "speed.checkpoints",
    "DecodeReport": "speed.decode",
    "measure_decode": "speed.decode",
    "peer_names": "speed.peers",
    "ask_for_calls": "tool_answers",
    "ScorerReport": "tool_mutants",
    "try_scorer": "tool_mutants",
    "ToolScores": "tools",
    "read_tool_tasks": "tools",
    "score_outputs": "tools",
    "open_workspace": "workspace",
}

__all__ = [
    "SIZES",
    "Ablation",
    "AgentRetrievalReport",
    "Better",
    "Call",
    "Cited",
    "Comparison",
    "Dataset",
    "DatasetError",
    "DecodeReport",
    "EvalRunBroken",
    "EvalRunConflict",
    "EvalRunNotFound",
    "GateReport",
    "Header",
    "InjectionReport",
    "JudgeOptions",
    "JudgeReport",
    "JudgeRun",
    "JudgedSet",
    "LoadEndpoint",
    "LoadOptions",
    "LoadPrices",
    "LoadProgress",
    "LoadTargets",
    "Measure",
    "MeasureReport",
    "NothingToCompare",
    "Opened",
    "Outcome",
    "Passage",
    "PowerPlan",
    "Problem",
    "QuoteReport",
    "RandomReport",
    "Rankings",
    "Reduce",
    "RetrievalReport",
    "RetrievalScores",
    "RunFile",
    "RunRecord",
    "RunReport",
    "Sample",
    "SchemaReport",
    "Score",
    "Scorer",
    "ScorerReport",
    "ServingReport",
    "Solver",
    "Spread",
    "State",
    "StateCache",
    "StrategyReport",
    "SyntheticTraffic",
    "Task",
    "TaskHeader",
    "TaskReport",
    "ToolScores",
    "Traffic",
    "Unscored",
    "Usage",
    "ask_for_calls",
    "check_trace_url",
    "compare_runs",
    "compare_strategies",
    "compare_systems",
    "delete_run",
    "difference_in_words",
    "evaluate_agent_retrieval",
    "evaluate_judges",
    "evaluate_quotes",
    "evaluate_retrieval",
    "evaluate_schemas",
    "find_measure",
    "find_run",
    "find_sets",
    "gate_junit",
    "gate_run",
    "list_runs",
    "list_summaries",
    "make_dataset",
    "measure_decode",
    "measure_serving",
    "newest_of",
    "open_run",
    "open_workspace",
    "own_endpoint",
    "paired_spread",
    "peer_names",
    "plan_power",
    "random_endpoint",
    "random_engine",
    "random_runs",
    "read_attacks",
    "read_judged_set",
    "read_lengths",
    "read_mails",
    "read_rankings",
    "read_run",
    "read_tool_tasks",
    "read_traffic",
    "render_html",
    "report_of",
    "report_retrieval",
    "retrieval_tasks",
    "run_ablations",
    "run_junit",
    "run_report",
    "run_tasks",
    "runs_folder",
    "sample_page",
    "score_outputs",
    "spread_of",
    "try_injections",
    "try_scorer",
    "write_random_checkpoint",
]

__getattr__ = lazy_names(__name__, _HOMES)
