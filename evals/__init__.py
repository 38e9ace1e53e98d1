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
    from evals.agents.own.evaluate import (
        evaluate_agent_tasks,
    )
    from evals.agents.random_runs import (
        RandomReport,
        random_engine,
        random_runs,
    )
    from evals.agents.react_runs import (
        ReactReport,
        evaluate_react,
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
        read_judgements,
    )
    from evals.chunking import (
        CHUNKERS,
        DEFAULT_CHUNKERS,
        ChunkingReport,
        chunking_tasks,
        read_chunking_set,
        report_chunking,
    )
    from evals.circumstances import (
        Circumstances,
        compare_circumstances,
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
        Section,
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
    from evals.dimensions import (
        DIMENSIONS,
        SHORTLIST,
        DimensionsReport,
        dimension_tasks,
        judged_vectors,
    )
    from evals.errors import (
        DatasetError,
        EvalRunBroken,
        EvalRunConflict,
        EvalRunNotFound,
        EvalRunUnwritable,
        NothingToCompare,
    )
    from evals.gate import (
        GateReport,
        gate_run,
    )
    from evals.graph.evaluate import (
        TwoHopReport,
        report_two_hop,
        two_hop_tasks,
    )
    from evals.graph.questions import (
        TwoHopQuestion,
        read_questions,
    )
    from evals.ingested import IngestedSet, ingest_set
    from evals.judge.ask import (
        Judge,
    )
    from evals.judge.compare import (
        Compare,
        PairwiseJudge,
    )
    from evals.judge.fitness import (
        JudgeStandard,
    )
    from evals.judge.model import (
        ModelJudge,
    )
    from evals.judge.panel import (
        PairPanel,
        Panel,
    )
    from evals.judge.published import (
        shown_statistic,
    )
    from evals.judge.report import (
        JudgeReport,
    )
    from evals.judge.rubrics import (
        BrokenRubric,
        Rubric,
        find_rubric,
        parse_rubric,
    )
    from evals.judge.run import (
        JudgeOptions,
        JudgeRun,
        evaluate_judges,
    )
    from evals.judge.scorers import (
        PairScorer,
        ReferenceScorer,
        RubricScorer,
    )
    from evals.judge.sets import (
        read_pair_sets,
    )
    from evals.judge.verdicts import (
        Verdict,
    )
    from evals.load.endpoint import (
        LoadEndpoint,
        own_endpoint,
        random_endpoint,
    )
    from evals.load.lengths import (
        read_lengths,
    )
    from evals.load.logged import (
        log_serving,
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
        quote_tasks,
        report_quotes,
    )
    from evals.rag.read import read_rag_set
    from evals.rag.report import RagReport, report_rag
    from evals.rag.sets import RagSet
    from evals.rag.tasks import (
        LEFT_OUT,
        QUOTING,
        RAG_SYSTEMS,
        RagPlan,
        evidence_tasks,
        rag_tasks,
    )
    from evals.reports.baseline import (
        baseline_of,
    )
    from evals.reports.data import (
        EvalRunView,
        EvalSamplePage,
        EvalSampleView,
        SampleOrder,
        run_report,
        run_view,
        sample_page,
    )
    from evals.reports.errors import (
        EvalTaskNotFound,
        RunNotComplete,
        TraceUrlInvalid,
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
        EvalRunSummary,
        delete_run,
        list_summaries,
        newest_of,
        stored_run,
    )
    from evals.reports.numbers import (
        show_amount,
        show_better,
        show_duration,
        show_interval,
    )
    from evals.reports.power import (
        PowerPlan,
        Spread,
        find_measure,
        paired_spread,
        plan_power,
        spread_of,
    )
    from evals.reports.sections import (
        sections_of,
    )
    from evals.reports.shelf import (
        RunShelf,
    )
    from evals.retrieval import (
        RetrievalReport,
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
        new_run_path,
        open_run,
        recorded_versions,
        runs_folder,
    )
    from evals.schemas import (
        SchemaReport,
        evaluate_schemas,
    )
    from evals.search_speed.measure import (
        SEARCH_PEERS,
        SearchSpeed,
        measure_search,
    )
    from evals.sets.chats import (
        ChatSet,
        write_chat_set,
    )
    from evals.sets.checking import (
        SetCheck,
        check_sets,
    )
    from evals.sets.synthetic.making import (
        SynthesisOptions,
        SynthesisReport,
        synthesize,
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
        read_outputs,
        read_tool_set,
        read_tool_tasks,
        score_outputs,
    )
    from evals.tuning.choices import JudgedQuery
    from evals.tuning.judgements import with_documents
    from evals.tuning.together import Together, calibrated_together
    from evals.tuning.tune import LEAST_QUERIES, TuningReport, judged_queries, tune
    from evals.workspace import (
        open_workspace,
    )

_HOMES = {
    "TwoHopReport": "graph.evaluate",
    "report_two_hop": "graph.evaluate",
    "two_hop_tasks": "graph.evaluate",
    "TwoHopQuestion": "graph.questions",
    "read_questions": "graph.questions",
    "CHUNKERS": "chunking",
    "DEFAULT_CHUNKERS": "chunking",
    "ChunkingReport": "chunking",
    "chunking_tasks": "chunking",
    "read_chunking_set": "chunking",
    "report_chunking": "chunking",
    "LEFT_OUT": "rag.tasks",
    "QUOTING": "rag.tasks",
    "evidence_tasks": "rag.tasks",
    "RAG_SYSTEMS": "rag.tasks",
    "RagPlan": "rag.tasks",
    "rag_tasks": "rag.tasks",
    "RagReport": "rag.report",
    "report_rag": "rag.report",
    "RagSet": "rag.sets",
    "read_rag_set": "rag.read",
    "quote_tasks": "quotes",
    "report_quotes": "quotes",
    "InjectionReport": "agents.injection",
    "read_attacks": "agents.injection",
    "read_mails": "agents.injection",
    "try_injections": "agents.injection",
    "evaluate_agent_tasks": "agents.own.evaluate",
    "RandomReport": "agents.random_runs",
    "random_engine": "agents.random_runs",
    "random_runs": "agents.random_runs",
    "ReactReport": "agents.react_runs",
    "evaluate_react": "agents.react_runs",
    "AgentRetrievalReport": "agents.retrieval",
    "evaluate_agent_retrieval": "agents.retrieval",
    "StrategyReport": "agents.strategies",
    "compare_strategies": "agents.strategies",
    "JudgedSet": "beir",
    "find_sets": "beir",
    "read_judged_set": "beir",
    "read_judgements": "beir",
    "IngestedSet": "ingested",
    "ingest_set": "ingested",
    "Circumstances": "circumstances",
    "compare_circumstances": "circumstances",
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
    "Section": "core",
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
    "EvalRunUnwritable": "errors",
    "EvalRunNotFound": "errors",
    "NothingToCompare": "errors",
    "GateReport": "gate",
    "gate_run": "gate",
    "Judge": "judge.ask",
    "Compare": "judge.compare",
    "PairwiseJudge": "judge.compare",
    "JudgeStandard": "judge.fitness",
    "ModelJudge": "judge.model",
    "PairPanel": "judge.panel",
    "Panel": "judge.panel",
    "JudgeReport": "judge.report",
    "Rubric": "judge.rubrics",
    "BrokenRubric": "judge.rubrics",
    "find_rubric": "judge.rubrics",
    "parse_rubric": "judge.rubrics",
    "shown_statistic": "judge.published",
    "JudgeOptions": "judge.run",
    "JudgeRun": "judge.run",
    "evaluate_judges": "judge.run",
    "PairScorer": "judge.scorers",
    "ReferenceScorer": "judge.scorers",
    "RubricScorer": "judge.scorers",
    "read_pair_sets": "judge.sets",
    "Verdict": "judge.verdicts",
    "LoadEndpoint": "load.endpoint",
    "own_endpoint": "load.endpoint",
    "random_endpoint": "load.endpoint",
    "read_lengths": "load.lengths",
    "log_serving": "load.logged",
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
    "baseline_of": "reports.baseline",
    "EvalRunView": "reports.data",
    "EvalSamplePage": "reports.data",
    "EvalSampleView": "reports.data",
    "SampleOrder": "reports.data",
    "run_report": "reports.data",
    "run_view": "reports.data",
    "sample_page": "reports.data",
    "EvalTaskNotFound": "reports.errors",
    "RunNotComplete": "reports.errors",
    "TraceUrlInvalid": "reports.errors",
    "check_trace_url": "reports.html",
    "render_html": "reports.html",
    "difference_in_words": "reports.junit",
    "gate_junit": "reports.junit",
    "run_junit": "reports.junit",
    "EvalRunSummary": "reports.listing",
    "delete_run": "reports.listing",
    "list_summaries": "reports.listing",
    "newest_of": "reports.listing",
    "stored_run": "reports.listing",
    "show_amount": "reports.numbers",
    "show_better": "reports.numbers",
    "show_duration": "reports.numbers",
    "show_interval": "reports.numbers",
    "PowerPlan": "reports.power",
    "Spread": "reports.power",
    "find_measure": "reports.power",
    "paired_spread": "reports.power",
    "plan_power": "reports.power",
    "spread_of": "reports.power",
    "sections_of": "reports.sections",
    "LEAST_QUERIES": "tuning.tune",
    "TuningReport": "tuning.tune",
    "judged_queries": "tuning.tune",
    "tune": "tuning.tune",
    "with_documents": "tuning.judgements",
    "JudgedQuery": "tuning.choices",
    "Together": "tuning.together",
    "calibrated_together": "tuning.together",
    "RetrievalReport": "retrieval",
    "report_retrieval": "retrieval",
    "retrieval_tasks": "retrieval",
    "Rankings": "retrieval_rankings",
    "read_rankings": "retrieval_rankings",
    "RunShelf": "reports.shelf",
    "Opened": "runs",
    "find_run": "runs",
    "list_runs": "runs",
    "new_run_path": "runs",
    "open_run": "runs",
    "recorded_versions": "runs",
    "runs_folder": "runs",
    "SchemaReport": "schemas",
    "evaluate_schemas": "schemas",
    "ChatSet": "sets.chats",
    "write_chat_set": "sets.chats",
    "SetCheck": "sets.checking",
    "check_sets": "sets.checking",
    "SynthesisOptions": "sets.synthetic.making",
    "SynthesisReport": "sets.synthetic.making",
    "synthesize": "sets.synthetic.making",
    "DIMENSIONS": "dimensions",
    "SHORTLIST": "dimensions",
    "DimensionsReport": "dimensions",
    "dimension_tasks": "dimensions",
    "judged_vectors": "dimensions",
    "SEARCH_PEERS": "search_speed.measure",
    "SearchSpeed": "search_speed.measure",
    "measure_search": "search_speed.measure",
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
    "read_outputs": "tools",
    "read_tool_set": "tools",
    "read_tool_tasks": "tools",
    "score_outputs": "tools",
    "open_workspace": "workspace",
}

__all__ = [
    "CHUNKERS",
    "DEFAULT_CHUNKERS",
    "DIMENSIONS",
    "LEAST_QUERIES",
    "LEFT_OUT",
    "QUOTING",
    "RAG_SYSTEMS",
    "SEARCH_PEERS",
    "SHORTLIST",
    "SIZES",
    "Ablation",
    "AgentRetrievalReport",
    "Better",
    "BrokenRubric",
    "Call",
    "ChatSet",
    "ChunkingReport",
    "Circumstances",
    "Cited",
    "Compare",
    "Comparison",
    "Dataset",
    "DatasetError",
    "DecodeReport",
    "DimensionsReport",
    "EvalRunBroken",
    "EvalRunConflict",
    "EvalRunNotFound",
    "EvalRunSummary",
    "EvalRunUnwritable",
    "EvalRunView",
    "EvalSamplePage",
    "EvalSampleView",
    "EvalTaskNotFound",
    "GateReport",
    "Header",
    "IngestedSet",
    "InjectionReport",
    "Judge",
    "JudgeOptions",
    "JudgeReport",
    "JudgeRun",
    "JudgeStandard",
    "JudgedQuery",
    "JudgedSet",
    "LoadEndpoint",
    "LoadOptions",
    "LoadPrices",
    "LoadProgress",
    "LoadTargets",
    "Measure",
    "MeasureReport",
    "ModelJudge",
    "NothingToCompare",
    "Opened",
    "Outcome",
    "PairPanel",
    "PairScorer",
    "PairwiseJudge",
    "Panel",
    "Passage",
    "PowerPlan",
    "Problem",
    "QuoteReport",
    "RagPlan",
    "RagReport",
    "RagSet",
    "RandomReport",
    "Rankings",
    "ReactReport",
    "Reduce",
    "ReferenceScorer",
    "RetrievalReport",
    "Rubric",
    "RubricScorer",
    "RunFile",
    "RunNotComplete",
    "RunRecord",
    "RunReport",
    "RunShelf",
    "Sample",
    "SampleOrder",
    "SchemaReport",
    "Score",
    "Scorer",
    "ScorerReport",
    "SearchSpeed",
    "Section",
    "ServingReport",
    "SetCheck",
    "Solver",
    "Spread",
    "State",
    "StateCache",
    "StrategyReport",
    "SynthesisOptions",
    "SynthesisReport",
    "SyntheticTraffic",
    "Task",
    "TaskHeader",
    "TaskReport",
    "Together",
    "ToolScores",
    "TraceUrlInvalid",
    "Traffic",
    "TuningReport",
    "TwoHopQuestion",
    "TwoHopReport",
    "Unscored",
    "Usage",
    "Verdict",
    "ask_for_calls",
    "baseline_of",
    "calibrated_together",
    "check_sets",
    "check_trace_url",
    "chunking_tasks",
    "compare_circumstances",
    "compare_runs",
    "compare_strategies",
    "compare_systems",
    "delete_run",
    "difference_in_words",
    "dimension_tasks",
    "evaluate_agent_retrieval",
    "evaluate_agent_tasks",
    "evaluate_judges",
    "evaluate_react",
    "evaluate_schemas",
    "evidence_tasks",
    "find_measure",
    "find_rubric",
    "find_run",
    "find_sets",
    "gate_junit",
    "gate_run",
    "ingest_set",
    "judged_queries",
    "judged_vectors",
    "list_runs",
    "list_summaries",
    "log_serving",
    "make_dataset",
    "measure_decode",
    "measure_search",
    "measure_serving",
    "new_run_path",
    "newest_of",
    "open_run",
    "open_workspace",
    "own_endpoint",
    "paired_spread",
    "parse_rubric",
    "peer_names",
    "plan_power",
    "quote_tasks",
    "rag_tasks",
    "random_endpoint",
    "random_engine",
    "random_runs",
    "read_attacks",
    "read_chunking_set",
    "read_judged_set",
    "read_judgements",
    "read_lengths",
    "read_mails",
    "read_outputs",
    "read_pair_sets",
    "read_questions",
    "read_rag_set",
    "read_rankings",
    "read_run",
    "read_tool_set",
    "read_tool_tasks",
    "read_traffic",
    "recorded_versions",
    "render_html",
    "report_chunking",
    "report_of",
    "report_quotes",
    "report_rag",
    "report_retrieval",
    "report_two_hop",
    "retrieval_tasks",
    "run_ablations",
    "run_junit",
    "run_report",
    "run_tasks",
    "run_view",
    "runs_folder",
    "sample_page",
    "score_outputs",
    "sections_of",
    "show_amount",
    "show_better",
    "show_duration",
    "show_interval",
    "shown_statistic",
    "spread_of",
    "stored_run",
    "synthesize",
    "try_injections",
    "try_scorer",
    "tune",
    "two_hop_tasks",
    "with_documents",
    "write_chat_set",
    "write_random_checkpoint",
]

__getattr__ = lazy_names(__name__, _HOMES)
