"""Structured logs: one event per line, as text for people or JSON for machines, on stderr.

stdout belongs to results, so `--json` output can be piped while logs go elsewhere.
"""

import logging
import sys
from typing import Literal

import structlog

Logger = structlog.stdlib.BoundLogger


def configure_logging(level: str = "WARNING", style: Literal["text", "json"] = "text") -> None:
    """Sets up logging for the process; later calls replace earlier ones.

    Args:
        level: name of the lowest level shown, such as `INFO`.
        style: `text` for a terminal, `json` for one JSON object per line.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: structlog.typing.Processor
    if style == "json":
        shared.append(structlog.processors.dict_tracebacks)
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger("rostra").setLevel(level)


def get_logger(name: str) -> Logger:
    """A logger of ours; pass `__name__`."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger
