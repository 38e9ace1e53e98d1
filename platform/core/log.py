"""Structured logs: one event per line, as text for people or JSON for machines, on stderr.

stdout belongs to results, so `--json` output can be piped while logs go elsewhere. What a file name
or a server says cannot steer the terminal that shows the log.
"""

import logging
import re
import sys
from typing import Literal

import structlog

Logger = structlog.stdlib.BoundLogger

# Everything that a terminal might take for a command, but for line ends and tabs.
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


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
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_steering,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger("rostra").setLevel(level)


def _without_steering(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    # Other values than texts are shown as Python spells them, which escapes it.
    return {
        key: _STEERING.sub("", value) if isinstance(value, str) else value
        for key, value in event.items()
    }


def get_logger(name: str) -> Logger:
    """A logger of ours; pass `__name__`."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger
